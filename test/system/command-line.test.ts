import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { packageVersion } from '../../src/config/version.ts';
import { runCli } from '../support/cli.ts';
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

  it('answers an unknown command with the list of commands and exit code 2', async () => {
    const { code, stderr } = await runCli(['runn']);
    expect(code).to.equal(2);
    expect(stderr).to.contain('There is no command "runn".').and.contain('servicenow-delegate run');
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
