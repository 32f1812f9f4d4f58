import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect } from 'chai';
import * as fc from 'fast-check';
import { GENESIS, seal } from '../../../src/observability/audit/chain.ts';
import { verifyAuditLog, type AuditFaultKind } from '../../../src/observability/audit/verify.ts';
import { leavesNothingOpen } from '../../support/open-handles.ts';
import { Disk, recordsOf, refused, taken } from './disk.ts';
import { MemoryFolder } from './memory-folder.ts';

/** Eight records in two files, the second of which begins with record 5. */
async function twoFiles(): Promise<MemoryFolder> {
  const disk = new Disk();
  const audit = await disk.open();
  await audit.admit(taken(1));
  await audit.record(refused(2));
  await audit[Symbol.asyncDispose]();
  const [name = ''] = disk.folder.names;
  const lines = disk.folder.textOf(name).trimEnd().split('\n');
  const folder = disk.folder.copy();
  let text = '';
  const last = recordsOf(lines[3] ?? '')[0];
  let head = { seq: 4, hash: last?.hash ?? '' };
  for (const event of [
    { event: 'segment', format: 1, file: 'audit-0000000002.ndjson', keptFromSeq: 1 },
    taken(3),
    taken(4),
    { event: 'stopped' },
  ]) {
    const sealed = seal(event, '2026-11-23T13:10:35.000Z', head);
    text += sealed.line;
    head = sealed.head;
  }
  folder.put(name, `${lines.slice(0, 4).join('\n')}\n`);
  folder.put('audit-0000000002.ndjson', text);
  folder.put('head.json', JSON.stringify(head));
  return folder;
}

const FIRST = 'audit-0000000001.ndjson';
const SECOND = 'audit-0000000002.ndjson';

/** Lines of one file, changed by somebody with a text editor. */
function edited(folder: MemoryFolder, name: string, change: (lines: string[]) => string[]): void {
  const lines = folder.textOf(name).trimEnd().split('\n');
  folder.put(name, `${change(lines).join('\n')}\n`);
}

/** The same line with another text, and a hash that fits it. */
function resealed(line: string, from: string, to: string): string {
  const [record] = recordsOf(line.replace(from, to));
  if (record === undefined) throw new Error('there is one');
  const { seq, time, prev, hash: _, ...event } = record;
  return seal(event, time, { seq: seq - 1, hash: prev }).line.trimEnd();
}

function moved<T>(list: readonly T[], from: number, to: number): T[] {
  const others = list.toSpliced(from, 1);
  return others.toSpliced(to, 0, ...list.slice(from, from + 1));
}

interface Tampering {
  readonly what: string;
  readonly tamper: (folder: MemoryFolder) => void;
  /** Kind, file and line of the first fault. */
  readonly found: readonly [AuditFaultKind, string | undefined, number | undefined];
}

const TAMPERINGS: readonly Tampering[] = [
  {
    what: 'a word that is changed',
    tamper: (folder) => edited(folder, FIRST, (lines) => lines.map((line) => line.replace('t-1', 't-9'))),
    found: ['changed', FIRST, 3],
  },
  {
    what: 'a space that is added',
    tamper: (folder) =>
      edited(folder, FIRST, (lines) => lines.map((line) => line.replace('"t-1",', '"t-1", '))),
    found: ['changed', FIRST, 3],
  },
  {
    what: 'a member that is doubled, so that readers see another value than programs',
    tamper: (folder) =>
      edited(folder, FIRST, (lines) =>
        lines.map((line) => line.replace('"taskId":"t-1"', '"taskId":"t-9","taskId":"t-1"')),
      ),
    found: ['changed', FIRST, 3],
  },
  {
    what: 'a record that is changed, with a hash that fits it',
    tamper: (folder) =>
      edited(folder, FIRST, (lines) => lines.with(2, resealed(lines[2] ?? '', 't-1', 't-9'))),
    found: ['replaced', FIRST, 4],
  },
  {
    what: 'a record that is deleted',
    tamper: (folder) => edited(folder, FIRST, (lines) => lines.toSpliced(2, 1)),
    found: ['missing', FIRST, 3],
  },
  {
    what: 'a record that is inserted, with a hash that fits it',
    tamper: (folder) =>
      edited(folder, FIRST, (lines) => {
        const before = recordsOf(lines[2] ?? '')[0];
        const forged = seal(taken(9), '2026-11-23T13:10:35.000Z', { seq: 3, hash: before?.hash ?? '' });
        return lines.toSpliced(3, 0, forged.line.trimEnd());
      }),
    found: ['out-of-order', FIRST, 5],
  },
  {
    what: 'a record that stands there twice',
    tamper: (folder) => edited(folder, FIRST, (lines) => lines.toSpliced(3, 0, lines[2] ?? '')),
    found: ['out-of-order', FIRST, 4],
  },
  {
    what: 'two records that changed places',
    tamper: (folder) => edited(folder, FIRST, (lines) => moved(lines, 2, 3)),
    found: ['missing', FIRST, 3],
  },
  {
    what: 'a number that is skipped, with hashes that fit',
    tamper: (folder) =>
      edited(folder, FIRST, (lines) => {
        const before = recordsOf(lines[2] ?? '')[0];
        const { line } = seal(taken(9), '2026-11-23T13:10:35.000Z', { seq: 7, hash: before?.hash ?? '' });
        return lines.with(3, line.trimEnd());
      }),
    found: ['replaced', FIRST, 4],
  },
  {
    what: 'a file whose end is cut off',
    tamper: (folder) => edited(folder, FIRST, (lines) => lines.slice(0, 2)),
    found: ['missing', SECOND, 1],
  },
  {
    what: 'a file that is cut off within a line',
    tamper: (folder) => folder.put(FIRST, folder.textOf(FIRST).slice(0, -20)),
    found: ['unfinished', FIRST, 4],
  },
  {
    what: 'a file whose beginning is cut off',
    tamper: (folder) => edited(folder, FIRST, (lines) => lines.slice(2)),
    found: ['beginning-missing', FIRST, 1],
  },
  {
    what: 'a line that is no record',
    tamper: (folder) => edited(folder, FIRST, (lines) => lines.toSpliced(2, 0, 'hello')),
    found: ['not-a-record', FIRST, 3],
  },
  {
    what: 'line breaks of another system',
    tamper: (folder) => folder.put(FIRST, folder.textOf(FIRST).replaceAll('\n', '\r\n')),
    found: ['not-a-record', FIRST, 1],
  },
  {
    what: 'a file in the place of another',
    tamper: (folder) => folder.put(SECOND, folder.textOf(FIRST)),
    found: ['out-of-order', SECOND, 1],
  },
  {
    what: 'the oldest file that is removed',
    tamper: (folder) => void folder.files.delete(FIRST),
    found: ['beginning-missing', SECOND, 1],
  },
  {
    what: 'the newest file that is removed',
    tamper: (folder) => void folder.files.delete(SECOND),
    found: ['end-missing', undefined, undefined],
  },
  {
    what: 'an end that is cut off',
    tamper: (folder) => edited(folder, SECOND, (lines) => lines.slice(0, -1)),
    found: ['end-missing', undefined, undefined],
  },
  {
    what: 'a log that is emptied',
    tamper: (folder) => folder.files.clear(),
    found: ['empty', undefined, undefined],
  },
];

describe('verifying an audit log', () => {
  leavesNothingOpen();

  it('finds nothing in one that nobody touched', async () => {
    const folder = await twoFiles();
    const report = await verifyAuditLog(folder);
    expect(report.faults).to.deep.equal([]);
    expect(report).to.include({ isWhole: true, files: 2, records: 8, tornBytes: 0 });
    expect(report.first?.seq).to.equal(1);
    expect(report.last?.seq).to.equal(8);
  });

  for (const { what, tamper, found } of TAMPERINGS) {
    it(`finds ${what}`, async () => {
      const folder = await twoFiles();
      tamper(folder);
      const { isWhole, faults } = await verifyAuditLog(folder);
      expect(isWhole).to.equal(false);
      expect([faults[0]?.kind, faults[0]?.file, faults[0]?.line]).to.deep.equal(found);
    });
  }

  it('finds every change of one byte', async () => {
    const folder = await twoFiles();
    const names = folder.names;
    await fc.assert(
      fc.asyncProperty(fc.nat(), fc.integer({ min: 1, max: 255 }), async (place, flip) => {
        const changed = folder.copy();
        const name = names[place % names.length] ?? '';
        const bytes = Buffer.from(folder.textOf(name));
        const at = place % bytes.length;
        bytes.writeUInt8(bytes.readUInt8(at) ^ flip, at);
        changed.put(name, bytes);
        const report = await verifyAuditLog(changed);
        // The last line break of all is the one byte whose loss looks like a crash.
        const isLastBreak = name === names.at(-1) && at === bytes.length - 1;
        if (!isLastBreak) expect(report.isWhole, `${name} at ${at}`).to.equal(false);
      }),
      { numRuns: 400 },
    );
  }).timeout(10_000);

  it('finds bytes that read as the same letters', async () => {
    const folder = new MemoryFolder();
    const sealed = seal({ event: 'stopped', why: '\uFFFD' }, '2026-11-23T13:10:35.000Z', GENESIS);
    folder.put(FIRST, sealed.line);
    expect(await verifyAuditLog(folder)).to.include({ isWhole: true });
    const bytes = Buffer.from(sealed.line);
    const at = bytes.indexOf(Buffer.from('\uFFFD'));
    folder.put(FIRST, Buffer.concat([bytes.subarray(0, at), Buffer.from([0xff]), bytes.subarray(at + 3)]));
    expect(await verifyAuditLog(folder)).to.include({ isWhole: false });
  });

  it('finds a log that was written anew as a whole, by a hash from elsewhere, and not without', async () => {
    const disk = new Disk();
    const audit = await disk.open();
    await audit.admit(taken(1));
    await audit[Symbol.asyncDispose]();
    const [, , third] = recordsOf(disk.folder.text);
    const known = { seq: 3, hash: third?.hash ?? '' };
    expect(await verifyAuditLog(disk.folder, [known])).to.include({ isWhole: true });
    const forgery = new Disk();
    const forged = await forgery.open();
    await forged.admit(taken(9));
    await forged[Symbol.asyncDispose]();
    expect(await verifyAuditLog(forgery.folder)).to.include({ isWhole: true });
    const { faults } = await verifyAuditLog(forgery.folder, [known]);
    expect(faults.map(({ kind, line }) => [kind, line])).to.deep.equal([['replaced', 3]]);
  });

  it('finds an end that was cut off together with what the folder says of it, by a hash from elsewhere', async () => {
    const folder = await twoFiles();
    const last = recordsOf(folder.text).at(-1);
    edited(folder, SECOND, (lines) => lines.slice(0, -1));
    folder.files.delete('head.json');
    expect(await verifyAuditLog(folder)).to.include({ isWhole: true });
    const { faults } = await verifyAuditLog(folder, [{ seq: 8, hash: last?.hash ?? '' }]);
    expect(faults.map(({ kind }) => kind)).to.deep.equal(['end-missing']);
  });

  it('lists a hundred faults and counts the others', async () => {
    const folder = new MemoryFolder();
    folder.put(FIRST, 'nothing\n'.repeat(250));
    const { faults, moreFaults } = await verifyAuditLog(folder);
    expect(faults).to.have.lengthOf(100);
    expect(moreFaults).to.equal(151);
  });

  it('bears a delegate that begins a new file, and removes its oldest, meanwhile', async () => {
    const folder = await twoFiles();
    const list = folder.list.bind(folder);
    folder.list = async () => {
      const listed = await list();
      if (folder.names.includes(FIRST)) {
        const [last] = recordsOf(folder.text).slice(-1);
        const event = { event: 'segment', format: 1, file: 'audit-0000000003.ndjson', keptFromSeq: 5 };
        const next = seal(event, '2026-11-23T13:10:35.000Z', { seq: 8, hash: last?.hash ?? '' });
        folder.put('audit-0000000003.ndjson', next.line);
        folder.files.delete(FIRST);
      }
      return listed;
    };
    const report = await verifyAuditLog(folder);
    expect(report.faults).to.deep.equal([]);
    expect(report).to.include({ files: 2, records: 5 });
  });

  it('can be done with sed and sha256sum, as the documents say', async () => {
    const folder = await twoFiles();
    const script = String.raw`while IFS= read -r line; do
      printf '%s' "$line" | sed -E 's/,"hash":"[0-9a-f]{64}"\}$/}/' | sha256sum | cut -d' ' -f1
    done`;
    const run = promisify(execFile)('sh', ['-c', script]);
    run.child.stdin?.end(folder.text);
    const hashes = (await run).stdout.trim().split('\n');
    expect(hashes).to.deep.equal(recordsOf(folder.text).map(({ hash }) => hash));
  });
});
