import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { deferred, type Deferred } from '../../src/kit/flow.ts';
import { startManager, type Manager, type TaskRecord } from '../../src/manager/manager.ts';
import { readLedger } from '../chaos/ledger.ts';
import { endingOf } from '../manager/support/manager-under-test.ts';
import { SoakProcess } from '../soak/process.ts';
import { leavesNothingOpen } from '../support/open-handles.ts';
import { tempDirs } from '../support/temp-dir.ts';
import { within } from '../support/until.ts';

/** Not shorter: a machine that stands still for two heartbeats ends the session before the test does. */
const HEARTBEAT_MS = 500;
const LEASE_MS = 3 * HEARTBEAT_MS;
const BLOCKED_MS = 3 * LEASE_MS;
const DEADLINE_MS = 30_000;

/** A real process whose event loop is held, while a real manager, in this process, goes on. */
describe('an event loop that is blocked for three lease times', function () {
  this.timeout(60_000);
  const tempDir = tempDirs();
  let manager: Manager;
  let delegate: SoakProcess;
  let ledgerPath: string;
  let begun: Deferred<void>;

  beforeEach(async () => {
    const folder = await tempDir();
    let beats = 0;
    begun = deferred();
    ledgerPath = join(folder, 'ledger.txt');
    await writeFile(ledgerPath, '');
    manager = await startManager({
      heartbeatMs: HEARTBEAT_MS,
      leaseMs: LEASE_MS,
      onFrame: (direction, _sessionId, text) => {
        // The second heartbeat that names a task: the answer to the first followed the acknowledgement of its accept.
        if (direction !== 'received' || !text.includes('"heartbeat"') || !text.includes('"attempt":1'))
          return;
        beats += 1;
        if (beats === 2) begun.resolve();
      },
    });
    const environment = {
      DELEGATE_MANAGER_URL: manager.url,
      DELEGATE_ENROLMENT_TOKEN: manager.createEnrolmentToken().value.reveal(),
      DELEGATE_STATE_DIR: join(folder, 'state'),
      DELEGATE_HTTP_PORT: '0',
      DELEGATE_LOG_LEVEL: 'fatal',
    };
    delegate = SoakProcess.fork();
    await delegate.start({ environment, ledgerPath });
  });

  afterEach(async () => {
    await delegate[Symbol.asyncDispose]();
    await manager.close();
  });
  leavesNothingOpen();

  async function ended(taskId: string): Promise<TaskRecord> {
    const end = manager.whenEnded(taskId, new AbortController().signal);
    return await within(`the end of ${taskId}`, end, DEADLINE_MS);
  }

  it('writes nothing after it: the write is given to nobody else and ends as unknown, the reading is done again', async () => {
    const common = { version: 1, selectors: [], timeoutMs: DEADLINE_MS };
    // Due in the middle of the blockade: without a fence the line would be the first thing written after it.
    const append = { key: 'fenced', beforeMs: BLOCKED_MS, afterMs: 0, end: 'succeeds' };
    const { taskId: writing } = manager.submit({ ...common, name: 'ledger.append', input: append });
    await within('the write to have begun', begun.promise, DEADLINE_MS);
    const { taskId: reading } = manager.submit({
      ...common,
      name: 'soak.block',
      input: { key: 'once', forMs: BLOCKED_MS },
    });
    const write = await ended(writing);
    const read = await ended(reading);
    expect(endingOf(write)).to.include({ outcome: 'unknown' });
    expect(write.attempt).to.equal(1);
    expect(endingOf(read)).to.include({ outcome: 'succeeded' });
    expect(read.history.map(({ what }) => what)).to.include('lease-expired');
    expect(readLedger(ledgerPath)).to.deep.equal([]);
  });
});
