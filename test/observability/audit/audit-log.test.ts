import { expect } from 'chai';
import * as fc from 'fast-check';
import {
  HEAD_EVERY_MS,
  MAX_WAITING,
  RETRY_EVERY_MS,
  STALLED_AFTER_MS,
  SYNC_WITHIN_MS,
} from '../../../src/observability/audit/audit-log.ts';
import { eventOf } from '../../../src/observability/audit/chain.ts';
import { verifyAuditLog } from '../../../src/observability/audit/verify.ts';
import { codeOf, Disk, recordsOf, refused, taken } from './disk.ts';

describe('the audit log', () => {
  it('is one chain over every process that wrote it', async () => {
    const disk = new Disk();
    const first = await disk.open();
    await first.admit(taken(1));
    await first[Symbol.asyncDispose]();
    const second = await disk.open();
    await second.record(refused(2));
    await second[Symbol.asyncDispose]();
    expect(disk.story).to.deep.equal([
      'segment',
      'started',
      'task t-1',
      'stopped',
      'started',
      'refused t-2',
      'stopped',
    ]);
    const records = recordsOf(disk.folder.text);
    expect(records.map(({ seq }) => seq)).to.deep.equal([1, 2, 3, 4, 5, 6, 7]);
    for (const [index, record] of records.entries()) {
      expect(record.prev).to.equal(records[index - 1]?.hash ?? '0'.repeat(64));
      expect(eventOf(record)?.event).to.equal(record.event);
    }
    expect(await verifyAuditLog(disk.folder)).to.include({ isWhole: true, records: 7, tornBytes: 0 });
  });

  it('keeps what it is told before it is open for when it is', async () => {
    const disk = new Disk();
    const audit = disk.boot();
    await audit.record(refused(1));
    expect(await codeOf(audit.admit(taken(2)))).to.equal('audit-unwritable');
    await audit.open();
    await audit[Symbol.asyncDispose]();
    expect(disk.story).to.deep.equal(['segment', 'refused t-1', 'started', 'stopped']);
  });

  it('writes nothing if it was never opened: the folder is another process’s', async () => {
    const disk = new Disk();
    await disk.boot()[Symbol.asyncDispose]();
    expect(disk.folder.calls).to.deep.equal([]);
  });

  it('holds records in the order in which they were told, however many tell at once', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom('admit', 'record', 'turn'), { maxLength: 60 }),
        async (steps) => {
          const disk = new Disk();
          const audit = await disk.open();
          const work: Promise<void>[] = [];
          for (const [n, step] of steps.entries()) {
            if (step === 'turn') await disk.clock.settle();
            else work.push(audit[step](taken(n)));
          }
          await Promise.all(work);
          const told = steps.flatMap((step, n) => (step === 'turn' ? [] : [`task t-${n}`]));
          expect(disk.story.slice(2)).to.deep.equal(told);
          expect(await verifyAuditLog(disk.folder)).to.include({ isWhole: true });
        },
      ),
      { numRuns: 30 },
    );
  });

  it('loses nothing to a killed process, and at most a second to a power cut', async () => {
    const disk = new Disk();
    const audit = await disk.open();
    await audit.admit(taken(1));
    await disk.clock.advance(SYNC_WITHIN_MS);
    await audit.admit(taken(2));
    expect(disk.story.at(-1)).to.equal('task t-2');
    disk.folder.cutPower();
    expect(disk.story.at(-1)).to.equal('task t-1');
    await (await disk.open())[Symbol.asyncDispose]();
    expect(await verifyAuditLog(disk.folder)).to.include({ isWhole: true });
  });

  it('syncs once a second at most, and not at all while nothing is told', async () => {
    const disk = new Disk();
    const audit = await disk.open();
    const before = disk.folder.count('sync');
    for (let n = 0; n < 50; n += 1) await audit.admit(taken(n));
    expect(disk.folder.count('sync')).to.equal(before);
    await disk.clock.advance(SYNC_WITHIN_MS);
    expect(disk.folder.count('sync')).to.equal(before + 1);
    await disk.clock.advance(60 * SYNC_WITHIN_MS);
    expect(disk.folder.count('sync')).to.equal(before + 1);
    expect(disk.clock.pending).to.equal(0);
  });

  it('leaves no timer behind', async () => {
    const disk = new Disk();
    const audit = await disk.open();
    await audit.record(refused(1));
    void audit.record(refused(2));
    await audit[Symbol.asyncDispose]();
    expect(disk.clock.pending).to.equal(0);
    expect(disk.story.at(-1)).to.equal('stopped');
  });

  it('names its newest record in the delegate’s log at start, at stop, and in between', async () => {
    const disk = new Disk();
    const audit = await disk.open();
    const heads = (): number[] =>
      disk.logged
        .filter((line) => line.includes('audit log head'))
        .map((line) => Number(/"seq":(\d+)/.exec(line)?.[1]));
    expect(heads()).to.deep.equal([2]);
    await audit.admit(taken(1));
    await disk.clock.advance(SYNC_WITHIN_MS);
    expect(heads()).to.deep.equal([2]);
    await disk.clock.advance(HEAD_EVERY_MS);
    await audit.admit(taken(2));
    await disk.clock.advance(SYNC_WITHIN_MS);
    expect(heads()).to.deep.equal([2, 4]);
    await audit[Symbol.asyncDispose]();
    expect(heads()).to.deep.equal([2, 4, 5]);
  });
});

describe('an audit log at its start', () => {
  it('cuts off a line that was never finished, and says so', async () => {
    const disk = new Disk();
    const audit = await disk.open();
    await audit.admit(taken(1));
    const [name = ''] = disk.folder.names;
    disk.folder.put(name, `${disk.folder.textOf(name)}{"seq":4,"time":"2026-`);
    expect(await verifyAuditLog(disk.folder)).to.include({ isWhole: true, tornBytes: 22 });
    await (await disk.open())[Symbol.asyncDispose]();
    expect(disk.story).to.deep.equal(['segment', 'started', 'task t-1', 'repaired', 'started', 'stopped']);
    expect(recordsOf(disk.folder.text)[3]).to.include({ file: name, cutBytes: 22 });
    expect(await verifyAuditLog(disk.folder)).to.include({ isWhole: true, tornBytes: 0 });
  });

  it('goes on after any part of its last write that a crash may have left', async () => {
    const disk = new Disk();
    const audit = await disk.open();
    await audit.admit(taken(1));
    const [name = ''] = disk.folder.names;
    const whole = disk.folder.textOf(name);
    for (let length = 0; length <= whole.length; length += 7) {
      const cut = new Disk();
      cut.folder.put(name, whole.slice(0, length));
      await (await cut.open())[Symbol.asyncDispose]();
      expect(await verifyAuditLog(cut.folder), `after ${length} bytes`).to.include({ isWhole: true });
    }
  });

  it('goes on in a new file after one that was changed, and says which line', async () => {
    const disk = new Disk();
    const audit = await disk.open();
    await audit.admit(taken(1));
    await audit.admit(taken(2));
    const [name = ''] = disk.folder.names;
    disk.folder.put(name, disk.folder.textOf(name).replace('"t-1"', '"t-9"'));
    await (await disk.open())[Symbol.asyncDispose]();
    expect(disk.folder.names).to.have.lengthOf(2);
    expect(recordsOf(disk.folder.text).find(({ event }) => event === 'damaged')).to.include({
      file: name,
      line: 3,
      why: 'record 3 was changed: its hash is of another text',
    });
    expect(disk.says('the audit log is not as it was left: verify it')).to.equal(true);
    const { faults } = await verifyAuditLog(disk.folder);
    expect(faults.map(({ kind, line }) => [kind, line])).to.deep.equal([['changed', 3]]);
  });

  it('misses an end that was cut off while no delegate ran', async () => {
    const disk = new Disk();
    const audit = await disk.open();
    await audit.admit(taken(1));
    await audit[Symbol.asyncDispose]();
    const [name = ''] = disk.folder.names;
    const lines = disk.folder.textOf(name).split('\n');
    disk.folder.put(name, `${lines.slice(0, 2).join('\n')}\n`);
    await (await disk.open())[Symbol.asyncDispose]();
    expect(recordsOf(disk.folder.text)[2]).to.include({ event: 'missing', lastSeq: 4 });
    const { faults } = await verifyAuditLog(disk.folder);
    expect(faults.map(({ kind }) => kind)).to.deep.equal(['found-at-start']);
  });

  it('begins a chain anew, and says so, where all files are gone', async () => {
    const disk = new Disk();
    await (await disk.open())[Symbol.asyncDispose]();
    for (const name of disk.folder.names) disk.folder.files.delete(name);
    await (await disk.open())[Symbol.asyncDispose]();
    expect(disk.story).to.deep.equal(['segment', 'missing', 'started', 'stopped']);
  });
});

describe('an audit log that the disk refuses', () => {
  for (const [what, call] of [
    ['a full disk', 'append'],
    ['a disk that fails to sync', 'sync'],
    ['a folder that takes no new file', 'append-to'],
  ] as const) {
    it(`${what}: takes no task, says so once, and goes on by itself`, async () => {
      const disk = new Disk();
      const audit = await disk.open({ maxBytes: 1_048_576 });
      let freed = 0;
      audit.onWritable = () => (freed += 1);
      await audit.admit(taken(1));
      disk.folder.fail('ENOSPC', call, ...(call === 'append-to' ? (['append'] as const) : []));
      disk.folder.partOfFailedAppend = 0.5;
      if (call === 'sync') await disk.clock.advance(SYNC_WITHIN_MS);
      else expect(await codeOf(audit.admit(taken(2)))).to.equal('audit-unwritable');
      expect(audit.writable).to.equal(false);
      expect(await codeOf(audit.admit(taken(3)))).to.equal('audit-unwritable');
      await audit.record(refused(4));
      await disk.clock.advance(3 * RETRY_EVERY_MS);
      expect(disk.logged.filter((line) => line.includes('cannot be written'))).to.have.lengthOf(1);
      expect(freed).to.equal(0);
      disk.folder.heal();
      await disk.clock.advance(RETRY_EVERY_MS);
      expect(audit.writable).to.equal(true);
      expect(freed).to.equal(1);
      await audit.admit(taken(5));
      await audit[Symbol.asyncDispose]();
      expect(disk.story).to.deep.equal([
        'segment',
        'started',
        'task t-1',
        'refused t-4',
        'task t-5',
        'stopped',
      ]);
      expect(await verifyAuditLog(disk.folder)).to.include({ isWhole: true });
    });
  }

  it('from the start: is opened all the same, and has every record when the disk takes one', async () => {
    const disk = new Disk();
    disk.folder.fail('EROFS', 'list', 'append-to', 'rewrite');
    const audit = await disk.open();
    expect(audit.writable).to.equal(false);
    disk.folder.heal();
    await disk.clock.advance(RETRY_EVERY_MS);
    expect(audit.writable).to.equal(true);
    expect(disk.story).to.deep.equal(['segment', 'started']);
    await audit[Symbol.asyncDispose]();
  });

  it('counts what memory can’t hold, and says so in the log', async () => {
    const disk = new Disk();
    const audit = await disk.open({ maxBytes: 64 * 1_048_576 });
    disk.folder.fail('ENOSPC', 'append');
    expect(await codeOf(audit.admit(taken(0)))).to.equal('audit-unwritable');
    for (let n = 0; n < MAX_WAITING + 3; n += 1) await audit.record(taken(n));
    disk.folder.heal();
    await disk.clock.advance(RETRY_EVERY_MS);
    await audit[Symbol.asyncDispose]();
    const records = recordsOf(disk.folder.text);
    expect(records.filter(({ event }) => event === 'task')).to.have.lengthOf(MAX_WAITING);
    expect(records.find(({ event }) => event === 'lost')).to.include({ count: 3 });
  }).timeout(10_000);

  it('by not answering: whoever waits is told, and nothing is written twice when it does answer', async () => {
    const disk = new Disk();
    const audit = await disk.open();
    const release = disk.folder.stall();
    const admission = codeOf(audit.admit(taken(1)));
    await disk.clock.advance(STALLED_AFTER_MS);
    expect(await admission).to.equal('audit-unwritable');
    expect(audit.writable).to.equal(false);
    release();
    await disk.clock.advance(RETRY_EVERY_MS);
    expect(audit.writable).to.equal(true);
    await audit[Symbol.asyncDispose]();
    expect(disk.story.filter((line) => line === 'task t-1')).to.have.lengthOf(1);
    expect(await verifyAuditLog(disk.folder)).to.include({ isWhole: true });
  });

  it('never holds up a stop', async () => {
    const disk = new Disk();
    const audit = await disk.open();
    const release = disk.folder.stall();
    void audit.record(taken(1));
    const closed = audit[Symbol.asyncDispose]();
    await disk.clock.advance(2_000);
    await closed;
    expect(disk.says('the last records of the audit log are not on the disk')).to.equal(true);
    release();
    await disk.clock.settle();
  });

  it('is whole after any order of failures, and lacks nothing that was promised', async () => {
    const step = fc.constantFrom(
      'admit',
      'record',
      'fail-append',
      'fail-sync',
      'tear',
      'heal',
      'wait',
      'crash',
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        const disk = new Disk();
        let audit = await disk.open();
        const promised: string[] = [];
        for (const [n, what] of steps.entries()) {
          if (what === 'admit') {
            if ((await codeOf(audit.admit(taken(n)))) === 'none') promised.push(`task t-${n}`);
          } else if (what === 'record') {
            await audit.record(taken(n));
            if (audit.writable) promised.push(`task t-${n}`);
          } else if (what === 'fail-append') disk.folder.fail('ENOSPC', 'append');
          else if (what === 'fail-sync') disk.folder.fail('EIO', 'sync');
          else if (what === 'tear') disk.folder.partOfFailedAppend = 0.7;
          else if (what === 'wait') await disk.clock.advance(RETRY_EVERY_MS);
          else {
            disk.folder.heal();
            if (what === 'crash') {
              disk.kill();
              audit = await disk.open();
            }
          }
        }
        disk.folder.heal();
        await audit[Symbol.asyncDispose]();
        expect(await verifyAuditLog(disk.folder)).to.include({ isWhole: true });
        const story = disk.story.filter((line) => promised.includes(line));
        expect(story).to.deep.equal(promised);
      }),
      { numRuns: 60 },
    );
  }).timeout(15_000);
});
