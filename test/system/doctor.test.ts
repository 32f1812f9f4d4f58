import { execFile } from 'node:child_process';
import { readdir, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { z } from 'zod';
import { CHECK_IDS } from '../../src/cli/doctor/examine.ts';
import { STATUSES } from '../../src/cli/doctor/finding.ts';
import { startWorld, type World } from '../../src/dev/world.ts';
import { CLI, runCli } from '../support/cli.ts';
import { listenOnLoopback } from '../support/listen.ts';
import { leavesNothingOpen } from '../support/open-handles.ts';
import { tempDirs } from '../support/temp-dir.ts';

const reportSchema = z.object({
  status: z.enum(['PASS', 'WARN', 'FAIL']),
  version: z.string(),
  checkedAt: z.iso.datetime(),
  durationMs: z.number(),
  checks: z.array(
    z.object({
      id: z.string(),
      status: z.enum(STATUSES),
      summary: z.string(),
      action: z.string().optional(),
      details: z.array(z.string()).optional(),
      code: z.string().optional(),
      durationMs: z.number(),
    }),
  ),
});

describe('doctor, in the development world', function () {
  this.timeout(90_000);
  let world: World;
  let connectors: Record<'password' | 'adfs' | 'refreshToken', string>;

  before(async () => {
    world = await startWorld({ cli: [CLI], environment: process.env });
    const write = async (kind: keyof typeof connectors): Promise<string> => {
      const path = join(world.folder, `${kind}.json`);
      await writeFile(path, JSON.stringify(world.connectors[kind]));
      return path;
    };
    connectors = {
      password: await write('password'),
      adfs: await write('adfs'),
      refreshToken: await write('refreshToken'),
    };
  });

  after(async () => {
    await world.stop();
  });
  leavesNothingOpen();

  /** What lies in the state folder, by name: the delegate that runs writes into its files by itself. */
  async function stateNames(): Promise<string[]> {
    return (await readdir(world.settings['DELEGATE_STATE_DIR'] ?? '')).toSorted();
  }

  it('is all green, beside the delegate that runs, and changes nothing', async () => {
    const before = await stateNames();
    const { code, stdout, stderr } = await runCli(
      ['doctor', ...Object.values(connectors), '--json', '--timeout=30'],
      world.settings,
    );
    const report = reportSchema.parse(JSON.parse(stdout));
    const bad = report.checks.filter(({ status }) => status === 'FAIL' || status === 'WARN');
    expect(bad, stderr).to.deep.equal([]);
    expect(code).to.equal(0);
    expect(report.status).to.equal('PASS');
    const by = (status: string) => report.checks.filter((one) => one.status === status).map(({ id }) => id);
    // The world speaks plain http on this machine, a minute is too long for a test, and a refresh token is not used.
    expect(by('SKIP')).to.deep.equal(['tls', 'idle', `connector.${connectors.refreshToken}`]);
    expect(by('PASS')).to.include.members([
      ...CHECK_IDS.filter((id) => !['tls', 'idle', 'secrets', 'connector'].includes(id)),
      'secrets.account.snow_password',
      `connector.${connectors.password}`,
      `connector.${connectors.adfs}`,
    ]);
    for (const { id } of report.checks) expect(CHECK_IDS).to.include(id.split('.')[0]);
    for (const one of report.checks) expect(one.action === undefined, one.id).to.equal(one.status === 'PASS');
    expect(await stateNames()).to.deep.equal(before);
  });

  it('says the same to a person, and shows no secret', async () => {
    const { code, stdout, stderr } = await runCli(['doctor'], world.settings);
    expect(code).to.equal(0);
    expect(stderr).to.equal('');
    expect(stdout).to.match(/^PASS +enrolment +Enrolled as dlg-/m);
    expect(stdout).to.match(/^PASS +running +A delegate runs on the state folder/m);
    expect(stdout).to.match(/\d+ passed, 0 with a warning, 0 failed, 3 not looked at\.\n$/);
    for (const [name, value] of Object.entries(world.settings)) {
      if (/SECRET_.*(PASSWORD|TOKEN|SECRET)|ENROLMENT_TOKEN$/.test(name))
        expect(stdout).to.not.contain(value);
    }
  });

  it('ends with 1 when a check fails, and with 2 when the settings are wrong', async () => {
    const failed = await runCli(['doctor'], {
      ...world.settings,
      DELEGATE_MANAGER_URL: 'http://127.0.0.1:1',
    });
    expect(failed.code).to.equal(1);
    expect(failed.stdout).to.match(/^FAIL +ip /m);
    const wrong = await runCli(['doctor', '--capacity=0', '--json'], world.settings);
    expect(wrong.code).to.equal(2);
    const { checks } = reportSchema.parse(JSON.parse(wrong.stdout));
    expect(checks[0]?.details?.[0]).to.contain('DELEGATE_CAPACITY');
    const mistyped = await runCli(['doctor', '--jsn'], world.settings);
    expect(mistyped.code).to.equal(2);
    expect(mistyped.stderr).to.contain('--json');
  });
});

describe('doctor, where everything hangs', function () {
  this.timeout(60_000);
  const directory = tempDirs();
  let hole: Server;
  let port: number;

  before(async () => {
    // Takes every connection and says nothing: proxy, manager, instance and health port at once.
    hole = createServer((socket) => void socket.on('error', () => {}).on('data', () => {}));
    port = await listenOnLoopback(hole);
  });

  after(() => {
    hole.close();
  });
  leavesNothingOpen();

  async function look(...args: readonly string[]) {
    const finished = await runCli(['doctor', ...args, '--timeout=2', '--json'], {
      DELEGATE_MANAGER_URL: 'https://manager.example',
      HTTPS_PROXY: `http://127.0.0.1:${port}`,
      DELEGATE_STATE_DIR: join(await directory(), 'state'),
      DELEGATE_HTTP_PORT: String(port),
      DELEGATE_ENROLMENT_TOKEN: 'token-that-nobody-uses',
    });
    return { ...finished, checks: reportSchema.parse(JSON.parse(finished.stdout)).checks };
  }

  it('it ends by itself, and names what hung, once', async () => {
    const { code, signal, checks } = await look();
    expect(signal).to.equal(null);
    expect(code).to.equal(1);
    const by = (status: string) => checks.filter((one) => one.status === status).map(({ id }) => id);
    expect(by('FAIL')).to.deep.equal(['port', 'proxy']);
    expect(by('SKIP')).to.include.members(['tls', 'manager', 'clock']);
    const proxy = checks.find(({ id }) => id === 'proxy');
    expect(proxy).to.include({ code: 'network.proxy-timeout' });
    expect(proxy?.action).to.match(/\S/);
  });

  it('a file that can never be opened holds up its own check alone; the process then ends itself', async () => {
    const pipe = join(await directory(), 'connector.yaml');
    await promisify(execFile)('mkfifo', [pipe]);
    const { signal, checks } = await look(pipe);
    // A thread that opens a pipe to which nobody writes can be ended in no other way.
    expect(signal).to.equal('SIGTERM');
    const found = checks.find(({ id }) => id === `connector.${pipe}`);
    expect(found).to.include({ status: 'FAIL', code: 'input-file-unusable' });
  });
});
