import { expect } from 'chai';
import { enrol } from '../../../src/delegate/connection/enrol.ts';
import { ManagerRefusal } from '../../../src/delegate/connection/manager-refusal.ts';
import type { HttpRequest, HttpResponse } from '../../../src/kit/http-exchange.ts';
import { Secret } from '../../../src/kit/secret.ts';
import type { EnrolRequest } from '../../../src/protocol/enrolment.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { leavesNothingOpen } from '../../support/open-handles.ts';

const NOW_MS = Date.parse('2026-11-23T13:00:00Z');

const REQUEST: EnrolRequest = {
  name: 'eu-1',
  instanceId: '5d2f5c9e-3b1a-4c8e-9f60-7a1b2c3d4e5f',
  publicKey: { kty: 'OKP', crv: 'Ed25519', x: 'A'.repeat(43) },
  version: '26.11.90100',
};

describe('enrolment', () => {
  async function enrolAnswered(response: Partial<HttpResponse>, sent: HttpRequest[] = []) {
    const send = (request: HttpRequest): Promise<HttpResponse> => {
      sent.push(request);
      return Promise.resolve({ status: 201, headers: {}, body: '', ...response });
    };
    const { signal } = new AbortController();
    const clock = new ManualClock(NOW_MS);
    return await enrol(send, 'https://m.example.com/base', new Secret('the-token'), REQUEST, clock, signal);
  }

  async function refusalOf(response: Partial<HttpResponse>): Promise<ManagerRefusal> {
    try {
      await enrolAnswered(response);
    } catch (error) {
      if (error instanceof ManagerRefusal) return error;
      throw error;
    }
    throw new Error('it was not refused');
  }

  leavesNothingOpen();

  it('sends the token in its header, and the public half of the key', async () => {
    const sent: HttpRequest[] = [];
    await enrolAnswered({ body: '{"delegateId":"dlg-1"}' }, sent);
    expect(sent).to.have.lengthOf(1);
    const [request] = sent;
    expect(request?.url.href).to.equal('https://m.example.com/base/delegate/v1/enroll');
    expect(request?.headers).to.deep.equal({
      authorization: 'Bearer the-token',
      'content-type': 'application/json',
    });
    expect(JSON.parse(request?.body ?? '')).to.deep.equal(REQUEST);
  });

  it('gives what the manager answered, and drops what this version does not know', async () => {
    const body = '{"delegateId":"dlg-1","later":1,"taskSigningKeys":{"keys":[]}}';
    expect(await enrolAnswered({ body })).to.deep.equal({
      delegateId: 'dlg-1',
      taskSigningKeys: { keys: [] },
    });
  });

  const table: [status: number, code: string, next: string][] = [
    [401, 'enrolment-token-refused', 'slowest-pace'],
    [403, 'forbidden', 'slowest-pace'],
    [409, 'instance-taken', 'slowest-pace'],
    [429, 'enrolment-failed', 'reconnect'],
    [503, 'enrolment-failed', 'reconnect'],
    [500, 'enrolment-failed', 'reconnect'],
    [400, 'enrolment-failed', 'reconnect'],
    [200, 'enrolment-failed', 'reconnect'],
    [302, 'enrolment-failed', 'reconnect'],
  ];
  for (const [status, code, next] of table) {
    it(`that is answered ${status} is ${code}, and tried again: ${next}`, async () => {
      expect(await refusalOf({ status })).to.include({ code, next, status });
    });
  }

  it('that is answered 403 in the words of a manager is a revocation', async () => {
    const body = '{"error":{"code":"revoked","message":"This delegate was revoked."}}';
    expect(await refusalOf({ status: 403, body })).to.include({ code: 'revoked', next: 'slowest-pace' });
  });

  for (const body of ['', '<html>', '{}', '{"delegateId":""}', '{"delegateId":"d","taskSigningKeys":[]}']) {
    it(`is not taken for done with the body ${JSON.stringify(body)}`, async () => {
      expect(await refusalOf({ body })).to.include({ code: 'enrolment-failed', next: 'reconnect' });
    });
  }

  it('measures a Retry-After date from its own clock when the manager tells no time', async () => {
    const headers = { 'retry-after': 'Mon, 23 Nov 2026 13:00:09 GMT' };
    expect((await refusalOf({ status: 503, headers })).retryAfterMs).to.equal(9_000);
  });

  it('waits as long as the manager asks', async () => {
    const refusal = await refusalOf({ status: 429, headers: { 'retry-after': '7' } });
    expect(refusal.retryAfterMs).to.equal(7_000);
  });
});
