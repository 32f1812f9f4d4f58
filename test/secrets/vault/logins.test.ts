import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import type { Secrets } from '../../../src/secrets/index.ts';
import type { VaultLogin } from '../../../src/secrets/store-settings.ts';
import { failureOf } from '../../support/failure.ts';
import { leavesNothingOpen } from '../../support/open-handles.ts';
import { tempDirs } from '../../support/temp-dir.ts';
import { CACHE_MS, ROOT_TOKEN, vaultBench, type VaultBench } from './support.ts';

const REFERENCE = 'vault:kv/sn#password';
const PASSWORD = 'canary-Vault-password-2';
const ROLE_ID = 'canary-role-id-5d1f';
const SECRET_ID = 'canary-secret-id-77ab';
const JWT = 'eyJhbGciOiJub25lIn0.eyJzdWIiOiJjYW5hcnkifQ.canary-signature';
const MINUTE_MS = 60_000;

describe('the login to Vault', () => {
  const directory = tempDirs();
  let bench: VaultBench;
  let logins: Record<'approle' | 'kubernetes' | 'jwt', VaultLogin>;

  beforeEach(async () => {
    const home = await directory();
    bench = await vaultBench(home);
    bench.vault.mount('kv', 1);
    bench.vault.put('kv', 'sn', { password: PASSWORD });
    const files = { 'role-id': ROLE_ID, 'secret-id': `${SECRET_ID}\n`, jwt: `${JWT}\n` };
    for (const [name, contents] of Object.entries(files)) await writeFile(join(home, name), contents);
    logins = {
      approle: {
        method: 'approle',
        mount: 'approle',
        roleIdFile: join(home, 'role-id'),
        secretIdFile: join(home, 'secret-id'),
      },
      kubernetes: { method: 'kubernetes', mount: 'k8s/eu', role: 'delegate', jwtFile: join(home, 'jwt') },
      jwt: { method: 'jwt', mount: 'jwt', role: 'delegate', jwtFile: join(home, 'jwt') },
    };
    bench.vault.logins.set('approle', { role_id: ROLE_ID, secret_id: SECRET_ID });
    bench.vault.logins.set('k8s/eu', { role: 'delegate', jwt: JWT });
    bench.vault.logins.set('jwt', { role: 'delegate', jwt: JWT });
  });

  afterEach(async () => {
    const told = [...bench.logged, ...bench.vault.seen.map(({ path }) => path)].join('\n');
    for (const canary of [PASSWORD, ROLE_ID, SECRET_ID, JWT, ROOT_TOKEN]) expect(told).to.not.contain(canary);
    await bench[Symbol.asyncDispose]();
  });
  leavesNothingOpen();

  /** Past the short memory, so that Vault is asked again. */
  async function readAnew(secrets: Secrets): Promise<string> {
    await bench.clock.advance(CACHE_MS);
    return await bench.resolve(secrets, REFERENCE);
  }

  const loginsAt = (mount: string): number => bench.vault.count(`auth/${mount}/login`);

  for (const [method, mount] of [
    ['approle', 'approle'],
    ['kubernetes', 'k8s/eu'],
    ['jwt', 'jwt'],
  ] as const) {
    it(`by ${method} is made once for all who wait`, async () => {
      const secrets = bench.open({ login: logins[method], kvVersion: 1 });
      await Promise.all(Array.from({ length: 50 }, () => bench.resolve(secrets, REFERENCE)));
      expect(loginsAt(mount)).to.equal(1);
    });

    it(`by ${method} that is refused says what to look at, and tells no credential`, async () => {
      bench.vault.logins.set(mount, { role: 'another', role_id: 'another' });
      const error = await failureOf(bench.resolve(bench.open({ login: logins[method] }), REFERENCE));
      expect(error).to.include({ code: 'secret-store-login-refused', retryable: false, status: 400 });
      expect(error.message).to.contain('invalid role or secret ID');
      const told = JSON.stringify(error.toWire());
      for (const canary of [ROLE_ID, SECRET_ID, JWT]) expect(told).to.not.contain(canary);
    });
  }

  it('at a mount that is not there names the setting', async () => {
    bench.vault.logins.clear();
    const error = await failureOf(bench.resolve(bench.open({ login: logins.approle }), REFERENCE));
    expect(error).to.include({ code: 'secret-store-login-refused', status: 404 });
    expect(error.hint).to.contain('DELEGATE_VAULT_AUTH_MOUNT');
  });

  it('is renewed before its lease ends, so that a secret id is spent once', async () => {
    bench.vault.loginLease = { ttlS: 600, renewable: true };
    const secrets = bench.open({ login: logins.approle });
    await bench.resolve(secrets, REFERENCE);
    await bench.clock.advance(60 * MINUTE_MS);
    expect(await readAnew(secrets)).to.equal(PASSWORD);
    expect(loginsAt('approle')).to.equal(1);
    expect(bench.vault.count('auth/token/renew-self')).to.be.within(8, 10);
  });

  it('is made again before the lease ends of a token that can not be renewed', async () => {
    bench.vault.loginLease = { ttlS: 600, renewable: false };
    const secrets = bench.open({ login: logins.approle });
    await bench.resolve(secrets, REFERENCE);
    await bench.clock.advance(9 * MINUTE_MS);
    await readAnew(secrets);
    expect(loginsAt('approle')).to.equal(2);
    expect(bench.vault.seen.filter(({ path }) => path === 'auth/token/lookup-self')).to.deep.equal([]);
  });

  it('is renewed a little later when Vault could not be asked', async () => {
    bench.vault.loginLease = { ttlS: 600, renewable: true };
    const secrets = bench.open({ login: logins.approle });
    await bench.resolve(secrets, REFERENCE);
    bench.vault.fault = () => ({ status: 503, body: { errors: ['Vault is sealed'] } });
    await bench.clock.advance(400_000);
    expect(bench.logged.join()).to.contain('could not be renewed');
    bench.vault.fault = undefined;
    await bench.clock.advance(10_000);
    await readAnew(secrets);
    expect(loginsAt('approle')).to.equal(1);
  });

  it('is made once more, and once only, when the token was revoked meanwhile', async () => {
    const secrets = bench.open({ login: logins.approle });
    await bench.resolve(secrets, REFERENCE);
    bench.vault.revokeAll();
    expect(await readAnew(secrets)).to.equal(PASSWORD);
    expect(loginsAt('approle')).to.equal(2);
  });

  it('is not made again for a path that the policy does not grant', async () => {
    const secrets = bench.open({ login: logins.approle });
    await bench.resolve(secrets, REFERENCE);
    bench.vault.denied.add('kv/sn');
    await failureOf(readAnew(secrets));
    expect(loginsAt('approle')).to.equal(1);
  });

  it('is not spent on each path that is not granted, where a token may not look itself up', async () => {
    const secrets = bench.open({ login: logins.approle });
    await bench.resolve(secrets, REFERENCE);
    bench.vault.denied.add('auth/token/lookup-self');
    for (let task = 0; task < 20; task += 1) {
      bench.vault.denied.add(`sys/internal/ui/mounts/kv/denied-${task}`);
      await failureOf(bench.resolve(secrets, `vault:kv/denied-${task}#password`));
    }
    expect(loginsAt('approle')).to.equal(2);
    // Nor is a token that has ended taken for good for ever.
    bench.vault.revokeAll();
    await bench.clock.advance(MINUTE_MS);
    expect(await readAnew(secrets)).to.equal(PASSWORD);
  });

  it('that was refused is not tried again with the same credentials, since Vault would lock the role out', async () => {
    bench.vault.logins.set('approle', { role_id: ROLE_ID, secret_id: 'another' });
    const secrets = bench.open({ login: logins.approle });
    for (let task = 0; task < 20; task += 1) await failureOf(bench.resolve(secrets, REFERENCE));
    expect(loginsAt('approle')).to.equal(1);
    await bench.clock.advance(MINUTE_MS);
    await failureOf(bench.resolve(secrets, REFERENCE));
    expect(loginsAt('approle')).to.equal(2);
  });

  it('is tried at once with credentials that were replaced', async () => {
    const secrets = bench.open({ login: logins.approle });
    await writeFile(join(bench.home, 'secret-id'), 'expired');
    await failureOf(bench.resolve(secrets, REFERENCE));
    await writeFile(join(bench.home, 'secret-id'), SECRET_ID);
    expect(await bench.resolve(secrets, REFERENCE)).to.equal(PASSWORD);
  });

  it('has credentials that leave for Vault alone', async () => {
    const secrets = bench.open({ login: logins.approle });
    await bench.resolve(secrets, REFERENCE);
    const token = bench.vault.seen.at(-1)?.headers['x-vault-token'];
    for (const credential of [SECRET_ID, ROLE_ID, String(token)]) {
      expect(bench.redactor.isBoundElsewhere(credential, 'https://evil.example')).to.equal(true);
      expect(bench.redactor.isBoundElsewhere(credential, bench.vault.address)).to.equal(false);
    }
    expect(bench.redactor.isBoundElsewhere(PASSWORD, bench.vault.address)).to.equal(true);
  });

  for (const [what, file] of [
    ['is not there', 'gone'],
    ['is empty', 'empty'],
  ] as const) {
    it(`with a file that ${what} names the setting`, async () => {
      await writeFile(join(bench.home, 'empty'), '\n');
      const login: VaultLogin = { method: 'token', tokenFile: join(bench.home, file) };
      const error = await failureOf(bench.resolve(bench.open({ login }), REFERENCE));
      expect(error.code).to.be.oneOf(['secret-not-found', 'secret-empty']);
      expect(error.message).to.contain('DELEGATE_VAULT_TOKEN_FILE');
    });
  }

  describe('with a token from a file', () => {
    it('takes the new one as soon as an agent has written it', async () => {
      const secrets = bench.open();
      await bench.resolve(secrets, REFERENCE);
      bench.vault.issue('hvs.second-token', 600);
      await writeFile(join(bench.home, 'token'), 'hvs.second-token');
      await readAnew(secrets);
      expect(bench.vault.seen.at(-1)?.headers['x-vault-token']).to.equal('hvs.second-token');
    });

    it('goes on with the one at hand while the file is being written, or is gone', async () => {
      const secrets = bench.open();
      await bench.resolve(secrets, REFERENCE);
      await writeFile(join(bench.home, 'token'), '');
      expect(await readAnew(secrets)).to.equal(PASSWORD);
      await rm(join(bench.home, 'token'));
      expect(await readAnew(secrets)).to.equal(PASSWORD);
    });

    it('is renewed as well, so that a periodic token lives as long as the delegate', async () => {
      bench.vault.issue('hvs.periodic', 600, true);
      await writeFile(join(bench.home, 'token'), 'hvs.periodic');
      const secrets = bench.open();
      await bench.resolve(secrets, REFERENCE);
      await bench.clock.advance(120 * MINUTE_MS);
      expect(await readAnew(secrets)).to.equal(PASSWORD);
    });

    it('that Vault does not know is told from a path that it may not read', async () => {
      await writeFile(join(bench.home, 'token'), 'hvs.unknown');
      const error = await failureOf(bench.resolve(bench.open(), REFERENCE));
      expect(error).to.include({ code: 'secret-store-login-refused', status: 403 });
      expect(error.hint).to.contain('DELEGATE_VAULT_TOKEN_FILE');
      expect(JSON.stringify(error.toWire())).to.not.contain('hvs.unknown');
    });

    it('that may not look itself up is used all the same', async () => {
      bench.vault.denied.add('auth/token/lookup-self');
      expect(await bench.resolve(bench.open(), REFERENCE)).to.equal(PASSWORD);
    });
  });

  it('leaves no timer behind when the delegate ends', async () => {
    bench.vault.loginLease = { ttlS: 600, renewable: true };
    const secrets = bench.open({ login: logins.approle });
    await bench.resolve(secrets, REFERENCE);
    expect(bench.clock.pending).to.equal(1);
    await secrets[Symbol.asyncDispose]();
    expect(bench.clock.pending).to.equal(0);
  });
});
