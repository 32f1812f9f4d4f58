import { readdirSync, readFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { pino } from 'pino';
import { desk } from '../../examples/connector/index.ts';
import { resultOf } from '../../examples/connector/api.ts';
import { compose } from '../../src/compose.ts';
import { loadConfiguration } from '../../src/config/load.ts';
import { DelegateError } from '../../src/kit/errors.ts';
import { Redactor } from '../../src/kit/secret.ts';
import { systemClock } from '../../src/kit/time.ts';
import { startManager, type Manager, type TaskRecord } from '../../src/manager/manager.ts';
import { breachesOf } from '../support/architecture.ts';
import { leavesNothingOpen } from '../support/open-handles.ts';
import { tempDirs } from '../support/temp-dir.ts';
import { within } from '../support/until.ts';
import { DESK_TOKEN, FakeDesk } from './fake-desk.ts';

const FOLDER = new URL('../../examples/connector/', import.meta.url);
const PAGE = new URL('../../docs/writing-a-connector.md', import.meta.url);

describe('the example of a connector, in a real delegate under a real manager', () => {
  const tempDir = tempDirs();
  let fake: FakeDesk;

  beforeEach(async () => {
    fake = await FakeDesk.start();
  });
  afterEach(async () => {
    await fake[Symbol.asyncDispose]();
  });
  leavesNothingOpen();

  async function withDelegate(
    test: (submit: (name: string, input: object) => Promise<TaskRecord>) => Promise<void>,
    environment: Readonly<Record<string, string>> = {},
  ): Promise<void> {
    await using manager = await startManager();
    const all = {
      DELEGATE_MANAGER_URL: manager.publicUrl,
      DELEGATE_ENROLMENT_TOKEN: manager.createEnrolmentToken().value.reveal(),
      DELEGATE_STATE_DIR: await tempDir(),
      DELEGATE_HTTP_PORT: '0',
      DELEGATE_ALLOW_LOOPBACK: 'true',
      DELEGATE_SECRET_DESK_TOKEN: DESK_TOKEN,
      ...environment,
    };
    const { configuration, enrolmentToken, stateKey } = loadConfiguration({ args: [], environment: all });
    await using composed = await compose({
      errorCodes: new Set(),
      logLinesLost: () => 0,
      configuration,
      enrolmentToken,
      stateKey,
      environment: all,
      version: '26.11.90100',
      log: pino({ level: 'silent' }),
      redactor: new Redactor(),
      connectors: [desk],
      clock: systemClock,
    });
    const ended = composed.delegate.run();
    try {
      await test((name, input) => resultFrom(manager, name, { connector: connectorAt(fake.url), ...input }));
    } finally {
      await composed.delegate.stop('the test is over');
      await ended;
    }
  }

  it('reads a ticket', async () => {
    await withDelegate(async (submit) => {
      const { state } = await submit('desk.ticket.read', { ticket: 'DESK-4711' });
      expect(state).to.include({ at: 'ended', outcome: 'succeeded' });
      expect(state)
        .to.have.property('output')
        .that.deep.includes({ ticket: { id: 'DESK-4711', title: 'Upgrade the database', status: 'open' } });
    });
  });

  it('adds a comment once', async () => {
    await withDelegate(async (submit) => {
      const { state } = await submit('desk.comment.add', { ticket: 'DESK-4711', text: 'Done.' });
      expect(state).to.deep.include({ at: 'ended', outcome: 'succeeded', output: { comment: 'C-1' } });
      expect(fake.comments).to.deep.equal(['Done.']);
    });
  });

  for (const behaviour of ['cuts', 'fails'] as const) {
    it(`says unknown of a comment when the desk ${behaviour}, and sends no other`, async () => {
      fake.behaviour = behaviour;
      await withDelegate(async (submit) => {
        const { state } = await submit('desk.comment.add', { ticket: 'DESK-4711', text: 'Done.' });
        expect(state).to.include({ outcome: 'unknown' });
        expect(errorOf(state)).to.include({ code: 'desk.write-unknown', retryable: false });
      });
      expect(fake.comments).to.have.length(behaviour === 'cuts' ? 1 : 0);
    });
  }

  it('may be asked again for a ticket when the desk fails', async () => {
    fake.behaviour = 'fails';
    await withDelegate(async (submit) => {
      const { state } = await submit('desk.ticket.read', { ticket: 'DESK-4711' });
      expect(state).to.include({ outcome: 'failed' });
      expect(errorOf(state)).to.include({ code: 'desk.unavailable', retryable: true });
    });
  });

  it('never repeats the token, even where the desk does', async () => {
    const DELEGATE_SECRET_DESK_TOKEN = 'an-outdated-token-of-the-desk';
    await withDelegate(
      async (submit) => {
        const { state } = await submit('desk.ticket.read', { ticket: 'DESK-4711' });
        expect(errorOf(state)).to.include({ code: 'desk.token-refused', status: 401 });
        expect(JSON.stringify(state))
          .to.contain('unknown: Bearer')
          .and.not.contain(DELEGATE_SECRET_DESK_TOKEN);
      },
      { DELEGATE_SECRET_DESK_TOKEN },
    );
  });

  it('refuses input that is not what the task takes, by the name of the field', async () => {
    await withDelegate(async (submit) => {
      const { state } = await submit('desk.comment.add', { ticket: 'DESK-4711; drop', text: '' });
      expect(errorOf(state)).to.include({ code: 'invalid-input' });
      expect(JSON.stringify(state)).to.contain('ticket: must look like DESK-4711').and.contain('text');
    });
  });

  describe('under the policy file of docs/writing-a-connector.md', () => {
    async function policyFile(change: (text: string) => string = (text) => text): Promise<string> {
      const [, text = ''] = /^```yaml\n(version: 1\n[\s\S]*?)^```$/m.exec(await readFile(PAGE, 'utf8')) ?? [];
      const path = join(await tempDir(), 'policy.yaml');
      await writeFile(path, change(text.replaceAll('https://desk.example.com', new URL(fake.url).origin)));
      return path;
    }

    it('works', async () => {
      await withDelegate(
        async (submit) => {
          const { state } = await submit('desk.comment.add', { ticket: 'DESK-4711', text: 'Done.' });
          expect(state).to.include({ outcome: 'succeeded' });
        },
        { DELEGATE_POLICY_FILE: await policyFile() },
      );
    });

    it('does nothing where the file does not name the task', async () => {
      const readsAlone = (text: string): string => text.replace(', desk.comment.add', '');
      await withDelegate(
        async (submit) => {
          const { state } = await submit('desk.comment.add', { ticket: 'DESK-4711', text: 'Done.' });
          expect(errorOf(state)).to.include({ code: 'policy-denied', category: 'policy' });
        },
        { DELEGATE_POLICY_FILE: await policyFile(readsAlone) },
      );
      expect(fake.comments).to.deep.equal([]);
    });
  });
});

describe('the example of a connector, moved to src/connectors as its page says', () => {
  const files = readdirSync(FOLDER).filter((name) => name.endsWith('.ts'));
  for (const name of files) {
    it(`${name} keeps to the floors`, () => {
      const text = readFileSync(new URL(name, FOLDER), 'utf8')
        .replaceAll('../../src/connectors/', '../')
        .replaceAll('../../src/kit/', '../../kit/');
      expect(text).to.not.contain('/src/');
      expect(breachesOf({ path: `connectors/desk/${name}`, text })).to.deep.equal([]);
    });
  }
});

describe('what an answer of the desk means', () => {
  const json = { 'content-type': 'application/json; charset=utf-8' };
  const cases = [
    { status: 200, body: '{"result":{"id":1}}', writes: true, becomes: { id: 1 } },
    { status: 401, body: '{}', writes: true, becomes: 'desk.token-refused' },
    { status: 404, body: '{}', writes: false, becomes: 'desk.ticket-not-found' },
    { status: 429, body: '{}', writes: true, becomes: 'desk.busy' },
    { status: 503, body: 'sorry', writes: false, becomes: 'desk.unavailable' },
    { status: 503, body: 'sorry', writes: true, becomes: 'desk.write-unknown' },
    { status: 200, body: '{"ok":true', writes: false, becomes: 'desk.bad-response' },
    { status: 200, body: '{"ok":true', writes: true, becomes: 'desk.write-unknown' },
    { status: 302, body: '', writes: true, becomes: 'desk.bad-response' },
  ];
  for (const { status, body, writes, becomes } of cases) {
    it(`${status} ${body} to what ${writes ? 'writes' : 'reads'}: ${JSON.stringify(becomes)}`, () => {
      const judge = (): unknown =>
        resultOf({ status, headers: json, body }, { writes, scrub: (text) => text });
      if (typeof becomes !== 'string') expect(judge()).to.deep.equal(becomes);
      else expect(judge).to.throw(DelegateError).with.property('code', becomes);
    });
  }
});

function connectorAt(url: string): object {
  return { identifier: 'desk', type: 'Desk', spec: { url, tokenRef: 'env:DESK_TOKEN' } };
}

async function resultFrom(manager: Manager, name: string, input: object): Promise<TaskRecord> {
  const task = {
    name,
    version: 1,
    input: JSON.parse(JSON.stringify(input)),
    selectors: [],
    timeoutMs: 10_000,
  };
  const { taskId } = manager.submit(task);
  return await within('the task to end', manager.whenEnded(taskId, new AbortController().signal));
}

function errorOf(state: TaskRecord['state']): object {
  return 'error' in state && typeof state.error === 'object' && state.error !== null ? state.error : {};
}
