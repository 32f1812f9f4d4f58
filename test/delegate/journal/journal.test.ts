import { randomBytes } from 'node:crypto';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import * as fc from 'fast-check';
import { pino } from 'pino';
import { MAX_REMEMBERED_ENDED } from '../../../src/delegate/journal/ended-attempts.ts';
import type { BeginRecord, Journal } from '../../../src/delegate/journal/journal.ts';
import {
  COMPACT_FROM_BYTES,
  openJournal,
  RETRY_EVERY_MS,
  STALLED_AFTER_MS,
} from '../../../src/delegate/journal/file-journal.ts';
import { journalFolder, type JournalFolder } from '../../../src/delegate/journal/folder.ts';
import { DelegateError } from '../../../src/kit/errors.ts';
import { systemClock } from '../../../src/kit/time.ts';
import { keyOf, type TaskRef } from '../../../src/protocol/messages.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { leavesNothingOpen } from '../../support/open-handles.ts';
import { tempDirs } from '../../support/temp-dir.ts';
import { FaultyFolder } from './faulty-folder.ts';
import { REF, resultOf } from '../frames.ts';

const KEY = randomBytes(32);
const AT = '2026-11-23T13:10:35.000Z';

function refOf(n: number, attempt = 1): TaskRef {
  return { taskId: `t-${n}`, attempt };
}

function beginOf(ref: TaskRef = REF, effect: BeginRecord['effect'] = 'writes'): BeginRecord {
  return { ref, name: 'test.write', effect, receivedAt: AT, delegate: resultOf().delegate };
}

/** A disk, and one process after the other that uses it. */
class Disk {
  readonly folder = new FaultyFolder();
  readonly clock = new ManualClock();
  readonly logged: string[] = [];
  /** Of each group that is safe, how long that took. */
  readonly written: number[] = [];
  readonly #log = pino({ level: 'info' }, { write: (line) => void this.logged.push(line) });

  /** The journal of the next process. The one before is left as a crash leaves it. */
  async open(key = KEY): Promise<Journal> {
    const onWritten = (tookMs: number): void => void this.written.push(tookMs);
    return await openJournal({ folder: this.folder, key, clock: this.clock, log: this.#log, onWritten });
  }

  async reopened(key = KEY): Promise<{ begun: string[]; finished: string[]; ended: string[] }> {
    const { begun, finished, ended } = (await this.open(key)).recover();
    return {
      begun: begun.map(({ ref, startedAt }) => keyOf(ref) + (startedAt === undefined ? '' : ' started')),
      finished: finished.map(keyOf),
      ended: ended.map(keyOf),
    };
  }

  says(text: string): boolean {
    return this.logged.some((line) => line.includes(text));
  }
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return 'none';
  } catch (thrown) {
    return thrown instanceof DelegateError ? thrown.code : String(thrown);
  }
}

describe('the journal', () => {
  it('tells of each group that is safe on the disk, and of none that is refused', async () => {
    const disk = new Disk();
    const journal = await disk.open();
    expect(disk.written).to.deep.equal([0]);
    await Promise.all([journal.begin(beginOf(refOf(1))), journal.begin(beginOf(refOf(2)))]);
    expect(disk.written).to.have.lengthOf(2);
    disk.folder.fail('ENOSPC', 'append');
    expect(await codeOf(journal.begin(beginOf(refOf(3))))).to.equal('journal-unwritable');
    expect(disk.written).to.have.lengthOf(2);
  });

  it('gives the next process what was begun, started, finished and forgotten', async () => {
    const disk = new Disk();
    const journal = await disk.open();
    for (const n of [1, 2, 3, 4]) await journal.begin(beginOf(refOf(n)));
    await journal.start(refOf(2), AT);
    await journal.finish(resultOf(refOf(4), 'done'));
    await journal.finish(resultOf(refOf(3)));
    await journal.begin(beginOf(refOf(5)));
    await journal.forget(refOf(5));
    expect(await disk.reopened()).to.deep.equal({
      begun: ['t-1#1', 't-2#1 started'],
      finished: ['t-4#1', 't-3#1'],
      ended: ['t-5#1'],
    });
    const { begun, finished } = (await disk.open()).recover();
    expect(begun[0]).to.deep.equal({ ...beginOf(refOf(1)), startedAt: undefined });
    expect(finished[0]).to.deep.equal(resultOf(refOf(4), 'done'));
  });

  it('has what it promised after a power cut, and at most one acknowledgement less', async () => {
    const disk = new Disk();
    const journal = await disk.open();
    await journal.begin(beginOf(refOf(1)));
    await journal.finish(resultOf(refOf(2)));
    await journal.forget(refOf(2));
    disk.folder.cutPower();
    expect(await disk.reopened()).to.deep.equal({ begun: ['t-1#1'], finished: ['t-2#1'], ended: [] });
  });

  it('keeps the highest attempt of a task alone', async () => {
    const disk = new Disk();
    const journal = await disk.open();
    await journal.finish(resultOf(refOf(1, 2)));
    await journal.begin(beginOf(refOf(1, 3)));
    await journal.finish(resultOf(refOf(1, 2)));
    await journal.forget(refOf(1, 2));
    expect(await disk.reopened()).to.deep.equal({ begun: ['t-1#3'], finished: [], ended: ['t-1#2'] });
  });

  it('puts a second result of an attempt in the place of the first', async () => {
    const disk = new Disk();
    const journal = await disk.open();
    await journal.finish(resultOf(REF, 'too large'));
    await journal.finish(resultOf(REF, 'replaced'));
    expect((await disk.open()).recover().finished).to.deep.equal([resultOf(REF, 'replaced')]);
  });

  it('remembers so many ended tasks, and no more', async () => {
    const disk = new Disk();
    const journal = await disk.open();
    const all = Array.from({ length: MAX_REMEMBERED_ENDED + 5 }, (_, n) => refOf(n));
    await Promise.all(all.map((ref) => journal.forget(ref)));
    const { ended } = (await disk.open()).recover();
    expect(ended).to.deep.equal(all.slice(5));
  });

  it('does not let a lone record wait, and lets many share one fsync', async () => {
    const disk = new Disk();
    const journal = await disk.open();
    const before = disk.folder.count('sync');
    await journal.begin(beginOf(refOf(0)));
    expect(disk.folder.count('sync') - before).to.equal(1);
    await Promise.all(Array.from({ length: 200 }, (_, n) => journal.begin(beginOf(refOf(n + 1)))));
    expect(disk.folder.count('sync') - before).to.equal(2);
    expect(disk.clock.pending).to.equal(0);
  });

  it('waits for no fsync to forget', async () => {
    const disk = new Disk();
    const journal = await disk.open();
    const before = disk.folder.count('sync');
    await journal.forget(REF);
    expect(disk.folder.count('sync')).to.equal(before);
  });

  it('does not grow with what it has forgotten, and is one file after each start', async () => {
    const disk = new Disk();
    const journal = await disk.open();
    await journal.begin(beginOf(refOf(0)));
    const output = 'x'.repeat(500_000);
    for (let n = 1; n < 40; n += 1) {
      await journal.finish(resultOf(refOf(n), output));
      await journal.forget(refOf(n));
      const bytes = [...disk.folder.files.values()].reduce((sum, file) => sum + file.bytes.length, 0);
      expect(bytes).to.be.at.most(COMPACT_FROM_BYTES + 2 * output.length);
    }
    expect(disk.folder.names).to.have.lengthOf(1);
    await disk.open();
    expect(disk.folder.names).to.have.lengthOf(1);
    expect((await disk.reopened()).begun).to.deep.equal(['t-0#1']);
  });

  it('writes what it was asked for before it is closed, and takes nothing after', async () => {
    const disk = new Disk();
    const journal = await disk.open();
    const begun = journal.begin(beginOf(refOf(1)));
    await journal[Symbol.asyncDispose]();
    await begun;
    expect(await codeOf(journal.begin(beginOf(refOf(2))))).to.equal('journal-unwritable');
    expect((await disk.reopened()).begun).to.deep.equal(['t-1#1']);
  });

  it('loses nothing it promised, and invents nothing, in any history of records, crashes and power cuts', async () => {
    const ref = fc.record({
      taskId: fc.constantFrom('a', 'b', 'c'),
      attempt: fc.integer({ min: 1, max: 3 }),
    });
    const step = fc.oneof(
      { weight: 6, arbitrary: fc.record({ do: fc.constantFrom('begin', 'start', 'finish', 'forget'), ref }) },
      { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('crash', 'power-cut'), ref }) },
      {
        weight: 1,
        arbitrary: fc.record({ do: fc.constantFrom('fail-append', 'fail-sync', 'fail-all', 'heal'), ref }),
      },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), fc.nat(60), async (steps, torn) => {
        const disk = new Disk();
        let journal = await disk.open();
        const model = new Map<string, 'begun' | 'started' | 'finished'>();
        const ended = new Map<string, number>();
        for (const one of steps) {
          const key = keyOf(one.ref);
          const isLive = model.has(key);
          // What the workload never does: begin what is older than what it knows, or finish what it does not have.
          const others = [1, 2, 3].filter(
            (n) => n !== one.ref.attempt && model.has(`${one.ref.taskId}#${n}`),
          );
          const isNew = !isLive && others.length === 0 && one.ref.attempt > (ended.get(one.ref.taskId) ?? 0);
          switch (one.do) {
            case 'begin':
              if (isNew && (await codeOf(journal.begin(beginOf(one.ref)))) === 'none')
                model.set(key, 'begun');
              break;
            case 'start':
              if (model.get(key) !== 'begun') break;
              if ((await codeOf(journal.start(one.ref, AT))) === 'none') model.set(key, 'started');
              else disk.folder.heal();
              break;
            case 'finish':
              if (!isLive) break;
              // Also what is refused must come through, once the disk takes a record again.
              if ((await codeOf(journal.finish(resultOf(one.ref)))) !== 'none') disk.folder.heal();
              model.set(key, 'finished');
              break;
            case 'forget':
              if (!isLive) break;
              if ((await codeOf(journal.forget(one.ref))) !== 'none') disk.folder.heal();
              model.delete(key);
              ended.set(one.ref.taskId, one.ref.attempt);
              break;
            case 'fail-append':
              disk.folder.partOfFailedAppend = torn / 60;
              disk.folder.fail('ENOSPC', 'append');
              break;
            case 'fail-sync':
              disk.folder.fail('EIO', 'sync');
              break;
            case 'fail-all':
              disk.folder.fail('EROFS', 'append', 'create', 'sync', 'rename', 'remove');
              break;
            case 'heal':
              disk.folder.heal();
              break;
            default: {
              disk.folder.heal();
              if (!journal.writable) await disk.clock.advance(RETRY_EVERY_MS);
              // After a forget nobody syncs; a begin of something else does.
              await journal.begin(beginOf({ taskId: 'z', attempt: 1 }));
              await journal.forget({ taskId: 'z', attempt: 1 });
              if (one.do === 'power-cut') disk.folder.cutPower(torn);
              journal = await disk.open();
              const { begun, finished } = journal.recover();
              const found = new Map<string, string>([
                ...begun
                  .filter((task) => task.ref.taskId !== 'z')
                  .map(
                    (task) => [keyOf(task.ref), task.startedAt === undefined ? 'begun' : 'started'] as const,
                  ),
                ...finished.map((result) => [keyOf(result), 'finished'] as const),
              ]);
              expect(Object.fromEntries(found)).to.deep.equal(Object.fromEntries(model));
              await journal.forget({ taskId: 'z', attempt: 1 });
            }
          }
          if (!journal.writable && disk.folder.failing.size === 0) await disk.clock.advance(RETRY_EVERY_MS);
        }
        await journal[Symbol.asyncDispose]();
        expect(disk.clock.pending).to.equal(0);
      }),
      { numRuns: 150 },
    );
  });
});

describe('the journal on a disk that takes nothing', () => {
  it('refuses to begin, says so once, and goes on when the disk does', async () => {
    const disk = new Disk();
    const journal = await disk.open();
    let told = 0;
    journal.onWritable = () => (told += 1);
    disk.folder.fail('ENOSPC', 'append');
    for (const n of [1, 2])
      expect(await codeOf(journal.begin(beginOf(refOf(n))))).to.equal('journal-unwritable');
    expect(journal.writable).to.equal(false);
    await disk.clock.advance(3 * RETRY_EVERY_MS);
    expect(disk.logged.filter((line) => line.includes('cannot be written'))).to.have.lengthOf(1);
    expect(disk.says('ENOSPC')).to.equal(true);
    expect([journal.writable, told]).to.deep.equal([false, 0]);
    disk.folder.heal();
    await disk.clock.advance(RETRY_EVERY_MS);
    expect([journal.writable, told]).to.deep.equal([true, 1]);
    await journal.begin(beginOf(refOf(3)));
    expect((await disk.reopened()).begun).to.deep.equal(['t-3#1']);
  });

  it('writes a result that it refused as soon as the disk takes one', async () => {
    const disk = new Disk();
    const journal = await disk.open();
    await journal.begin(beginOf());
    disk.folder.fail('ENOSPC', 'append');
    expect(await codeOf(journal.finish(resultOf()))).to.equal('journal-unwritable');
    expect((await disk.reopened()).begun).to.deep.equal(['t-1#1']);
    disk.folder.heal();
    await disk.clock.advance(RETRY_EVERY_MS);
    expect((await disk.reopened()).finished).to.deep.equal(['t-1#1']);
  });

  it('leaves no heap of half segments on a full disk', async () => {
    const disk = new Disk();
    const journal = await disk.open();
    disk.folder.partOfFailedAppend = 0.5;
    disk.folder.fail('ENOSPC', 'append');
    await codeOf(journal.begin(beginOf()));
    await disk.clock.advance(20 * RETRY_EVERY_MS);
    expect(disk.folder.names).to.have.lengthOf(1);
  });

  it('trusts no file after an fsync that failed: the next segment has it all', async () => {
    const disk = new Disk();
    const journal = await disk.open();
    await journal.begin(beginOf(refOf(1)));
    const [first] = disk.folder.names;
    disk.folder.fail('EIO', 'sync');
    expect(await codeOf(journal.begin(beginOf(refOf(2))))).to.equal('journal-unwritable');
    disk.folder.heal();
    await disk.clock.advance(RETRY_EVERY_MS);
    expect(disk.folder.names).to.have.lengthOf(1);
    expect(disk.folder.names[0]).to.not.equal(first);
    disk.folder.cutPower();
    expect((await disk.reopened()).begun).to.deep.equal(['t-1#1']);
  });

  it('delivers what a read-only folder holds, and says that it can record nothing', async () => {
    const disk = new Disk();
    const before = await disk.open();
    await before.finish(resultOf());
    await before.begin(beginOf(refOf(2)));
    disk.folder.fail('EROFS', 'create', 'append', 'rename', 'remove');
    const journal = await disk.open();
    expect(journal.writable).to.equal(false);
    expect(journal.recover().finished.map(keyOf)).to.deep.equal(['t-1#1']);
    expect(journal.recover().begun.map(({ ref }) => keyOf(ref))).to.deep.equal(['t-2#1']);
    expect(disk.says('EROFS')).to.equal(true);
    await journal[Symbol.asyncDispose]();
    expect(disk.clock.pending).to.equal(0);
  });

  it('is not taken for one that does not answer by a process that was frozen', async () => {
    const disk = new Disk();
    const journal = await disk.open();
    const answer = disk.folder.stall();
    const begun = codeOf(journal.begin(beginOf(refOf(1))));
    disk.clock.block(STALLED_AFTER_MS);
    answer();
    await disk.clock.advance(0);
    expect(await begun).to.equal('none');
    expect(journal.writable).to.equal(true);
  });

  it('has in the end what was refused while it found its way back', async () => {
    const disk = new Disk();
    const journal = await disk.open();
    await journal.finish(resultOf(refOf(1)));
    const answer = disk.folder.stall();
    const begun = codeOf(journal.begin(beginOf(refOf(2))));
    await disk.clock.advance(STALLED_AFTER_MS);
    expect(await begun).to.equal('journal-unwritable');
    answer();
    // The write that hung is over, the disk is still in doubt.
    await Promise.resolve();
    expect(await codeOf(journal.forget(refOf(1)))).to.equal('journal-unwritable');
    await disk.clock.settle();
    expect(journal.writable).to.equal(true);
    expect(await disk.reopened()).to.deep.equal({ begun: [], finished: [], ended: ['t-1#1'] });
  });

  it('lets nobody wait for a disk that does not answer, and closes all the same', async () => {
    const disk = new Disk();
    const journal = await disk.open();
    const answer = disk.folder.stall();
    const begun = codeOf(journal.begin(beginOf(refOf(1))));
    await disk.clock.advance(STALLED_AFTER_MS);
    expect(await begun).to.equal('journal-unwritable');
    expect(journal.writable).to.equal(false);
    answer();
    await disk.clock.settle();
    expect(journal.writable).to.equal(true);
    // It was refused, whatever has become of it on the disk since.
    expect((await disk.reopened()).begun).to.deep.equal([]);
    disk.folder.stall();
    const late = codeOf(journal.begin(beginOf(refOf(2))));
    const closed = journal[Symbol.asyncDispose]();
    await disk.clock.advance(STALLED_AFTER_MS);
    await closed;
    expect(await late).to.equal('journal-unwritable');
  });
});

describe('the journal and what was done to its files', () => {
  async function written(disk: Disk): Promise<{ name: string; bytes: Buffer }> {
    const journal = await disk.open();
    for (const n of [1, 2, 3]) await journal.finish(resultOf(refOf(n)));
    await journal[Symbol.asyncDispose]();
    const name = disk.folder.names.findLast((one) => one.endsWith('.log')) ?? '';
    const bytes = disk.folder.files.get(name)?.bytes ?? Buffer.alloc(0);
    return { name, bytes };
  }

  it('goes on after a torn tail, and leaves nothing of it', async () => {
    const disk = new Disk();
    const { name, bytes } = await written(disk);
    disk.folder.put(name, bytes.subarray(0, -3));
    expect((await disk.reopened()).finished).to.deep.equal(['t-1#1', 't-2#1']);
    expect(disk.says('ends within a record')).to.equal(true);
    expect(disk.folder.names.filter((one) => one.includes('set-aside'))).to.deep.equal([]);
  });

  it('sets a damaged file aside, uses the rest of it, and says so', async () => {
    const disk = new Disk();
    const { name, bytes } = await written(disk);
    bytes.writeUInt8(bytes.readUInt8(bytes.length - 1_000) ^ 0xff, bytes.length - 1_000);
    expect((await disk.reopened()).finished).to.have.lengthOf(2);
    expect(disk.says('cannot be read')).to.equal(true);
    expect(disk.folder.names).to.include(`${name}.set-aside`);
    expect((await disk.reopened()).finished).to.have.lengthOf(2);
  });

  it('takes a write for begun when the record that says so may be the damaged one', async () => {
    const disk = new Disk();
    const journal = await disk.open();
    await journal.begin(beginOf(refOf(1)));
    await journal.begin(beginOf(refOf(2), 'reads'));
    await journal.start(refOf(1), AT);
    const [name = ''] = disk.folder.names;
    const bytes = disk.folder.files.get(name)?.bytes ?? Buffer.alloc(0);
    bytes.writeUInt8(bytes.readUInt8(bytes.length - 1) ^ 0xff, bytes.length - 1);
    expect((await disk.reopened()).begun).to.deep.equal(['t-1#1 started', 't-2#1']);
  });

  it('believes no segment that lacks records when it says what it replaces', async () => {
    const disk = new Disk();
    const { name, bytes } = await written(disk);
    const before = Buffer.from(bytes);
    await disk.open();
    const next = disk.folder.names.findLast((one) => one.endsWith('.log')) ?? '';
    // A power cut right after the new segment was begun: the old one is still there, a page of the new one is not.
    const torn = disk.folder.files.get(next)?.bytes ?? Buffer.alloc(0);
    torn.fill(0, 300, 400);
    disk.folder.put(name, before);
    expect((await disk.reopened()).finished).to.have.lengthOf(3);
  });

  it('sets aside what another key has written, and takes it up when the key is back', async () => {
    const disk = new Disk();
    await written(disk);
    const other = randomBytes(32);
    expect(await disk.reopened(other)).to.deep.equal({ begun: [], finished: [], ended: [] });
    expect(disk.says('taken up again at a start with the state key')).to.equal(true);
    const meanwhile = await disk.open(other);
    await meanwhile.finish(resultOf(refOf(4)));
    await meanwhile[Symbol.asyncDispose]();
    expect((await disk.reopened()).finished).to.deep.equal(['t-1#1', 't-2#1', 't-3#1']);
    // Once: it is in a segment of today now.
    expect((await disk.reopened()).finished).to.have.lengthOf(3);
    expect(disk.folder.names.filter((one) => one.endsWith('.set-aside'))).to.have.lengthOf(1);
    expect((await disk.reopened(other)).finished).to.deep.equal(['t-4#1']);
  });

  it('never gives two files one name, whatever was set aside and removed', async () => {
    const disk = new Disk();
    await written(disk);
    await disk.open(randomBytes(32));
    for (const one of disk.folder.names) if (one.endsWith('.log')) await disk.folder.remove(one);
    await disk.open(randomBytes(32));
    await disk.open(randomBytes(32));
    expect((await disk.reopened()).finished).to.have.lengthOf(3);
  });

  it('goes on without a file that can be neither read nor moved, and never deletes it', async () => {
    const disk = new Disk();
    const { name } = await written(disk);
    disk.folder.fail('EACCES', 'read', 'rename');
    const journal = await disk.open();
    expect(journal.writable).to.equal(true);
    expect(disk.folder.names).to.include(name);
  });

  it('keeps no more than a few files aside', async () => {
    const disk = new Disk();
    for (let n = 0; n < 12; n += 1) {
      const { name, bytes } = await written(disk);
      disk.folder.put(name, Buffer.alloc(bytes.length, 'rubbish'));
    }
    disk.folder.put('identity.json.set-aside', 'an operator’s own');
    await disk.open();
    expect(disk.folder.names.filter((one) => one.endsWith('.log.set-aside'))).to.have.lengthOf(8);
    expect(disk.folder.names).to.include('identity.json.set-aside');
  });

  it('does not take up again what an older file holds that a later one has forgotten', async () => {
    const disk = new Disk();
    const journal = await disk.open();
    await journal.finish(resultOf(refOf(1)));
    disk.folder.fail('EBUSY', 'remove');
    const next = await disk.open();
    await next.forget(refOf(1));
    expect(disk.folder.names).to.have.lengthOf(2);
    await disk.open();
    expect(disk.folder.names).to.have.lengthOf(3);
    expect(await disk.reopened()).to.deep.equal({ begun: [], finished: [], ended: ['t-1#1'] });
    disk.folder.heal();
    await disk.open();
    expect(disk.folder.names).to.have.lengthOf(1);
  });

  it('does not start in a folder whose names it cannot read', async () => {
    const disk = new Disk();
    disk.folder.fail('EACCES', 'list');
    expect(await codeOf(disk.open())).to.equal('state-folder-unusable');
  });
});

describe('the journal on a real disk', () => {
  const tempDir = tempDirs();
  leavesNothingOpen();

  const open = async (folder: JournalFolder): Promise<Journal> =>
    await openJournal({ folder, key: KEY, clock: systemClock, log: pino({ level: 'silent' }) });

  it('keeps its records in files for its user alone', async () => {
    const path = join(await tempDir(), 'state');
    {
      await using journal = await open(journalFolder(path));
      await Promise.all([1, 2, 3].map((n) => journal.begin(beginOf(refOf(n)))));
      await journal.finish(resultOf(refOf(2)));
    }
    const names = await readdir(path);
    expect(names).to.deep.equal(['journal-0000000001.log']);
    expect((await stat(join(path, 'journal-0000000001.log'))).mode & 0o777).to.equal(0o600);
    expect((await stat(path)).mode & 0o777).to.equal(0o700);
    await using journal = await open(journalFolder(path));
    expect(journal.recover().finished.map(keyOf)).to.deep.equal(['t-2#1']);
    expect(journal.recover().begun).to.have.lengthOf(2);
    expect(await readdir(path)).to.deep.equal(['journal-0000000002.log']);
  });
});
