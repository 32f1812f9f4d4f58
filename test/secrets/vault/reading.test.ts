import { expect } from 'chai';
import type { DelegateError } from '../../../src/kit/errors.ts';
import { failureOf } from '../../support/failure.ts';
import { leavesNothingOpen } from '../../support/open-handles.ts';
import { tempDirs } from '../../support/temp-dir.ts';
import type { Answer } from '../../support/fake-vault.ts';
import { assertStoreUrl } from '../../../src/secrets/store-settings.ts';
import { CACHE_MS, ROOT_TOKEN, storeSettings, vaultBench, type VaultBench } from './support.ts';

const PASSWORD = 'canary-Vault-password-1';
const REFERENCE = 'vault:kv/servicenow/prod#password';
const DATA = 'kv/data/servicenow/prod';

describe('a secret in Vault', () => {
  const directory = tempDirs();
  let bench: VaultBench;

  beforeEach(async () => {
    bench = await vaultBench(await directory());
    bench.vault.mount('kv', 2);
    bench.vault.put('kv', 'servicenow/prod', { user: 'svc', password: PASSWORD, pin: 1234, empty: '' });
  });

  afterEach(async () => {
    const told = [...bench.logged, ...bench.vault.seen.map(({ path }) => path)].join('\n');
    expect(told).to.not.contain(PASSWORD);
    expect(told).to.not.contain(ROOT_TOKEN);
    await bench[Symbol.asyncDispose]();
  });
  leavesNothingOpen();

  async function failure(reference = REFERENCE): Promise<DelegateError> {
    const error = await failureOf(bench.resolve(bench.open(), reference));
    const told = JSON.stringify(error.toWire()) + String(error.stack) + String(error.cause);
    expect(told).to.not.contain(PASSWORD);
    expect(told).to.not.contain(ROOT_TOKEN);
    return error;
  }

  it('is read from version 2 of the engine, which the server tells', async () => {
    expect(await bench.resolve(bench.open(), REFERENCE)).to.equal(PASSWORD);
    expect(bench.vault.seen.map(({ path }) => path)).to.deep.equal([
      'auth/token/lookup-self',
      'sys/internal/ui/mounts/kv/servicenow/prod',
      DATA,
    ]);
  });

  it('is read from version 1, and from a mount of several segments', async () => {
    bench.vault.mount('team/a/kv', 1);
    bench.vault.put('team/a/kv', 'sn', { password: PASSWORD });
    expect(await bench.resolve(bench.open(), 'vault:team/a/kv/sn#password')).to.equal(PASSWORD);
    expect(bench.vault.seen.at(-1)?.path).to.equal('team/a/kv/sn');
  });

  for (const version of [1, 2] as const) {
    it(`is read without asking for the mount when version ${version} is stated`, async () => {
      bench.vault.mount('stated', version);
      bench.vault.put('stated', 'sn', { password: PASSWORD });
      const secrets = bench.open({ kvVersion: version });
      expect(await bench.resolve(secrets, 'vault:stated/sn#password')).to.equal(PASSWORD);
      expect(bench.vault.seen.some(({ path }) => path.startsWith('sys/'))).to.equal(false);
    });
  }

  it('is found by a bare name', async () => {
    expect(await bench.resolve(bench.open(), 'snow.password')).to.equal(PASSWORD);
  });

  it('is asked for with the token in its header alone, and with the mark against forged requests', async () => {
    await bench.resolve(bench.open(), REFERENCE);
    for (const { headers, path, body } of bench.vault.seen) {
      expect(headers).to.include({ 'x-vault-token': ROOT_TOKEN, 'x-vault-request': 'true' });
      expect(path + body).to.not.contain(ROOT_TOKEN);
    }
  });

  it('is read once for two hundred tasks, and both of its fields are of that one read', async () => {
    const secrets = bench.open();
    const references = Array.from({ length: 200 }, (_, index) =>
      index % 2 === 0 ? REFERENCE : 'vault:kv/servicenow/prod#user',
    );
    const values = await Promise.all(references.map((reference) => bench.resolve(secrets, reference)));
    expect(new Set(values)).to.deep.equal(new Set([PASSWORD, 'svc']));
    expect(bench.vault.count(DATA)).to.equal(1);
  });

  it('that was changed counts when the short memory has passed, and not later', async () => {
    const secrets = bench.open();
    await bench.resolve(secrets, REFERENCE);
    bench.vault.put('kv', 'servicenow/prod', { password: 'canary-changed-2' });
    await bench.clock.advance(CACHE_MS - 1);
    expect(await bench.resolve(secrets, REFERENCE)).to.equal(PASSWORD);
    await bench.clock.advance(1);
    expect(await bench.resolve(secrets, REFERENCE)).to.equal('canary-changed-2');
  });

  it('is still read for others when the task that asked first is cancelled', async () => {
    const secrets = bench.open();
    const cancelled = new AbortController();
    const first = secrets.resolve(REFERENCE, { signal: cancelled.signal, origins: [] });
    const second = bench.resolve(secrets, REFERENCE);
    const reason = new Error('the task was cancelled');
    cancelled.abort(reason);
    expect(await first.catch((error: unknown) => error)).to.equal(reason);
    expect(await second).to.equal(PASSWORD);
    expect(bench.vault.count(DATA)).to.equal(1);
  });

  it('is read anew after a failure: a failure is not remembered', async () => {
    const secrets = bench.open();
    bench.vault.fault = ({ path }) =>
      path === DATA ? { status: 503, body: { errors: ['Vault is sealed'] } } : undefined;
    await failureOf(bench.resolve(secrets, REFERENCE));
    bench.vault.fault = undefined;
    expect(await bench.resolve(secrets, REFERENCE)).to.equal(PASSWORD);
  });

  it('in a namespace is asked for in that namespace', async () => {
    await using other = await vaultBench(await directory(), { namespace: 'customers/acme' });
    other.vault.mount('kv', 2);
    other.vault.put('kv', 'servicenow/prod', { password: PASSWORD });
    const secrets = other.open({ namespace: 'customers/acme' });
    expect(await other.resolve(secrets, REFERENCE)).to.equal(PASSWORD);
    const error = await failureOf(other.resolve(other.open(), REFERENCE));
    expect(error.hint).to.contain('DELEGATE_VAULT_NAMESPACE');
  });

  describe('that can not be had', () => {
    const notThere: [string, string, RegExp][] = [
      ['an absent path', 'vault:kv/servicenow/gone#password', /vault kv get -mount=kv servicenow\/gone/],
      ['an absent field', 'vault:kv/servicenow/prod#passwort', /vault kv patch/],
      ['a path with the data/ of the API', 'vault:kv/data/servicenow/prod#password', /Leave "data\/" out/],
      ['a field of the prototype', 'vault:kv/servicenow/prod#constructor', /vault kv patch/],
    ];
    for (const [what, reference, hint] of notThere) {
      it(`is not found: ${what}`, async () => {
        const error = await failure(reference);
        expect(error.code).to.equal('secret-not-found');
        expect(error.hint).to.match(hint);
      });
    }

    it('is not found when its newest version was deleted, with the command that brings it back', async () => {
      bench.vault.delete('kv', 'servicenow/prod');
      const error = await failure();
      expect(error).to.include({ code: 'secret-not-found' });
      expect(error.message).to.contain('was deleted');
      expect(error.hint).to.contain('vault kv undelete -mount=kv -versions=1 servicenow/prod');
    });

    it('is not found when its newest version was destroyed', async () => {
      bench.vault.delete('kv', 'servicenow/prod', true);
      expect((await failure()).message).to.contain('was destroyed');
    });

    it('is refused by a policy, and the hint is the line that the policy needs', async () => {
      bench.vault.denied.add(DATA);
      const error = await failure();
      expect(error).to.include({ code: 'secret-store-denied', retryable: false, status: 403 });
      expect(error.hint).to.contain('path "kv/data/servicenow/prod" { capabilities = ["read"] }');
      // One login, or rather none: a token that lives is not replaced for the sake of one path.
      expect(bench.vault.count(DATA)).to.equal(1);
    });

    it('is refused where nothing is mounted, in words that hold for a forbidden path as well', async () => {
      const error = await failure('vault:nothing/here#password');
      expect(error).to.include({ code: 'secret-store-denied' });
      expect(error.hint).to.match(
        /no engine is mounted.*DELEGATE_VAULT_NAMESPACE.*path "nothing\/data\/here"/,
      );
    });

    it('is refused in an engine of another kind', async () => {
      bench.vault.mount('database', 1, 'database');
      expect(await failure('vault:database/creds/x#password')).to.include({
        code: 'secret-reference-invalid',
      });
    });

    it('is told to be in version 2 when version 1 was stated', async () => {
      const secrets = bench.open({ kvVersion: 1 });
      const error = await failureOf(bench.resolve(secrets, REFERENCE));
      expect(error.hint).to.contain('DELEGATE_VAULT_KV_VERSION');
    });

    it('is refused when it is a number, which may have lost its leading zeros', async () => {
      expect(await failure('vault:kv/servicenow/prod#pin')).to.include({ code: 'secret-unreadable' });
    });

    it('is refused when it is empty', async () => {
      expect(await failure('vault:kv/servicenow/prod#empty')).to.include({ code: 'secret-empty' });
    });
  });

  describe('on a server that', () => {
    const HTML = { 'content-type': 'text/html' };
    const echo = `${PASSWORD} was wrong`;
    const faults: [string, Answer, string, boolean][] = [
      ['is sealed', { status: 503, body: { errors: ['Vault is sealed'] } }, 'secret-store-unavailable', true],
      ['limits requests', { status: 429, body: { errors: ['quota'] } }, 'secret-store-unavailable', true],
      ['lags behind', { status: 412, body: { errors: [] } }, 'secret-store-unavailable', true],
      ['is a DR secondary', { status: 472, body: {} }, 'secret-store-unavailable', true],
      ['is a performance standby', { status: 473, body: {} }, 'secret-store-unavailable', true],
      ['is not initialised', { status: 501, body: {} }, 'secret-store-unavailable', true],
      ['fails', { status: 500, body: { errors: ['1 error occurred'] } }, 'secret-store-unavailable', true],
      [
        'is behind a failing gateway',
        { status: 502, text: '<h1>Bad</h1>', headers: HTML },
        'secret-store-unavailable',
        true,
      ],
      [
        'redirects',
        { status: 307, headers: { location: 'https://evil.example/' } },
        'secret-store-bad-answer',
        false,
      ],
      [
        'is a web page',
        { status: 200, text: `<html>${echo}</html>`, headers: HTML },
        'secret-store-bad-answer',
        false,
      ],
      ['answers broken JSON', { status: 200, text: `{"data": "${echo}` }, 'secret-store-bad-answer', false],
      ['answers another JSON', { status: 200, body: { data: [echo] } }, 'secret-store-bad-answer', false],
      ['answers nothing', { status: 200, text: '' }, 'secret-store-bad-answer', false],
      ['refuses the request', { status: 400, body: { errors: ['bad'] } }, 'secret-store-bad-answer', false],
    ];
    for (const [what, answer, code, retryable] of faults) {
      it(`${what} has a failure of its own`, async () => {
        bench.vault.fault = ({ path }) => (path === DATA ? answer : undefined);
        expect(await failure()).to.include({ code, retryable, category: 'secret' });
      });
    }

    it('mirrors the token has it scrubbed from its words', async () => {
      bench.vault.fault = ({ headers }) => ({
        status: 500,
        body: { errors: [`unexpected token ${String(headers['x-vault-token'])}`] },
      });
      expect((await failure()).message).to.contain('unexpected token [secret]');
    });

    it('is not there is unreachable, under a code that nobody takes for ServiceNow', async () => {
      const secrets = bench.open();
      await bench.vault[Symbol.asyncDispose]();
      const error = await failureOf(bench.resolve(secrets, REFERENCE));
      expect(error).to.include({ code: 'secret-store-unreachable', retryable: true });
      expect(error.message).to.match(/^Vault cannot be reached: /);
    });

    it('never answers is given up', async () => {
      const secrets = bench.open();
      bench.vault.fault = () => 'hang';
      const reading = failureOf(bench.resolve(secrets, REFERENCE));
      await bench.clock.advance(20_000);
      const error = await reading;
      expect(error).to.include({ code: 'secret-store-unreachable', retryable: true });
      expect(error.message).to.contain('20 s');
    });

    it('never answers does not keep the delegate from ending', async () => {
      const secrets = bench.open();
      bench.vault.fault = () => 'hang';
      const reading = failureOf(bench.resolve(secrets, REFERENCE));
      await bench.clock.settle();
      await secrets[Symbol.asyncDispose]();
      expect(await reading).to.include({ code: 'secret-store-unreachable' });
    });
  });

  const invalid = [
    'kv', 'kv/a', 'kv#a', '/kv/a#p', 'kv/a/#p', 'kv//a#p', 'kv/../sys/seal#p', 'kv/a/..#p', 'kv/./a#p', 'kv/%2e%2e/a#p',
    'kv/a%2fb#p', 'kv/a?x=1#p', 'kv/a#p#q', 'kv/a#', 'kv/a#p/q', 'kv/a\\b#p', 'kv/a b#p', 'kv/ä#p', 'kv/a;b#p',
    `kv/${'a'.repeat(129)}#p`, 'kv/a\0#p', '../v1/sys/seal#p', 'auth/token/lookup-self#id', 'sys/policies/acl/a#policy', 'identity/entity#id', 'cubbyhole/a#p',
  ]; // prettier-ignore
  for (const locator of invalid) {
    it(`is not looked for by vault:${JSON.stringify(locator).slice(1, 40)}`, async () => {
      expect(await failure(`vault:${locator}`)).to.include({ code: 'secret-reference-invalid' });
      expect(bench.vault.seen).to.deep.equal([]);
    });
  }

  it(`is never the delegate's own token, by whatever way somebody would come to it`, async () => {
    for (const kvVersion of [1, 2, undefined] as const) {
      const secrets = bench.open({ kvVersion });
      for (const locator of ['auth/token/lookup-self#id', 'ns1/auth/token/lookup-self#id']) {
        const error = await failureOf(bench.resolve(secrets, `vault:${locator}`));
        expect(error.code).to.be.oneOf([
          'secret-reference-invalid',
          'secret-store-denied',
          'secret-not-found',
        ]);
      }
    }
    expect(bench.vault.seen.some(({ path }) => path === 'ns1/auth/token/lookup-self')).to.equal(false);
  });

  it('is asked of the named server alone', () => {
    const settings = storeSettings({
      address: 'https://vault.example.com:8200/base',
      namespace: undefined,
      login: { method: 'token', tokenFile: '/t' },
      kvVersion: undefined,
    });
    assertStoreUrl(new URL('https://vault.example.com:8200/base/v1/x'), settings);
    for (const url of [
      'https://vault.example.com/v1/x',
      'http://vault.example.com:8200/',
      'https://evil.example:8200/',
    ]) {
      expect(() => assertStoreUrl(new URL(url), settings))
        .to.throw()
        .with.property('code', 'secret-store-elsewhere');
    }
  });

  it('says where it was found when it is inspected, and nothing of its value', async () => {
    const seen = await bench.open().inspect('snow.password', AbortSignal.timeout(5_000));
    expect(seen).to.deep.include({ name: REFERENCE, provider: 'vault' });
    expect(JSON.stringify(seen)).to.not.contain(PASSWORD);
    expect(seen.outcome).to.deep.include({
      resolves: true,
      place: `Vault ${bench.vault.address}, mount kv (KV version 2), path servicenow/prod, field password, version 1`,
    });
  });
});
