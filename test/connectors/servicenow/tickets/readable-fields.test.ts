import { expect } from 'chai';
import { ServiceNowClient } from '../../../../src/connectors/servicenow/client.ts';
import { CredentialGuard } from '../../../../src/connectors/servicenow/credential-guard.ts';
import { Instances } from '../../../../src/connectors/servicenow/instance.ts';
import { ReadableFields } from '../../../../src/connectors/servicenow/tickets/readable-fields.ts';
import { deferred } from '../../../../src/kit/flow.ts';
import type { HttpResponse } from '../../../../src/kit/http-exchange.ts';
import { Secret } from '../../../../src/kit/secret.ts';
import { ManualClock } from '../../../support/manual-clock.ts';
import { taskContext } from '../../../support/servicenow.ts';

describe('the fields that a user can read', () => {
  it('who is cancelled while another task looks them up leaves at once', async () => {
    const clock = new ManualClock();
    const reply = deferred<HttpResponse>();
    const client = new ServiceNowClient({
      maxRows: 1_000,
      baseUrl: 'https://example.service-now.com',
      auth: {
        user: undefined,
        identity: 'one',
        keyMaterial: undefined,
        authorize: () =>
          Promise.resolve({ header: new Secret('Basic x'), bearer: undefined, accessToken: undefined }),
        refused: () => false,
        warnings: () => [],
      },
      send: () => reply.promise,
      scrub: (text) => text,
      instances: new Instances({ clock, random: () => 0 }),
      guard: new CredentialGuard(clock),
      random: () => 0,
    });
    const fields = new ReadableFields(clock);
    const ticket = { type: 'change_request', field: 'number', asked: 'CHG1' } as const;
    const first = fields.of(client, ticket, taskContext({ clock }));
    const stop = new AbortController();
    const second = fields
      .of(client, ticket, taskContext({ clock, signal: stop.signal }))
      .catch((thrown: unknown) => thrown);
    await clock.settle();
    const reason = new Error('cancelled');
    stop.abort(reason);
    expect(await second).to.equal(reason);
    reply.resolve({
      status: 200,
      headers: { 'content-type': 'application/json' },
      body: '{"result":[{"state":"","number":"CHG1"}]}',
    });
    expect(await first).to.deep.equal(['state', 'number']);
  });
});
