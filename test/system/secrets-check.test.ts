import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { z } from 'zod';
import { systemClock } from '../../src/kit/time.ts';
import { runCli } from '../support/cli.ts';
import { FakeVault } from '../support/fake-vault.ts';
import { leavesNothingOpen } from '../support/open-handles.ts';
import { tempDirs } from '../support/temp-dir.ts';

const INSTANCE = 'https://acme.service-now.com';
const CANARIES = {
  variable: 'canary-variable-4711',
  file: 'canary-file-4712',
  vault: 'canary-vault-4713',
  token: 'hvs.canary-token-4714',
  exec: 'canary-exec-4715',
};

const answerSchema = z.object({
  secrets: z.array(
    z.looseObject({
      reference: z.string(),
      provider: z.string().optional(),
      place: z.string().optional(),
      length: z.string().optional(),
      mayBeReplaced: z.boolean().optional(),
      warnings: z.array(z.string()),
      mayGoTo: z.array(z.looseObject({ origins: z.array(z.string()), allowed: z.boolean() })),
      error: z.object({ code: z.string() }).optional(),
    }),
  ),
});

describe('secrets check', function () {
  this.timeout(60_000);

  const directory = tempDirs();
  let home: string;
  let vault: FakeVault;
  let env: Record<string, string>;

  beforeEach(async () => {
    home = await directory();
    vault = await FakeVault.start({ clock: systemClock });
    vault.issue(CANARIES.token);
    vault.mount('kv', 2);
    vault.put('kv', 'servicenow', { password: CANARIES.vault });
    await mkdir(join(home, 'state'));
    await mkdir(join(home, 'mounted', 'servicenow'), { recursive: true });
    await mkdir(join(home, 'files'));
    await writeFile(join(home, 'mounted', 'servicenow', 'password'), CANARIES.file);
    await writeFile(join(home, 'files', 'password'), CANARIES.file);
    await writeFile(join(home, 'token'), CANARIES.token);
    await writeFile(join(home, 'exec.yaml'), `pw: { command: [/bin/echo, ${CANARIES.exec}] }\n`, {
      mode: 0o600,
    });
    env = {
      DELEGATE_STATE_DIR: join(home, 'state'),
      DELEGATE_SECRETS_DIR: join(home, 'files'),
      DELEGATE_KUBERNETES_SECRETS_DIR: join(home, 'mounted'),
      DELEGATE_EXEC_SECRETS_FILE: join(home, 'exec.yaml'),
      DELEGATE_VAULT_ADDRESS: vault.address,
      DELEGATE_VAULT_TOKEN_FILE: join(home, 'token'),
      DELEGATE_SECRET_PASSWORD: CANARIES.variable,
      DELEGATE_SECRET_SHORT: 'abc12',
    };
  });

  afterEach(async () => {
    await vault[Symbol.asyncDispose]();
  });
  leavesNothingOpen();

  async function check(...args: readonly string[]) {
    const { code, stdout, stderr } = await runCli(['secrets', 'check', ...args], env);
    for (const canary of [...Object.values(CANARIES), 'abc12'])
      expect(stdout + stderr).to.not.contain(canary);
    return { code, stdout, stderr };
  }

  async function checkJson(...args: readonly string[]) {
    const { code, stdout } = await check(...args, '--json');
    return { code, secrets: answerSchema.parse(JSON.parse(stdout)).secrets };
  }

  it('says of every provider where a secret came from, and of none its value', async () => {
    const references = [
      'env:PASSWORD',
      'file:password',
      'kubernetes:servicenow/password',
      'exec:pw',
      'vault:kv/servicenow#password',
    ];
    const { code, secrets } = await checkJson(...references);
    expect(
      secrets.flatMap(({ reference, error }) => (error === undefined ? [] : [reference, error])),
    ).to.deep.equal([]);
    expect(code).to.equal(0);
    expect(secrets.map(({ reference, provider }) => [reference, provider])).to.deep.equal(
      references.map((reference) => [reference, reference.split(':')[0]]),
    );
    expect(secrets.map(({ place }) => place)).to.deep.equal([
      'variable DELEGATE_SECRET_PASSWORD',
      `file ${join(home, 'files/password')}`,
      `mounted Secret at ${join(home, 'mounted/servicenow/password')}`,
      `command pw (/bin/echo), defined in ${join(home, 'exec.yaml')}`,
      `Vault ${vault.address}, mount kv (KV version 2), path servicenow, field password, version 1`,
    ]);
    expect(new Set(secrets.map(({ length }) => length))).to.deep.equal(new Set(['16–63']));
  });

  it('ends with 1 when one does not resolve, and says for people what to do', async () => {
    const { code, stdout } = await check('env:PASSWORD', 'env:GONE', 'env:SHORT');
    expect(code).to.equal(1);
    expect(stdout).to.match(/✓ env:PASSWORD\n {4}from variable DELEGATE_SECRET_PASSWORD/);
    expect(stdout).to.match(/✗ env:GONE[^✓]*secret-not-found[^✓]*→ Set the environment variable/);
    expect(stdout).to.match(/✓ env:SHORT[^✗]*! too short to be scrubbed safely/);
  });

  it('checks what the settings map when nothing is named, and shows what each name stands for', async () => {
    await writeFile(join(home, 'delegate.yaml'), 'secretNames: { snow.password: "env:PASSWORD" }\n');
    const { code, secrets } = await checkJson(`--config=${join(home, 'delegate.yaml')}`);
    expect(code).to.equal(0);
    expect(secrets).to.have.length(1);
    expect(secrets[0]).to.include({ reference: 'snow.password', standsFor: 'env:PASSWORD' });
  });

  it('says of a connector whether each of its secrets may go where it would', async () => {
    const connector = join(home, 'connector.yaml');
    const text = (url: string): string =>
      `{ name: A, identifier: a, type: ServiceNow, spec: { serviceNowUrl: ${url}, auth: { type: UsernamePassword, spec: { username: svc, passwordRef: 'env:PASSWORD' } } } }`;
    await writeFile(connector, text(INSTANCE));
    const allowed = await checkJson('--connector', connector);
    expect(allowed.code).to.equal(0);
    expect(allowed.secrets[0]?.mayGoTo[0]).to.deep.include({ origins: [INSTANCE], allowed: true });

    const agreed = await runCli(['secrets', 'allow', 'env:PASSWORD', INSTANCE], env);
    expect(agreed.code).to.equal(0);
    await writeFile(connector, text('https://evil.example'));
    const denied = await checkJson('--connector', connector);
    expect(denied.code).to.equal(1);
    expect(denied.secrets[0]?.mayGoTo[0]).to.deep.include({
      origins: ['https://evil.example'],
      allowed: false,
    });
    const pinned = await checkJson('env:PASSWORD');
    expect(pinned.secrets[0]?.mayGoTo[0]).to.deep.include({ origins: [INSTANCE], allowed: true });
  });

  it('shows nothing of what was pasted in the place of a reference', async () => {
    const { code, stdout } = await check('hunter2-pasted-password', 'pass word: with spaces');
    expect(code).to.equal(1);
    expect(stdout).to.not.match(/hunter2|with spaces/);
  });

  it('ends with 2 when there is nothing to check, or the settings are wrong', async () => {
    const nothing = await check();
    expect(nothing.code).to.equal(2);
    expect(nothing.stderr).to.contain('REFERENCE');
    env['DELEGATE_VAULT_AUTH'] = 'approle';
    const wrong = await check('env:PASSWORD');
    expect(wrong.code).to.equal(2);
    expect(wrong.stderr)
      .to.contain('DELEGATE_VAULT_ROLE_ID_FILE')
      .and.contain('DELEGATE_VAULT_SECRET_ID_FILE');
  });

  it('without a word is told what it takes', async () => {
    const { code, stderr } = await runCli(['secrets'], env);
    expect(code).to.equal(2);
    expect(stderr).to.contain('check, pins, allow REFERENCE ORIGIN or forget REFERENCE');
  });
});
