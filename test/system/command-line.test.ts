import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { packageVersion } from '../../src/config/version.ts';
import { CLI, runCli } from '../support/cli.ts';
import { listenOnLoopback } from '../support/listen.ts';
import { leavesNothingOpen } from '../support/open-handles.ts';

describe('the command line', function () {
  this.timeout(30_000);

  leavesNothingOpen();

  it('says its version, which stands in package.json alone', async () => {
    const { code, stdout } = await runCli(['--version']);
    expect({ code, stdout }).to.deep.equal({ code: 0, stdout: `${packageVersion()}\n` });
    const manifest = await readFile(new URL('../../package.json', import.meta.url), 'utf8');
    expect(manifest).to.contain(`"version": "${packageVersion()}"`);
  });

  it('answers an unknown command with the one that was meant, all others, and exit code 2', async () => {
    for (const args of [['runn'], ['help', 'runn'], ['runn', '--help']]) {
      const { code, stdout, stderr } = await runCli(args);
      expect({ code, stdout }).to.deep.equal({ code: 2, stdout: '' });
      expect(stderr)
        .to.contain('There is no command "runn"; did you mean run?')
        .and.contain('validate, check');
    }
  });

  it('explains each command, asked in any of three ways', async () => {
    const texts = await Promise.all(
      [
        ['help', 'audit'],
        ['audit', '--help'],
        ['audit', 'show', '-h'],
      ].map((args) => runCli(args)),
    );
    for (const { code, stdout } of texts) {
      expect({ code, stdout }).to.deep.equal({ code: 0, stdout: texts[0]?.stdout });
      expect(stdout).to.match(/^servicenow-delegate audit verify/);
    }
  });

  it('tells a mistake in what was typed from one in the configuration, and names what was meant', async () => {
    const typed = await runCli(['rotate-key', '--state-dri=x']);
    expect(typed.code).to.equal(2);
    expect(typed.stderr).to.match(
      /^The command line is not valid:\n {2}- --state-dri: there is no such flag; did you mean --state-dir\?\n/,
    );
    const set = await runCli(['config'], {
      DELEGATE_MANAGER_URL: 'https://m.example',
      DELEGATE_CAPACITY: '0',
    });
    expect(set.stderr).to.match(/^The configuration is not valid:\n/);
    const both = await runCli(['config', '--nmae=a'], { DELEGATE_CAPACITY: '0' });
    expect(both.stderr).to.match(/^The command line and the configuration are not valid:\n/);
    const ignored = await runCli(['config'], {
      DELEGATE_MANAGER_URL: 'https://m.example',
      DELEGATE_CAPCITY: '1',
    });
    expect(ignored.stderr).to.contain(
      'DELEGATE_CAPCITY is not a setting of this delegate; it is ignored. Did you mean DELEGATE_CAPACITY?',
    );
  });

  it('cannot be made to obey what was typed, or stands in a path', async () => {
    const evil = 'a\u001B[2J\u009B31m';
    for (const args of [
      [evil],
      ['validate', evil],
      ['policy', 'check', evil],
      ['audit', 'show', `--state-dir=${evil}`],
    ]) {
      const { stdout, stderr } = await runCli(args);
      expect((stdout + stderr).replaceAll('\n', '')).to.match(/^\P{C}+$/u);
    }
  });

  it('works from anywhere, by the link that npm makes', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'cli-test-'));
    try {
      const link = join(folder, 'servicenow-delegate');
      await symlink(CLI, link);
      const { stdout } = await promisify(execFile)(process.execPath, [link, '--version'], { cwd: folder });
      expect(stdout).to.equal(`${packageVersion()}\n`);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it('reads the file of the settings once, so that it may be a pipe', async () => {
    const script = `echo 'name: piped' | "$0" "$1" config --manager-url=https://m.example --config=/dev/stdin`;
    const { stdout } = await promisify(execFile)('sh', ['-c', script, process.execPath, CLI]);
    expect(JSON.parse(stdout)).to.include({ name: 'piped' });
  });

  it('ends with 2 if the manager is given an address that is none of a web server', async () => {
    const { code, stderr } = await runCli(['manager'], { MANAGER_PUBLIC_URL: 'ftp://manager.example.com' });
    expect(code).to.equal(2);
    expect(stderr).to.contain('MANAGER_PUBLIC_URL: must be an https:// or http:// address');
  });

  it('reports every mistake of the configuration at once, and ends with 2', async () => {
    const { code, stderr } = await runCli(['run', '--capacity=many'], {
      DELEGATE_MANAGER_URL: 'ftp://manager.example.com',
      DELEGATE_ALLOW_LOOPBACK: 'yes',
      DELEGATE_LOG_LEVEL: 'loud',
    });
    expect(code).to.equal(2);
    for (const name of [
      'DELEGATE_MANAGER_URL',
      'DELEGATE_CAPACITY',
      'DELEGATE_ALLOW_LOOPBACK',
      'DELEGATE_LOG_LEVEL',
    ]) {
      expect(stderr).to.contain(name);
    }
  });

  it('prints the effective settings with the token masked', async () => {
    const { code, stdout } = await runCli(['config', '--name=eu-7'], {
      DELEGATE_MANAGER_URL: 'https://manager.example.com',
      DELEGATE_ENROLMENT_TOKEN: 'canary-enrolment-token',
    });
    expect(code).to.equal(0);
    expect(stdout).to.contain('eu-7').and.contain('[secret]').and.not.contain('canary-enrolment-token');
  });

  it('accepts the example file of the documentation', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'cli-test-'));
    try {
      const example = await readFile(new URL('../../config/delegate.example.yaml', import.meta.url), 'utf8');
      const file = join(folder, 'delegate.yaml');
      await writeFile(file, example);
      const { code, stdout, stderr } = await runCli(['config', `--config=${file}`]);
      expect(code, stderr).to.equal(0);
      expect(stdout).to.contain('"account.snow_password": "env:SNOW_PASSWORD"');
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it('ends with 1 and a remedy if the state folder cannot be written', async () => {
    const { code, stdout } = await runCli(['run', '--http-port=0'], {
      DELEGATE_MANAGER_URL: 'https://127.0.0.1:1',
      // Below a file there can be no folder.
      DELEGATE_STATE_DIR: join(fileURLToPath(import.meta.url), 'state'),
    });
    expect(code).to.equal(1);
    expect(stdout).to.contain('state-folder-unusable').and.contain('DELEGATE_STATE_DIR');
  });

  it('ends with 1 and a remedy if the health port is taken', async () => {
    const taken = createServer();
    const port = await listenOnLoopback(taken);
    try {
      const { code, stderr } = await runCli(['run', `--http-port=${port}`], {
        DELEGATE_MANAGER_URL: 'https://127.0.0.1:1',
        DELEGATE_STATE_DIR: join(tmpdir(), 'never-used'),
      });
      expect(code).to.equal(1);
      expect(stderr).to.contain(`127.0.0.1:${port}`).and.contain('DELEGATE_HTTP_PORT');
    } finally {
      taken.close();
    }
  });
});
