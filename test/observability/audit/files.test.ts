import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { RETRY_EVERY_MS } from '../../../src/observability/audit/audit-log.ts';
import { auditFolder } from '../../../src/observability/audit/folder.ts';
import { verifyAuditLog } from '../../../src/observability/audit/verify.ts';
import { systemClock } from '../../../src/kit/time.ts';
import { leavesNothingOpen } from '../../support/open-handles.ts';
import { tempDirs } from '../../support/temp-dir.ts';
import { until } from '../../support/until.ts';
import { codeOf, Disk, recordsOf, taken } from './disk.ts';

const WRITER = fileURLToPath(new URL('writer-process.ts', import.meta.url));

async function textIn(path: string): Promise<string> {
  const names = (await readdir(path)).filter((name) => name.endsWith('.ndjson')).sort();
  return (await Promise.all(names.map((name) => readFile(join(path, name), 'utf8')))).join('');
}

describe('the files of an audit log', () => {
  const directory = tempDirs();
  leavesNothingOpen();

  it('are for the delegate’s own user alone', async () => {
    const path = join(await directory(), 'state', 'audit');
    const audit = await new Disk().open({ folder: auditFolder(path) });
    await audit[Symbol.asyncDispose]();
    expect((await stat(path)).mode & 0o777).to.equal(0o700);
    const names = await readdir(path);
    expect(names.sort()).to.deep.equal(['audit-0000000001.ndjson', 'head.json']);
    for (const name of names) expect((await stat(join(path, name))).mode & 0o777).to.equal(0o600);
  });

  it('are no links: what a link leads to is never written, and no task is taken', async () => {
    const path = await directory();
    const elsewhere = join(await directory(), 'passwd');
    await writeFile(elsewhere, '');
    await symlink(elsewhere, join(path, 'audit-0000000001.ndjson'));
    const audit = await new Disk().open({ folder: auditFolder(path) });
    expect(await codeOf(audit.admit(taken(1)))).to.equal('audit-unwritable');
    await audit[Symbol.asyncDispose]();
    expect(await readFile(elsewhere, 'utf8')).to.equal('');
  });

  it('can be verified, and are whole, while the delegate writes them', async () => {
    const path = await directory();
    const folder = auditFolder(path);
    const audit = await new Disk().open({ folder, clock: systemClock, maxBytes: 1_048_576 });
    for (let round = 0; round < 15; round += 1) {
      const [report] = await Promise.all([
        verifyAuditLog(folder),
        ...Array.from({ length: 300 }, (_, n) => audit.admit(taken(n))),
      ]);
      expect(report.faults).to.deep.equal([]);
    }
    await audit[Symbol.asyncDispose]();
    expect(await verifyAuditLog(folder)).to.include({ isWhole: true, tornBytes: 0 });
  });

  it('hold everything that was said to be written, whenever the process is killed', async () => {
    const path = await directory();
    const promised: string[] = [];
    for (const after of [1, 40, 900, 0, 250]) {
      const writer = spawn(process.execPath, ['--import', 'tsx', WRITER, path], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const before = promised.length;
      createInterface(writer.stdout).on('line', (line) => void promised.push(line));
      await until('the writer has written', () => promised.length > before + after, 20_000);
      writer.kill('SIGKILL');
      await once(writer, 'close');
    }
    const audit = await new Disk().open({ folder: auditFolder(path), maxBytes: 64 * 1_048_576 });
    await audit[Symbol.asyncDispose]();
    const { faults } = await verifyAuditLog(auditFolder(path));
    expect(faults).to.deep.equal([]);
    const records = recordsOf(await textIn(path));
    const taskIds = new Set(records.map(({ taskId }) => String(taskId)));
    expect(promised.filter((taskId) => !taskIds.has(taskId))).to.deep.equal([]);
    expect(records.filter(({ event }) => event === 'started')).to.have.lengthOf(6);
  }).timeout(60_000);

  it('are written again by themselves when a folder that could not be written can be', async () => {
    const path = join(await directory(), 'audit');
    await writeFile(path, 'a file in the place of the folder');
    const disk = new Disk();
    const audit = await disk.open({ folder: auditFolder(path) });
    expect(audit.writable).to.equal(false);
    await rm(path);
    await mkdir(path);
    await disk.clock.advance(RETRY_EVERY_MS);
    await until('the log can be written', () => audit.writable);
    await audit[Symbol.asyncDispose]();
    expect(await verifyAuditLog(auditFolder(path))).to.include({ isWhole: true, records: 3 });
  });
});
