import { execFile } from 'node:child_process';
import { readdir, readFile, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { z } from 'zod';
import { makeBundle, NOTICES, PROGRAM, type Bundle } from '../../scripts/bundle/make.ts';
import { packageVersion } from '../../src/config/version.ts';
import { runCli } from '../support/cli.ts';
import { FakeAws } from '../support/fake-aws.ts';
import { leavesNothingOpen } from '../support/open-handles.ts';
import { tempDirs } from '../support/temp-dir.ts';
import { delegateProcesses } from '../system/one-delegate.ts';
import { doesOneTask } from './one-task.ts';

/** What the program may have, without what it loads only when it is configured. */
const MAX_PROGRAM_BYTES = 3_000_000;

const packageSchema = z.object({
  dependencies: z.record(z.string(), z.string()),
  optionalDependencies: z.record(z.string(), z.string()),
});

describe('the bundle', function () {
  this.timeout(60_000);
  const folderForAll = tempDirs('all');
  const stateDir = tempDirs();
  const start = delegateProcesses();
  let folder: string;
  let bundle: Bundle;
  let program: string;
  let bare: string;

  before(async () => {
    folder = join(await folderForAll(), 'bundle');
    bundle = await makeBundle({ folder, clients: 'include' });
    program = join(folder, PROGRAM);
    bare = join(await folderForAll(), 'bundle');
    await makeBundle({ folder: bare, clients: 'omit' });
  });
  leavesNothingOpen();

  it('is one file of at most 3 MB, and beside it what is loaded only when it is configured', async () => {
    const size = bundle.files.find(({ path }) => path === PROGRAM)?.bytes;
    expect(size).to.be.within(1, MAX_PROGRAM_BYTES);
    expect(await readdir(folder)).to.have.members([PROGRAM, `${PROGRAM}.map`, NOTICES, 'clients']);
    expect(await readdir(bare)).to.have.members([PROGRAM, `${PROGRAM}.map`, NOTICES]);
  });

  it('answers as the built program does, without a package beside it', async () => {
    for (const [code, ...args] of [
      ['0', '--version'],
      ['0', '--help'],
      ['0', 'run', '--help'],
      ['0', 'config', '--manager-url=https://m.example'],
      ['0', 'completion', 'bash'],
      ['0', 'policy', 'check', 'deploy/compose/policy.yaml'],
      ['1', 'policy', 'check', 'package.json'],
      ['1', 'secrets', 'check', 'env:NOT_SET'],
      ['2', 'run'],
      ['2', 'manager', 'argument'],
      ['2', 'no-such-command'],
    ]) {
      const [built, bundled] = await Promise.all([runCli(args), runCli(args, {}, program)]);
      expect(bundled, args.join(' ')).to.deep.equal(built);
      expect(built.code, args.join(' ')).to.equal(Number(code));
    }
    expect((await runCli(['--version'], {}, program)).stdout).to.equal(`${packageVersion()}\n`);
  });

  it('is a command, by a link as well', async () => {
    const link = join(await stateDir(), 'servicenow-delegate');
    await symlink(program, link);
    const { stdout } = await promisify(execFile)(link, ['--version']);
    expect(stdout).to.equal(`${packageVersion()}\n`);
  });

  it('leaves the development world out, and says so', async () => {
    for (const command of ['demo', 'dev']) {
      const { code, stderr } = await runCli([command], {}, program);
      expect(stderr).to.contain('belongs to the development world');
      expect(code).to.equal(2);
    }
    expect(await readFile(program, 'utf8')).to.not.contain('__sim/');
  });

  it('runs a delegate: it enrols, does a task in ServiceNow, and leaves in order at SIGTERM', async () => {
    await doesOneTask(start, { program, stateDir: await stateDir() });
  });

  it('names the remedy where traces are wanted and their client was left out', async () => {
    const env = {
      DELEGATE_MANAGER_URL: 'https://127.0.0.1:1',
      DELEGATE_ENROLMENT_TOKEN: 'enrolment-token-for-tests',
      DELEGATE_STATE_DIR: await stateDir(),
      DELEGATE_HTTP_PORT: '0',
      DELEGATE_TRACES_ENDPOINT: 'http://127.0.0.1:4318',
    };
    const { code, stderr } = await runCli(['run'], env, join(bare, PROGRAM));
    expect(stderr).to.contain('DELEGATE_TRACES_ENDPOINT').and.contain('CLOUD_CLIENTS=include');
    expect(code).to.equal(2);
  });

  describe('with a secret in the store of a cloud', () => {
    const KEY = { AWS_ACCESS_KEY_ID: 'AKIAFAKEKEYFORTESTS1', AWS_SECRET_ACCESS_KEY: 'secret-key-for-tests' };

    it('loads the client that was bundled beside it, and reads it', async () => {
      await using aws = await new FakeAws('eu-central-1').listen();
      aws.keys.set(KEY.AWS_ACCESS_KEY_ID, { secret: KEY.AWS_SECRET_ACCESS_KEY, token: undefined });
      aws.put('snow', 'password-for-tests');
      const { code, stdout } = await check(program, 'aws:snow', {
        ...KEY,
        DELEGATE_AWS_REGION: 'eu-central-1',
        DELEGATE_AWS_ENDPOINT: `http://127.0.0.1:${aws.port}`,
      });
      expect(stdout).to.match(/✓ aws:snow/);
      expect(code).to.equal(0);
    });

    it('gets as far as the network with that of Azure', async () => {
      const { code, stdout } = await check(program, 'azure:snow', AZURE);
      expect(stdout).to.contain('secret-store-unreachable');
      expect(code).to.equal(1);
    });

    it('names the remedy where the clients were left out', async () => {
      for (const [reference, env] of [
        ['aws:snow', { ...KEY, DELEGATE_AWS_REGION: 'eu-central-1' }],
        ['azure:snow', AZURE],
      ] as const) {
        const { code, stdout } = await check(join(bare, PROGRAM), reference, env);
        expect(stdout, reference).to.contain('secret-provider-missing');
        expect(stdout.replaceAll(/\s+/g, ' '), reference).to.contain('CLOUD_CLIENTS=include');
        expect(code, reference).to.equal(1);
      }
    });

    const AZURE = {
      // A port that nobody listens on.
      DELEGATE_AZURE_VAULT_URL: 'https://127.0.0.1:1',
      AZURE_TENANT_ID: 'tenant',
      AZURE_CLIENT_ID: 'client',
      AZURE_CLIENT_SECRET: 'client-secret-for-tests',
    };

    async function check(which: string, reference: string, env: Record<string, string>) {
      return await runCli(
        ['secrets', 'check', reference],
        { DELEGATE_STATE_DIR: await stateDir(), DELEGATE_ALLOW_LOOPBACK: 'true', ...env },
        which,
      );
    }
  });

  it('hands on from each optional package what the package itself exports', async () => {
    const { optionalDependencies } = await packageJson();
    const files = await readdir(join(folder, 'clients'));
    for (const name of Object.keys(optionalDependencies)) {
      const file = `${name.replace('@', '').replace('/', '.')}.mjs`;
      expect(files).to.include(file);
      const bundled: object = await import(pathToFileURL(join(folder, 'clients', file)).href);
      const original: object = await import(name);
      const names = Object.keys(original).filter((one) => one !== 'default' && one !== 'module.exports');
      expect(Object.keys(bundled), name).to.have.members(names);
    }
  });

  it('comes with the license of each package that is in it, and of no other', async () => {
    const { dependencies, optionalDependencies } = await packageJson();
    const all = await readFile(join(folder, NOTICES), 'utf8');
    const fewer = await readFile(join(bare, NOTICES), 'utf8');
    for (const name of Object.keys(dependencies)) {
      for (const notices of [all, fewer]) expect(notices).to.match(headingOf(name));
    }
    for (const name of Object.keys(optionalDependencies)) expect(all).to.match(headingOf(name));
    expect(fewer)
      .to.not.match(headingOf('@azure/identity'))
      .and.not.match(headingOf('@aws-sdk/client-secrets-manager'));
    for (const tool of ['esbuild', 'mocha', 'oidc-provider']) expect(all).to.not.match(headingOf(tool));
    expect(all).to.contain('Permission is hereby granted, free of charge');
  });
});

async function packageJson(): Promise<z.infer<typeof packageSchema>> {
  return packageSchema.parse(
    JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8')),
  );
}

function headingOf(name: string): RegExp {
  return new RegExp(`^${name} \\d+\\.\\d+\\.\\d+\\S* \\([^)]+\\)?`, 'm');
}
