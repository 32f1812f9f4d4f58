import { expect } from 'chai';
import { request as httpRequest } from 'node:http';
import { z } from 'zod';
import { Secret } from '../../src/kit/secret.ts';
import { deferred } from '../../src/kit/flow.ts';
import { startManager, type Manager } from '../../src/manager/manager.ts';
import { leavesNothingOpen } from '../support/open-handles.ts';
import { api, connectorBody } from './support/http.ts';
import { managersUnderTest, readTask } from './support/manager-under-test.ts';
import {
  enrol,
  enrolBody,
  createIdentity,
  postEnrol,
  ScriptedDelegate,
} from './support/scripted-delegate.ts';

const taskIdSchema = z.object({ taskId: z.string() });
const problemSchema = z.object({ error: z.object({ code: z.string(), message: z.string() }) });

function problemOf(body: unknown): { code: string; message: string } {
  return problemSchema.parse(body).error;
}

/** Of an answer without a token, read to its end: what is left unread keeps its socket. */
async function statusOf(url: string): Promise<number> {
  const response = await fetch(url);
  await response.arrayBuffer();
  return response.status;
}

describe('the API', () => {
  const start = managersUnderTest();
  leavesNothingOpen();

  describe('at its door', () => {
    it('asks for the API token on every route of /api, missing ones included', async () => {
      const { manager } = await start({ apiToken: new Secret('the-token-of-this-test') });
      const wrong = { authorization: 'Bearer wrong' };
      for (const path of ['/api/v1/tasks', '/api/v1/nothing', '/api/v1/tasks/x/cancel']) {
        expect((await api(manager, 'GET', path, undefined, wrong)).status, path).to.equal(401);
        expect(await statusOf(`${manager.url}${path}`), path).to.equal(401);
      }
      const right = { authorization: 'bearer the-token-of-this-test' };
      expect((await api(manager, 'GET', '/api/v1/tasks', undefined, right)).status).to.equal(200);
    });

    it('lets anyone see that it lives and what it can do', async () => {
      const { manager } = await start();
      expect(await (await fetch(`${manager.url}/livez`)).json()).to.deep.equal({ status: 'ok' });
      expect(await statusOf(`${manager.url}/openapi.json`)).to.equal(200);
    });

    it('answers 404 for an address that is none, and 405 with Allow for a method that is none', async () => {
      const { manager } = await start();
      expect((await api(manager, 'GET', '/api/v1/nothing')).status).to.equal(404);
      expect((await api(manager, 'GET', '/api/v1/tasks/%zz')).status).to.equal(404);
      const { status, headers } = await api(manager, 'PATCH', '/api/v1/connectors/x');
      expect(status).to.equal(405);
      expect(headers.get('allow')?.split(', ').sort()).to.deep.equal(['DELETE', 'GET', 'PUT']);
    });
  });

  describe('reading a body', () => {
    it('answers 415 for another media type', async () => {
      const { manager } = await start();
      const answer = await api(manager, 'POST', '/api/v1/tasks', '{}', { 'content-type': 'text/plain' });
      expect(answer.status).to.equal(415);
    });

    for (const [what, text] of [
      ['not JSON', '{'],
      ['nested too deep', `${'['.repeat(100_000)}${']'.repeat(100_000)}`],
      ['empty', ''],
    ] as const) {
      it(`answers 400 for one that is ${what}`, async () => {
        const { manager } = await start();
        expect((await api(manager, 'POST', '/api/v1/tasks', text)).status).to.equal(400);
      });
    }

    it('answers 413 for one that is too large, whether or not it says so beforehand', async () => {
      const { manager } = await start();
      expect((await api(manager, 'POST', '/api/v1/tasks', 'x'.repeat(262_145))).status).to.equal(413);
      expect(await postInChunks(manager, 'x'.repeat(262_145))).to.equal(413);
    });

    it('names every field that is wrong, and no value', async () => {
      const { manager } = await start();
      const wrong = { name: '!', input: 1, timeoutMs: 'canary', selectors: [''], more: 1 };
      const { status, body } = await api(manager, 'POST', '/api/v1/tasks', wrong);
      expect(status).to.equal(400);
      const { message } = problemOf(body);
      for (const field of ['name:', 'timeoutMs:', 'selectors.0:', 'more']) expect(message).to.contain(field);
      expect(message).to.not.contain('canary');
    });
  });

  describe('enrolment tokens', () => {
    it('are shown once, and work', async () => {
      const { manager } = await start();
      const made = await api(manager, 'POST', '/api/v1/enrolment-tokens', {
        label: 'eu',
        expiresInMs: 60_000,
      });
      expect(made.status).to.equal(201);
      const { value } = z.object({ value: z.string() }).parse(made.body);
      const listed = await api(manager, 'GET', '/api/v1/enrolment-tokens');
      expect(JSON.stringify(listed.body)).to.contain('"label":"eu"').and.not.contain(value);
      expect((await postEnrol(manager, value, enrolBody(await createIdentity()))).status).to.equal(201);
    });
  });

  describe('delegates', () => {
    it('are listed with their session, and revoked', async () => {
      const { manager } = await start();
      const who = await enrol(manager);
      const { delegate, welcome } = await ScriptedDelegate.join(manager, who, 3);
      await delegate.synchronise();
      const { body } = await api(manager, 'GET', '/api/v1/delegates');
      const [shown] = z
        .object({ delegates: z.array(z.looseObject({ session: z.looseObject({}) })) })
        .parse(body).delegates;
      expect(shown).to.include({ delegateId: who.delegateId, version: who.version, revokedAt: null });
      expect(shown?.session).to.include({ sessionId: welcome.sessionId, granted: 3 });

      const path = `/api/v1/delegates/${who.delegateId}`;
      expect((await api(manager, 'DELETE', path)).status).to.equal(204);
      expect((await delegate.closed).code).to.equal(4403);
      expect((await api(manager, 'DELETE', '/api/v1/delegates/nobody')).status).to.equal(404);
    });
  });

  describe('connectors', () => {
    it('are stored, read, replaced and deleted', async () => {
      const { manager } = await start();
      const path = '/api/v1/connectors/servicenow_prod';
      expect((await api(manager, 'POST', '/api/v1/connectors', connectorBody())).status).to.equal(201);
      expect((await api(manager, 'POST', '/api/v1/connectors', connectorBody())).status).to.equal(409);
      expect((await api(manager, 'PUT', path, connectorBody({ name: 'Renamed' }))).status).to.equal(200);
      expect((await api(manager, 'PUT', path, connectorBody({ identifier: 'other' }))).status).to.equal(400);
      const { body } = await api(manager, 'GET', path);
      expect(body).to.have.nested.property('connector.name', 'Renamed');
      expect((await api(manager, 'DELETE', path)).status).to.equal(204);
      for (const method of ['GET', 'DELETE']) expect((await api(manager, method, path)).status).to.equal(404);
      expect((await api(manager, 'PUT', path, connectorBody())).status).to.equal(404);
    });

    const refusals: readonly (readonly [string, Parameters<typeof connectorBody>[0], string])[] = [
      ['identifier', { identifier: '1st' }, 'identifier:'],
      ['name', { name: ' ' }, 'name:'],
      ['type', { type: 'Jira' }, 'type:'],
      ['URL', { spec: { serviceNowUrl: 'example.service-now.com' } }, 'spec.serviceNowUrl:'],
      ['URL of another scheme', { spec: { serviceNowUrl: 'ftp://example.com' } }, 'spec.serviceNowUrl:'],
      ['URL with a password', { spec: { serviceNowUrl: 'https://a:b@example.com' } }, 'spec.serviceNowUrl:'],
      ['plain password', { auth: { password: 'canary' } }, 'spec.auth.spec.password:'],
      ['plain unknown field', { auth: { pin: 'canary' } }, 'spec.auth.spec.pin:'],
      [
        'PEM instead of a reference',
        { auth: { keyRef: '-----BEGIN PRIVATE KEY-----canary' } },
        'spec.auth.spec.keyRef:',
      ],
      ['text instead of a reference', { auth: { keyRef: 'two canaries' } }, 'spec.auth.spec.keyRef:'],
      ['secret beside the authentication', { spec: { proxyPassword: 'canary' } }, 'spec.proxyPassword:'],
      [
        'token URL with a password',
        { auth: { tokenUrl: 'https://u:canary@idp.example' } },
        'spec.auth.spec.tokenUrl:',
      ],
    ];
    for (const [what, changes, field] of refusals) {
      it(`are refused for their ${what}, by the field's path and without its value`, async () => {
        const { manager } = await start();
        const { status, body } = await api(manager, 'POST', '/api/v1/connectors', connectorBody(changes));
        expect(status).to.equal(400);
        expect(problemOf(body).message).to.contain(field).and.not.contain('canary');
      });
    }

    it('may have tags of any name', async () => {
      const { manager } = await start();
      const body = connectorBody({ tags: { secret: 'team name' } });
      expect((await api(manager, 'POST', '/api/v1/connectors', body)).status).to.equal(201);
    });

    it('are tested by a delegate with the right tags, and the report waited for', async () => {
      const { manager } = await start();
      const body = connectorBody({ spec: { delegateSelectors: ['blue'] } });
      await api(manager, 'POST', '/api/v1/connectors', body);
      const { delegate } = await ScriptedDelegate.join(manager, await enrol(manager), 1, { tags: ['Blue'] });
      const answer = api(manager, 'POST', '/api/v1/connectors/servicenow_prod/test?wait=10000');
      const assign = await delegate.next('task.assign');
      expect(assign).to.deep.include({ name: 'servicenow.connector.validate', input: { connector: body } });
      delegate.accept(assign);
      delegate.succeed(assign, { status: 'SUCCESS' });
      const { status, body: task } = await answer;
      expect(status).to.equal(200);
      expect(task).to.deep.include({ state: 'ended', outcome: 'succeeded', output: { status: 'SUCCESS' } });
      expect(task).to.have.nested.property('delegate.version', '26.11.90100');
      expect((await api(manager, 'POST', '/api/v1/connectors/none/test')).status).to.equal(404);
    });
  });

  describe('tasks', () => {
    it('are started, read, waited for and cancelled', async () => {
      const { manager } = await start();
      const made = await api(manager, 'POST', '/api/v1/tasks', { name: 'demo.read', input: {} });
      expect(made.status).to.equal(202);
      const { taskId } = taskIdSchema.parse(made.body);
      const path = `/api/v1/tasks/${taskId}`;
      expect((await api(manager, 'GET', `${path}?wait=5`)).body).to.include({
        state: 'waiting',
        outcome: null,
      });
      const cancelled = await api(manager, 'POST', `${path}/cancel`, { reason: 'wrong ticket' });
      expect(cancelled.status).to.equal(200);
      expect(cancelled.body).to.include({ outcome: 'cancelled' });
      expect(JSON.stringify((await api(manager, 'GET', '/api/v1/tasks')).body)).to.contain(taskId);
      expect((await api(manager, 'GET', '/api/v1/tasks/none')).status).to.equal(404);
      expect((await api(manager, 'POST', '/api/v1/tasks/none/cancel', {})).status).to.equal(404);
    });

    it('show what a delegate tells of an error, whatever JSON that is', async () => {
      const { manager } = await start();
      const { delegate } = await ScriptedDelegate.join(manager, await enrol(manager), 1);
      const { taskId } = manager.submit(readTask());
      const assign = await delegate.next('task.assign');
      const details = { rows: [1, { deep: [null, true] }], host: 'example' };
      delegate.fail(assign, { code: 'newer.error', retryable: false, details });
      await delegate.next('result.ack');
      const { body } = await api(manager, 'GET', `/api/v1/tasks/${taskId}`);
      expect(body).to.have.deep.nested.property('error.details', details);
    });

    it('say why they wait, as long as they do', async () => {
      const { manager } = await start();
      const waitingFor = async (taskId: string): Promise<unknown> => {
        const { body } = await api(manager, 'GET', `/api/v1/tasks/${taskId}`);
        return z.object({ waitingFor: z.string().nullable() }).parse(body).waitingFor;
      };
      const { taskId } = manager.submit(readTask({ selectors: ['us'] }));
      expect(await waitingFor(taskId)).to.equal('no delegate is connected');
      const { delegate } = await ScriptedDelegate.join(manager, await enrol(manager));
      await delegate.synchronise();
      const connected = 'connected: eu-1 26.11.90100 [eu-1, eu]';
      expect(await waitingFor(taskId)).to.equal(`no connected delegate has the tags us; ${connected}`);
      const other = manager.submit(readTask());
      expect(await waitingFor(other.taskId)).to.equal(
        `no delegate takes another task at the moment; ${connected}`,
      );
      const { body } = await api(manager, 'GET', '/api/v1/tasks');
      expect(JSON.stringify(body)).to.contain('no connected delegate has the tags us');
      delegate.send({ type: 'credit', granted: 1 });
      await delegate.next('task.assign');
      expect(await waitingFor(other.taskId)).to.equal(null);
    });

    for (const wait of ['x', '-1', '60001', '1.5']) {
      it(`refuse to wait for ${wait} ms`, async () => {
        const { manager } = await start();
        const { status, body } = await api(manager, 'POST', `/api/v1/tasks?wait=${wait}`, readTask());
        expect(status).to.equal(400);
        expect(problemOf(body).message).to.contain('wait');
        expect(manager.tasks).to.have.length(0);
      });
    }

    it('with an input that can not be signed are refused, when the manager signs', async () => {
      const { manager } = await start({ signTasks: true });
      const text = '{"name":"demo.read","input":{"n":"\\ud800"}}';
      const { status, body } = await api(manager, 'POST', '/api/v1/tasks', text);
      expect(status).to.equal(400);
      expect(problemOf(body).code).to.equal('input-not-canonical');
    });

    it('end the wait of every caller when the manager closes', async () => {
      const { manager, seen } = await start();
      const waiting = api(manager, 'POST', '/api/v1/tasks?wait=60000', readTask());
      await seen((event) => event.type === 'task.changed' || undefined);
      await manager.close();
      expect((await waiting).status).to.equal(503);
    });
  });

  describe('approvals', () => {
    const question = {
      connector: 'servicenow_prod',
      ticket: { type: 'change_request', number: 'CHG1' },
      approvalCriteria: { type: 'KeyValues', spec: {} },
    };

    it('are listed, read, and not found', async () => {
      const { manager } = await start();
      await api(manager, 'POST', '/api/v1/connectors', connectorBody());
      const made = await api(manager, 'POST', '/api/v1/approvals', question);
      expect(made.body).to.deep.include({ status: 'waiting', retryIntervalMs: 60_000 });
      const { approvalId } = z.object({ approvalId: z.string() }).parse(made.body);
      expect((await api(manager, 'GET', `/api/v1/approvals/${approvalId}`)).status).to.equal(200);
      expect(JSON.stringify((await api(manager, 'GET', '/api/v1/approvals')).body)).to.contain(approvalId);
      expect((await api(manager, 'GET', '/api/v1/approvals/none')).status).to.equal(404);
      expect((await api(manager, 'POST', '/api/v1/approvals/none/cancel', {})).status).to.equal(404);
    });

    const wrong: readonly (readonly [string, object, number, string])[] = [
      ['a connector that is not stored', { connector: 'other' }, 404, 'other'],
      ['a ticket without number', { ticket: { type: 'incident' } }, 400, 'ticket'],
      ['criteria without a type', { approvalCriteria: { spec: {} } }, 400, 'approvalCriteria.type'],
      ['an interval that is too short', { retryIntervalMs: 9_999 }, 400, 'retryIntervalMs'],
    ];
    for (const [what, changes, status, text] of wrong) {
      it(`are refused for ${what}`, async () => {
        const { manager } = await start();
        await api(manager, 'POST', '/api/v1/connectors', connectorBody());
        const answer = await api(manager, 'POST', '/api/v1/approvals', { ...question, ...changes });
        expect(answer.status).to.equal(status);
        expect(problemOf(answer.body).message).to.contain(text);
        expect(manager.tasks).to.have.length(0);
      });
    }

    it('may look more often where the option says so', async () => {
      const { manager } = await start({ minRetryIntervalMs: 50 });
      await api(manager, 'POST', '/api/v1/connectors', connectorBody());
      const body = { ...question, retryIntervalMs: 50 };
      expect((await api(manager, 'POST', '/api/v1/approvals', body)).status).to.equal(202);
    });
  });

  describe('its description', () => {
    const descriptionSchema = z.looseObject({
      openapi: z.literal('3.1.0'),
      paths: z.record(z.string(), z.record(z.string(), z.looseObject({ responses: z.looseObject({}) }))),
    });

    it('names routes that exist: none of them answers 404 or 405 to its method', async () => {
      const { manager } = await start();
      const { body } = await api(manager, 'GET', '/openapi.json');
      const { paths } = descriptionSchema.parse(body);
      for (const [path, operations] of Object.entries(paths)) {
        for (const method of Object.keys(operations)) {
          const address = path.replaceAll(/\{\w+\}/g, 'none');
          const { status, body: answer } = await api(manager, method.toUpperCase(), address);
          expect(status, `${method} ${path}`).to.not.equal(405);
          // A resource may be missing; the address may not.
          if (status === 404) expect(problemOf(answer).code).to.not.equal('not-found');
        }
      }
    });

    it('names every route that exists', async () => {
      const { manager } = await start();
      const { paths } = descriptionSchema.parse((await api(manager, 'GET', '/openapi.json')).body);
      const described = Object.entries(paths).flatMap(([path, operations]) =>
        Object.keys(operations).map((method) => `${method.toUpperCase()} ${path}`),
      );
      expect(described.sort()).to.deep.equal(
        [
          'POST /delegate/v1/enroll',
          'GET /delegate/v1/connect',
          'POST /delegate/v1/rotate-key',
          'GET /api/v1/task-signing-keys',
          'POST /api/v1/task-signing-keys',
          'DELETE /api/v1/task-signing-keys/{kid}',
          'POST /api/v1/enrolment-tokens',
          'GET /api/v1/enrolment-tokens',
          'GET /api/v1/delegates',
          'DELETE /api/v1/delegates/{delegateId}',
          'POST /api/v1/connectors',
          'GET /api/v1/connectors',
          'GET /api/v1/connectors/{identifier}',
          'PUT /api/v1/connectors/{identifier}',
          'DELETE /api/v1/connectors/{identifier}',
          'POST /api/v1/connectors/{identifier}/test',
          'POST /api/v1/tasks',
          'GET /api/v1/tasks',
          'GET /api/v1/tasks/{taskId}',
          'POST /api/v1/tasks/{taskId}/cancel',
          'POST /api/v1/approvals',
          'GET /api/v1/approvals',
          'GET /api/v1/approvals/{approvalId}',
          'POST /api/v1/approvals/{approvalId}/cancel',
          'GET /livez',
          'GET /openapi.json',
        ].sort(),
      );
    });

    it('says what each request and answer may hold', async () => {
      const { manager } = await start();
      const text = JSON.stringify((await api(manager, 'GET', '/openapi.json')).body);
      for (const field of ['serviceNowUrl', 'approvalCriteria', 'expiresInMs', 'publicKey', 'waitingFor']) {
        expect(text).to.contain(`"${field}"`);
      }
    });
  });
});

describe('the options of a manager', () => {
  leavesNothingOpen();

  it('are refused together, each by its name', async () => {
    const started = startManager({ port: -1, heartbeatMs: 20_000, maxFrameBytes: 1, publicUrl: 'ftp://x' });
    const error: unknown = await started.then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    expect(error).to.have.property('code', 'invalid-options');
    for (const name of ['port', 'leaseMs', 'maxFrameBytes', 'publicUrl']) {
      expect(error).to.have.property('message').that.contains(name);
    }
  });
});

/** Without a Content-Length, so that only counting finds out. */
async function postInChunks(manager: Manager, text: string): Promise<number> {
  const answer = deferred<number>();
  const request = httpRequest(`${manager.url}/api/v1/tasks`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${manager.apiToken.reveal()}`,
      'content-type': 'application/json',
      'transfer-encoding': 'chunked',
    },
  });
  request.on('response', (response) => {
    response.resume();
    answer.resolve(response.statusCode ?? 0);
  });
  // The manager may cut the upload short once it has answered.
  request.on('error', (error) => answer.reject(error));
  request.end(text);
  return answer.promise;
}
