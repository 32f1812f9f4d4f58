import { expect } from 'chai';
import * as fc from 'fast-check';
import { TOLD_IN_FULL, WINDOW_MS } from '../../../src/observability/audit/flood.ts';
import { verifyAuditLog } from '../../../src/observability/audit/verify.ts';
import { Redactor } from '../../../src/kit/secret.ts';
import { formsOf } from '../../support/canaries.ts';
import { Disk, recordsOf, refused, taken } from './disk.ts';

describe('the size of an audit log', () => {
  const MAX_BYTES = 1_048_576;

  it('has a bound: the oldest files go, whole, and the chain says from which record on it was kept', async () => {
    const disk = new Disk();
    const audit = await disk.open({ maxBytes: MAX_BYTES });
    let most = 0;
    for (let round = 0; round < 40; round += 1) {
      await Promise.all(Array.from({ length: 200 }, (_, n) => audit.admit(taken(round * 200 + n))));
      most = Math.max(most, disk.folder.bytes);
    }
    await audit[Symbol.asyncDispose]();
    expect(most).to.be.lessThan(MAX_BYTES);
    const report = await verifyAuditLog(disk.folder);
    expect(report).to.include({ isWhole: true });
    expect(report.first?.seq).to.be.greaterThan(1_000);
    expect(recordsOf(disk.folder.text)[0]).to.include({ event: 'segment', file: disk.folder.names[0] });
    expect(disk.folder.names[0]).to.not.equal('audit-0000000001.ndjson');
  }).timeout(10_000);

  it('is no way to hide a beginning: a file that somebody else removes is missed', async () => {
    const disk = new Disk();
    const audit = await disk.open({ maxBytes: MAX_BYTES });
    for (let round = 0; round < 12; round += 1) {
      await Promise.all(Array.from({ length: 200 }, (_, n) => audit.admit(taken(round * 200 + n))));
    }
    await audit[Symbol.asyncDispose]();
    const [oldest = ''] = disk.folder.names;
    disk.folder.files.delete(oldest);
    const { faults } = await verifyAuditLog(disk.folder);
    expect(faults.map(({ kind }) => kind)).to.deep.equal(['beginning-missing']);
  }).timeout(10_000);

  it('goes on where it was, after a crash between a new file and the end of the old ones', async () => {
    const disk = new Disk();
    let audit = await disk.open({ maxBytes: MAX_BYTES });
    disk.folder.fail('EIO', 'remove');
    for (let round = 0; round < 40 && audit.writable; round += 1) {
      await Promise.all(Array.from({ length: 200 }, (_, n) => audit.record(taken(round * 200 + n))));
    }
    expect(audit.writable).to.equal(false);
    disk.folder.heal();
    audit = await disk.open({ maxBytes: MAX_BYTES });
    await audit[Symbol.asyncDispose]();
    expect(await verifyAuditLog(disk.folder)).to.include({ isWhole: true });
  }).timeout(10_000);
});

describe('a flood of refusals', () => {
  it('is told in full up to a bound, and counted beyond it', async () => {
    const disk = new Disk();
    const audit = await disk.open();
    for (let n = 0; n < 5_000; n += 1) await audit.record(refused(n));
    await audit.record(refused(1, { code: 'policy-denied', rule: 'instances' }));
    await disk.clock.advance(WINDOW_MS);
    await audit.record(refused(6_000));
    await audit[Symbol.asyncDispose]();
    const records = recordsOf(disk.folder.text);
    expect(records.filter(({ event }) => event === 'refused')).to.have.lengthOf(TOLD_IN_FULL + 2);
    const [repeated, ...others] = records.filter(({ event }) => event === 'repeated');
    expect(repeated).to.include({
      of: 'refused',
      code: 'bad-signature',
      rule: null,
      count: 5_000 - TOLD_IN_FULL,
    });
    expect(others).to.deep.equal([]);
  });

  it('of ever new codes is bounded, too', async () => {
    const disk = new Disk();
    const audit = await disk.open();
    for (let n = 0; n < 3_000; n += 1) await audit.record(refused(n, { rule: `rule-${n}` }));
    await audit[Symbol.asyncDispose]();
    const records = recordsOf(disk.folder.text);
    expect(records.filter(({ event }) => event === 'refused').length).to.be.lessThan(250);
    expect(records.find(({ event }) => event === 'repeated')).to.include({ of: 'others' });
  });

  it('hides no task: what was taken and done is never counted together', async () => {
    const disk = new Disk();
    const audit = await disk.open();
    for (let n = 0; n < 100; n += 1) await audit.record(taken(n));
    await audit[Symbol.asyncDispose]();
    expect(disk.story.filter((line) => line.startsWith('task '))).to.have.lengthOf(100);
  });
});

describe('a record', () => {
  const CANARY = 'c4n4ry/ünd+"quoted"\\slash';

  it('holds no secret, in whichever form and field it comes', async () => {
    const disk = new Disk();
    const redactor = new Redactor();
    redactor.register(CANARY);
    const audit = await disk.open({ scrub: (text) => redactor.scrub(text) });
    for (const form of formsOf(CANARY)) {
      await audit.record(taken(1, { name: `x${form}y`, allowedBy: [form], signedBy: form }));
      await audit.record(refused(2, { why: `${'a'.repeat(480)}${form}`, rule: form, code: form }));
      await audit.record({
        event: 'task-ended',
        taskId: form,
        attempt: 1,
        name: form,
        outcome: 'failed',
        code: form,
        secrets: [{ name: form, hosts: [form] }],
        durationMs: 1,
      });
    }
    await audit[Symbol.asyncDispose]();
    for (const form of formsOf(CANARY)) expect(disk.folder.text.includes(form), form).to.equal(false);
  });

  it('keeps its meaning where a secret is one of its words', async () => {
    const disk = new Disk();
    const redactor = new Redactor();
    for (const word of ['task', 'refused', 'stopped']) redactor.register(word);
    const audit = await disk.open({ scrub: (text) => redactor.scrub(text) });
    await audit.admit(taken(1));
    await audit[Symbol.asyncDispose]();
    expect(disk.story).to.deep.equal(['segment', 'started', 'task t-1', 'stopped']);
  });

  it('is one line of printable text, of bounded length, whatever a manager makes up', async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: 'binary', maxLength: 3_000 }), async (text) => {
        const disk = new Disk();
        const audit = await disk.open();
        await audit.record(refused(1, { why: text + text, name: `\u001b[2J\u202e\u2028\n${text}` }));
        await audit[Symbol.asyncDispose]();
        expect(disk.folder.text).to.not.match(/[^\n\P{C}]|[\p{Zl}\p{Zp}]/u);
        expect(disk.story).to.have.lengthOf(4);
        for (const line of disk.folder.text.split('\n')) expect(line.length).to.be.lessThan(20_000);
        expect(await verifyAuditLog(disk.folder)).to.include({ isWhole: true });
      }),
      { numRuns: 40 },
    );
  });
});
