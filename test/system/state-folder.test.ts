import { randomBytes } from 'node:crypto';
import { readdir, readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { auditFolder } from '../../src/observability/audit/folder.ts';
import { verifyAuditLog } from '../../src/observability/audit/verify.ts';
import type { TaskRef } from '../../src/protocol/messages.ts';
import { REF } from '../delegate/frames.ts';
import { findLeaks } from '../support/canaries.ts';
import { leavesNothingOpen } from '../support/open-handles.ts';
import { ScriptedManager, type ScriptedConnection } from '../support/scripted-manager.ts';
import { tempDirs } from '../support/temp-dir.ts';
import { until } from '../support/until.ts';
import {
  canRun,
  delegateProcesses,
  SlowServiceNow,
  type DelegateProcess,
  type ProcessOptions,
} from './one-delegate.ts';

/** Both are tried again every few seconds. Reached only by a test that fails. */
const DISK_NOTICED_WITHIN_MS = 20_000;
const SECOND: TaskRef = { taskId: 't-2', attempt: 1 };

/** What disks and people do to the files of a delegate, with the program as it is shipped. */
describe('the state folder of a delegate process', function () {
  this.timeout(60_000);
  const start = delegateProcesses();
  const tempDir = tempDirs();
  let manager: ScriptedManager;
  let serviceNow: SlowServiceNow;
  let stateDir: string;

  beforeEach(async () => {
    manager = await ScriptedManager.start();
    serviceNow = await SlowServiceNow.start();
    stateDir = await tempDir();
  });

  afterEach(async () => {
    await serviceNow[Symbol.asyncDispose]();
    await manager[Symbol.asyncDispose]();
  });
  leavesNothingOpen();

  function started(options: Partial<ProcessOptions> = {}): DelegateProcess {
    return start({ managerUrl: manager.url, stateDir, ...options });
  }

  async function session(delegate: DelegateProcess): Promise<ScriptedConnection> {
    await delegate.says('session open');
    return await manager.nextSession();
  }

  async function killed(delegate: DelegateProcess): Promise<void> {
    delegate.kill('SIGKILL');
    await delegate.end();
  }

  /** A delegate has run, and was killed with a result that nobody has acknowledged. */
  async function leaveResult(options: Partial<ProcessOptions> = {}, username?: string): Promise<unknown> {
    manager.script.ackResults = false;
    const delegate = started(options);
    const connection = await session(delegate);
    await serviceNow.begin(connection, REF, username);
    serviceNow.answer();
    const result = await connection.next('task.result');
    await killed(delegate);
    manager.script.ackResults = true;
    return result;
  }

  async function segments(): Promise<string[]> {
    return (await readdir(stateDir)).filter((name) => /^journal-\d+\.log$/.test(name)).sort();
  }

  async function segment(): Promise<string> {
    const [name] = await segments();
    if (name === undefined) throw new Error('there is no journal');
    return join(stateDir, name);
  }

  it('that another one uses refuses a second: exit 1, who has it, and what to do', async () => {
    const first = started();
    const connection = await session(first);
    const second = started();
    expect(await second.end()).to.equal(1);
    const refusal = await second.says('delegate failed');
    expect(refusal).to.include({ code: 'state-folder-in-use' });
    expect(refusal['message']).to.include(stateDir).and.include(`process ${first.pid}`);
    expect(refusal['hint']).to.include('DELEGATE_STATE_DIR');
    await connection.synchronise();
    expect(manager.connections).to.have.lengthOf(1);
  });

  it('of one that was killed serves the next at once: same identity, and what was interrupted is reported', async () => {
    const first = started();
    const connection = await session(first);
    const hello = await connection.next('hello');
    await serviceNow.begin(connection, REF);
    await killed(first);
    const second = started();
    const back = await session(second);
    expect((await back.next('hello')).delegate).to.deep.equal(hello.delegate);
    expect(manager.enrolments).to.have.lengthOf(1);
    expect(second.text).to.not.include('waiting for a sign of life');
    const result = await back.next('task.result');
    expect(result).to.include({ ...REF, outcome: 'failed' });
    expect(result).to.have.nested.property('error.code', 'interrupted');
  });

  describe('with a damaged identity', () => {
    let instanceId: string;

    beforeEach(async () => {
      const delegate = started();
      const connection = await session(delegate);
      instanceId = (await connection.next('hello')).delegate.instanceId;
      await killed(delegate);
    });

    it('is mended from the backup, and says so', async () => {
      await truncate(join(stateDir, 'identity.json'), 20);
      const delegate = started();
      const connection = await session(delegate);
      expect((await connection.next('hello')).delegate.instanceId).to.equal(instanceId);
      expect(await delegate.says('restoring a copy of the identity')).to.include({ is: 'damaged' });
      expect(manager.enrolments).to.have.lengthOf(1);
    });

    it('and a damaged backup stops the start with 1 and a remedy, and touches neither', async () => {
      for (const name of ['identity.json', 'identity.backup.json']) await truncate(join(stateDir, name), 20);
      const delegate = started();
      expect(await delegate.end()).to.equal(1);
      const refusal = await delegate.says('delegate failed');
      expect(refusal).to.include({ code: 'identity-unusable' });
      expect(refusal['hint']).to.include('Restore one of the two');
      expect((await readFile(join(stateDir, 'identity.json'))).length).to.equal(20);
    });
  });

  describe('with a damaged journal', () => {
    const damages: readonly [string, (bytes: Buffer) => Buffer, string][] = [
      ['a flipped byte', (bytes) => flipped(bytes, bytes.length >> 1), 'part of the journal cannot be read'],
      ['a torn end', (bytes) => bytes.subarray(0, -7), 'the journal ends within a record'],
      ['rubbish in place of it', () => randomBytes(2_000), 'part of the journal cannot be read'],
    ];
    for (const [what, damage, complaint] of damages) {
      it(`(${what}) a delegate starts, says so, and works`, async () => {
        await leaveResult();
        const path = await segment();
        await writeFile(path, damage(await readFile(path)));
        const delegate = started();
        const connection = await session(delegate);
        expect(await delegate.says(complaint)).to.have.property('file');
        const isAside = (await readdir(stateDir)).some((name) => name.endsWith('.set-aside'));
        expect(isAside).to.equal(!complaint.includes('ends within'));
        await serviceNow.begin(connection, SECOND);
        serviceNow.answer();
        while ((await connection.next('task.result')).taskId !== SECOND.taskId);
      });
    }
  });

  it('shows nothing of an output to who reads its files', async () => {
    const canary = 'canary-user-5e0f21aa';
    const result = await leaveResult({}, canary);
    expect(JSON.stringify(result)).to.include(canary);
    const entries = await readdir(stateDir, { recursive: true, withFileTypes: true });
    const files = await Promise.all(
      entries
        .filter((entry) => entry.isFile())
        .map(async ({ name, parentPath }) => ({
          where: name,
          text: await readFile(join(parentPath, name), 'latin1'),
        })),
    );
    expect(files.map(({ where }) => where))
      .to.include('identity.json')
      .and.include((await segments())[0]);
    expect(findLeaks(new Map([['output', canary]]), files)).to.deep.equal([]);
  });

  it('written with another state key is set aside, says so, and is read again with the right one', async () => {
    const right = { DELEGATE_STATE_KEY: randomBytes(32).toString('base64') };
    const wrong = { DELEGATE_STATE_KEY: randomBytes(32).toString('base64') };
    const result = await leaveResult({ env: right });
    const name = (await segments())[0] ?? '';
    const other = started({ env: wrong });
    const connection = await session(other);
    const complaint = await other.says('part of the journal cannot be read');
    expect(complaint).to.include({ condition: 'other-key', file: name });
    expect((await connection.next('hello')).unacknowledged).to.deep.equal([]);
    await killed(other);
    const bytes = await readFile(join(stateDir, `${name}.set-aside`));
    for (const left of await segments()) await truncate(join(stateDir, left), 0);
    await writeFile(join(stateDir, name), bytes);
    const back = await session(started({ env: right }));
    expect(await back.next('task.result')).to.deep.equal(result);
  });

  describe('on a disk of its own', () => {
    before(async function () {
      // Skipped since 2026-11-23 where the tests may not make a mount namespace and mount in it: that takes root, or
      // CAP_SYS_ADMIN in a container.
      if (!(await canRun('unshare', ['--mount', 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt']))) this.skip();
    });

    /** Whatever is mounted is so in a namespace of the process, and gone with it. */
    function onMount(script: string, env: Record<string, string> = {}): DelegateProcess {
      return started({ env, prefix: ['unshare', '--mount', 'sh', '-ec', `${script}; exec "$@"`, stateDir] });
    }

    async function livesAndTakesNoWork(delegate: DelegateProcess): Promise<void> {
      const health = await delegate.health();
      expect(health).to.include({ livez: 200, readyz: 503 });
      // Whichever met the disk first.
      expect(health.reason).to.match(/^the (journal|audit log) cannot be written$/);
    }

    async function worksAgain(delegate: DelegateProcess, connection: ScriptedConnection): Promise<void> {
      // Journal and audit log notice each for itself, and grants of before may still be unread.
      const giveUpAt = performance.now() + DISK_NOTICED_WITHIN_MS;
      while ((await delegate.health()).readyz !== 200 && performance.now() < giveUpAt);
      expect(await delegate.health()).to.include({ livez: 200, readyz: 200 });
      await serviceNow.begin(connection, SECOND);
      serviceNow.answer();
      while ((await connection.next('task.result')).taskId !== SECOND.taskId);
    }

    it('that is full takes no work and says why, lives on, and goes on when there is room', async () => {
      const delegate = onMount('mount -t tmpfs -o size=256k tmpfs "$0"', { DELEGATE_CAPACITY: '100' });
      const connection = await session(delegate);
      const filler = join(`/proc/${delegate.pid}/root`, stateDir, 'filler');
      await fill(filler);
      // The last page of the journal still takes a few records.
      for (let n = 0; connection.all('task.reject').length === 0; n += 1) {
        serviceNow.assign(connection, { taskId: `fill-${n}`, attempt: 1 });
        const answered = (): number =>
          connection.all('task.accept').length + connection.all('task.reject').length;
        await until('the assign is answered', () => answered() === n + 1);
      }
      expect(connection.all('task.reject')[0]).to.include({ code: 'outbox-full' });
      const credits = connection.all('credit').length;
      await livesAndTakesNoWork(delegate);
      await connection.synchronise();
      expect(connection.all('credit')).to.have.lengthOf(credits);
      // Results on their way from memory: what was taken is delivered all the same.
      await until('what was taken is delivered', () => {
        serviceNow.answer();
        return connection.all('task.result').length === connection.all('task.accept').length;
      });
      await truncate(filler, 0);
      await worksAgain(delegate, connection);
      const audit = auditFolder(join(`/proc/${delegate.pid}/root`, stateDir, 'audit'));
      const { faults, records } = await verifyAuditLog(audit);
      expect(faults).to.deep.equal([]);
      expect(records).to.be.greaterThan(2 * connection.all('task.result').length);
    });

    it('that is read-only delivers what it holds, takes no work, and goes on when it may write', async () => {
      const result = await leaveResult();
      const delegate = onMount('mount --bind "$0" "$0"; mount -o remount,bind,ro "$0"');
      await delegate.says('session open');
      const connection = await manager.nextConnection();
      expect(await connection.next('task.result')).to.deep.equal(result);
      await livesAndTakesNoWork(delegate);
      expect(connection.all('credit')).to.deep.equal([]);
      const inside = ['--target', String(delegate.pid), '--mount'];
      expect(await canRun('nsenter', [...inside, 'mount', '-o', 'remount,bind,rw', stateDir])).to.equal(true);
      await worksAgain(delegate, connection);
    });
  });
});

function flipped(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes);
  copy[at] = (copy[at] ?? 0) ^ 0xff;
  return copy;
}

/** Until the disk takes no more. */
async function fill(path: string): Promise<void> {
  const chunk = Buffer.alloc(4_096);
  for (;;) {
    try {
      await writeFile(path, chunk, { flag: 'a' });
    } catch {
      return;
    }
  }
}
