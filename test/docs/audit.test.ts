import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { eventOf } from '../../src/observability/audit/chain.ts';
import { AUDIT_FIELDS } from '../../src/observability/audit/events.ts';
import { recordsIn } from '../../src/observability/audit/records.ts';
import { verifyAuditLog } from '../../src/observability/audit/verify.ts';
import { MemoryFolder } from '../observability/audit/memory-folder.ts';

const page = readFileSync(new URL('../../docs/audit.md', import.meta.url), 'utf8');

describe('docs/audit.md', () => {
  it('shows records that the delegate could have written: they are one chain, and their hashes are right', async () => {
    const [, example = ''] = /^```ndjson\n([\s\S]*?)^```$/m.exec(page) ?? [];
    const folder = new MemoryFolder();
    folder.put('audit-0000000001.ndjson', example);
    expect(await verifyAuditLog(folder)).to.include({ isWhole: true, records: 7 });
    for await (const found of recordsIn(folder)) {
      expect(found && eventOf(found.record)?.event).to.equal(found?.record.event);
    }
  });

  for (const [event, fields] of Object.entries(AUDIT_FIELDS)) {
    it(`lists ${event} with each of its fields, and no other`, () => {
      const row = page.split('\n').find((line) => line.startsWith(`| \`${event}\``)) ?? '';
      const cell = row.split('|')[3] ?? '';
      const named = [...cell.matchAll(/`([a-zA-Z]+)`/g)].map(([, name]) => name);
      expect(named).to.include.members([...fields]);
      const words = ['null', 'name', 'hosts', 'discarded'];
      expect(named.filter((name = '') => !fields.includes(name) && !words.includes(name))).to.deep.equal([]);
    });
  }
});
