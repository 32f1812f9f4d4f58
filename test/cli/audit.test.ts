import { spawn } from 'node:child_process';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { audit } from '../../src/cli/audit.ts';
import { recordLine, verificationReport } from '../../src/cli/report/audit.ts';
import { plainTerminal } from './support.ts';
import { GENESIS, readLine, seal } from '../../src/observability/audit/chain.ts';
import { auditFolder } from '../../src/observability/audit/folder.ts';
import { verifyAuditLog } from '../../src/observability/audit/verify.ts';
import { codeOf, Disk, recordsOf, refused, taken } from '../observability/audit/disk.ts';
import { exitOf } from '../support/child.ts';
import { leavesNothingOpen } from '../support/open-handles.ts';
import { tempDirs } from '../support/temp-dir.ts';

const CLI = fileURLToPath(new URL('../../src/cli/index.ts', import.meta.url));

interface Ran {
  readonly code: number | string;
  readonly stdout: string;
  readonly stderr: string;
}

async function runAudit(...args: string[]): Promise<Ran> {
  const child = spawn(process.execPath, ['--import', 'tsx', CLI, 'audit', ...args], {
    env: { PATH: process.env['PATH'] ?? '' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const out = { stdout: '', stderr: '' };
  for (const stream of ['stdout', 'stderr'] as const) {
    child[stream].setEncoding('utf8').on('data', (text: string) => (out[stream] += text));
  }
  return { code: await exitOf(child), ...out };
}

describe('servicenow-delegate audit', () => {
  const directory = tempDirs('all');
  leavesNothingOpen();
  let stateDir: string;
  let path: string;

  before(async () => {
    stateDir = await directory();
    const folder = auditFolder(join(stateDir, 'audit'));
    const log = await new Disk().open({ folder });
    await log.admit(taken(1));
    await log.record(refused(2));
    await log[Symbol.asyncDispose]();
    const [name = ''] = (await readdir(join(stateDir, 'audit'))).filter((one) => one.endsWith('.ndjson'));
    path = join(stateDir, 'audit', name);
  });

  it('shows records, by task, and as they stand in the files', async () => {
    const [words, json, later] = await Promise.all([
      runAudit('show', `--state-dir=${stateDir}`, '--task=t-1'),
      runAudit('show', `--state-dir=${stateDir}`, '--json'),
      runAudit('show', `--state-dir=${stateDir}`, '--since=2999-01-01'),
    ]);
    expect(words).to.include({ code: 0, stderr: '' });
    expect(words.stdout).to.match(
      /^\S+Z #3 task +t-1\/1 servicenow\.approval\.check, not signed, allowed by default\n$/,
    );
    expect(json.stdout).to.equal(await readFile(path, 'utf8'));
    expect(later).to.deep.equal({ code: 0, stdout: '', stderr: '' });
  }).timeout(20_000);

  it('verifies the log, also by a record that is known from elsewhere, and ends with 1 if it was changed', async () => {
    const text = await readFile(path, 'utf8');
    const third = recordsOf(text)[2];
    const [whole, known, wrong] = await Promise.all([
      runAudit('verify', `--state-dir=${stateDir}`),
      runAudit('verify', `--state-dir=${stateDir}`, `--head=3:${third?.hash ?? ''}`),
      runAudit('verify', `--state-dir=${stateDir}`, `--head=99:${'0'.repeat(64)}`, '--json'),
    ]);
    expect(whole).to.include({ code: 0, stderr: '' });
    expect(whole.stdout).to.match(
      /^The audit log is whole\.\n5 records in 1 file, .*\nhead 5:[0-9a-f]{64}\n$/,
    );
    expect(known.code).to.equal(0);
    expect(wrong.code).to.equal(1);
    expect(JSON.parse(wrong.stdout)).to.have.nested.property('faults[0].kind', 'end-missing');
    await writeFile(path, text.replace('"t-1"', '"t-9"'));
    const changed = await runAudit('verify', `--state-dir=${stateDir}`);
    expect(changed.code).to.equal(1);
    expect(changed.stdout).to.contain('audit-0000000001.ndjson, line 3: record 3 was changed');
    await writeFile(path, text);
  }).timeout(20_000);

  it('says what is wrong with a command line, and with a folder that it cannot read', async () => {
    const [bare, flag, head, time] = await Promise.all([
      runAudit(),
      runAudit('show', '--head=1:2'),
      runAudit('verify', `--state-dir=${stateDir}`, '--head=latest'),
      runAudit('show', `--state-dir=${stateDir}`, '--since=yesterday'),
    ]);
    expect([bare.code, flag.code, head.code, time.code]).to.deep.equal([2, 2, 2, 2]);
    expect(bare.stderr).to.contain('audit: say verify or show');
    expect(flag.stderr).to.contain('--head: there is no such flag');
    expect(head.stderr).to.contain('--head: must be the seq and the hash of a record');
    expect(time.stderr).to.contain('--since: must be a date or a time');
  }).timeout(30_000);

  it('names the folder that it looked in where there is no log', async () => {
    const empty = await directory();
    const [verified, shown] = await Promise.all([
      runAudit('verify', `--state-dir=${empty}`),
      runAudit('show', `--state-dir=${empty}`),
    ]);
    expect([verified.code, shown.code]).to.deep.equal([1, 1]);
    for (const { stderr } of [verified, shown]) expect(stderr).to.contain(join(empty, 'audit'));
  }).timeout(20_000);

  it('says so of a folder that cannot be read', async () => {
    expect(await codeOf(audit(['verify', `--state-dir=${path}`]))).to.equal('audit-unreadable');
  });
});

describe('a record in words', () => {
  const wordsOf = (event: Record<string, unknown>): string => {
    const read = readLine(Buffer.from(seal(event, '2026-11-23T13:10:35.000Z', GENESIS).line.trimEnd()));
    return read === undefined ? '' : recordLine(read.record);
  };

  it('has in one line who, what, by which rule, with which secrets', () => {
    expect(wordsOf(taken(1, { signedBy: 'key-1', allowedBy: ['instances[0]', 'secrets[2]'] }))).to.equal(
      '2026-11-23T13:10:35.000Z #1 task            t-1/1 servicenow.approval.check, signed by key-1, allowed by instances[0] and secrets[2]',
    );
    expect(wordsOf(refused(2, { rule: 'instances' }))).to.contain(
      't-2/1 servicenow.approval.check, bad-signature by instances: The task is not signed.',
    );
    const ended = {
      event: 'task-ended',
      taskId: 't-1',
      attempt: 1,
      name: 'n',
      outcome: 'failed',
      code: 'timeout',
      secrets: [
        { name: 'env:A', hosts: ['a.example', 'b.example'] },
        { name: 'file:b', hosts: [] },
      ],
      durationMs: 12,
    };
    expect(wordsOf(ended)).to.match(
      /t-1\/1 n, failed \(timeout\), after 12 ms, env:A for a\.example and b\.example, file:b for this machine alone$/,
    );
  });

  it('of a later version is shown as it stands', () => {
    expect(wordsOf({ event: 'from-the-future', x: 1 })).to.contain('"x":1');
  });

  it('moves no cursor, whatever somebody has put into the file', () => {
    const line = String.raw`{"seq":1,"time":"\u001b[2J","event":"\u202e","prev":"","hash":"${'0'.repeat(64)}"}`;
    const read = readLine(Buffer.from(line));
    expect(read && recordLine(read.record)).to.not.match(/\p{C}/u);
  });
});

describe('what verifying says', () => {
  it('counts what it does not list, and names a line that is being written', async () => {
    const disk = new Disk();
    disk.folder.put('audit-0000000001.ndjson', `${'nothing\n'.repeat(120)}{"se`);
    const said = verificationReport(await verifyAuditLog(disk.folder), plainTerminal(80));
    expect(said).to.contain('The audit log is NOT whole.');
    expect(said).to.contain('4 bytes of a line that is being written, or that a crash left\n');
    expect(said).to.contain('audit-0000000001.ndjson, line 1: the delegate did not write this line\n');
    expect(said).to.match(/and 21 more\n$/);
  });
});
