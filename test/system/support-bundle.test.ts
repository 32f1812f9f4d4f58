import { spawn } from 'node:child_process';
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { DEV_ENVIRONMENT_SECRETS } from '../../src/dev/connectors.ts';
import { startWorld, type World } from '../../src/dev/world.ts';
import { findLeaks } from '../support/canaries.ts';
import { exitOf } from '../support/child.ts';
import { CLI, runCli } from '../support/cli.ts';
import { leavesNothingOpen } from '../support/open-handles.ts';
import { tempDirs } from '../support/temp-dir.ts';

const BROKEN = fileURLToPath(new URL('../cli/bundle/broken-redactor-process.ts', import.meta.url));

describe('support-bundle', function () {
  this.timeout(90_000);
  const directory = tempDirs();
  let world: World;

  before(async () => {
    world = await startWorld({ cli: [CLI], environment: process.env });
  });

  after(async () => {
    await world.stop();
  });
  leavesNothingOpen();

  /** What must not be in a bundle; identifiers that are no secret to anybody are left out. */
  async function canaries(): Promise<Map<string, string>> {
    const stateDir = world.settings['DELEGATE_STATE_DIR'] ?? '';
    const identity = await readFile(join(stateDir, 'identity.json'), 'utf8');
    const [, key = ''] = /"d":\s*"([^"]{20,})"/.exec(identity) ?? [];
    const privateKey = await readFile(join(world.folder, 'secrets/adfs/client.key'), 'utf8');
    return new Map([
      ...Object.entries(DEV_ENVIRONMENT_SECRETS),
      ['enrolment token', world.enrolmentToken],
      ['identity', key],
      ['line of a key', privateKey.split('\n')[3] ?? ''],
    ]);
  }

  it('has in one file what a helper asks for, and none of the secrets of the delegate', async () => {
    const folder = await directory();
    const log = join(folder, 'delegate.log');
    await writeFile(log, `the log\npassword ${DEV_ENVIRONMENT_SECRETS['SNOW_PASSWORD']}\n`);
    const path = join(folder, 'bundle.txt');
    const { code, stdout, stderr } = await runCli(
      ['support-bundle', `--output=${path}`, `--log=${log}`],
      world.settings,
    );
    expect(code, stderr).to.equal(0);
    expect(stdout).to.equal(`${path} was written. Read it before you send it.\n`);
    expect((await stat(path)).mode & 0o777).to.equal(0o600);
    const text = await readFile(path, 'utf8');
    for (const title of [
      'Settings',
      'Report of doctor',
      'Status of the delegate that runs',
      'Policy',
      'State folder',
      'Audit log',
      'Environment',
      'Log',
      'Self-test of the redaction',
    ]) {
      expect(text).to.match(new RegExp(`^${title}$`, 'm'));
    }
    expect(text).to.match(/^PASS +manager/m);
    expect(text).to.match(/^0600 \S+ +\d+ \S+ identity\.json$/m);
    expect(text).to.match(/^ +\d+ {2}started$/m);
    expect(text).to.match(/^password \[secret\]$/m);
    expect(text).to.match(/^DELEGATE_SECRET_SNOW_PASSWORD$/m);
    expect(findLeaks(await canaries(), [{ where: 'bundle', text }])).to.deep.equal([]);
  });

  it('never takes the place of a file, unless it is told to', async () => {
    const path = join(await directory(), 'bundle.txt');
    await writeFile(path, 'mine');
    const refused = await runCli(['support-bundle', `--output=${path}`], world.settings);
    expect(refused.code).to.equal(2);
    expect(refused.stderr).to.contain('--force');
    expect(await readFile(path, 'utf8')).to.equal('mine');
    const forced = await runCli(['support-bundle', `--output=${path}`, '--force'], world.settings);
    expect(forced.code).to.equal(0);
    expect(await readFile(path, 'utf8')).to.match(/^={78}\nSupport bundle/);
  });

  it('is made of wrong settings, too: that is when it is wanted', async () => {
    const { code, stdout } = await runCli(['support-bundle', '--output=-'], {
      DELEGATE_MANAGER_URL: 'nowhere',
      DELEGATE_SECRET_PASSWORD: 'hunter2-for-the-bundle',
    });
    expect(code).to.equal(0);
    expect(stdout).to.match(/^FAIL +config/m);
    expect(stdout).to.not.contain('hunter2');
  });

  it('a wrong command line is told before anything is looked at', async () => {
    const unknown = await runCli(['support-bundle', '--outptu=x'], world.settings);
    expect(unknown.code).to.equal(2);
    const noLog = await runCli(['support-bundle', '--output=-', '--log=/nonexistent/log'], world.settings);
    expect(noLog.code).to.equal(2);
    expect(noLog.stderr).to.contain('--log');
  });

  it('a folder that takes no file is said so', async () => {
    const { code, stderr } = await runCli(
      ['support-bundle', '--output=/nonexistent/bundle.txt'],
      world.settings,
    );
    expect(code).to.equal(2);
    expect(stderr).to.contain('ENOENT');
  });

  it('is refused, with nothing written, when the redactor is broken', async () => {
    const folder = await directory();
    await mkdir(join(folder, 'out'));
    const child = spawn(
      process.execPath,
      ['--import', 'tsx', BROKEN, `--output=${join(folder, 'out', 'bundle.txt')}`],
      { env: { PATH: process.env['PATH'] ?? '', ...world.settings }, stdio: ['ignore', 'pipe', 'pipe'] },
    );
    let said = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => (said += text));
    }
    expect(await exitOf(child)).to.equal(1);
    expect(said).to.contain('support-bundle-unsafe');
    expect(await readdir(join(folder, 'out'))).to.deep.equal([]);
  });
});
