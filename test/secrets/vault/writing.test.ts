import { expect } from 'chai';
import { Secret } from '../../../src/kit/secret.ts';
import type { Secrets } from '../../../src/secrets/index.ts';
import { leavesNothingOpen } from '../../support/open-handles.ts';
import { tempDirs } from '../../support/temp-dir.ts';
import { INSTANCE, vaultBench, type VaultBench } from './support.ts';

const REFERENCE = 'vault:kv/oidc#refreshToken';
const OLD = 'canary-refresh-token-old';
const NEXT = 'canary-refresh-token-next';
const CLIENT_SECRET = 'canary-client-secret-abc';

describe('a refresh token in Vault', () => {
  const directory = tempDirs();
  let bench: VaultBench;
  let secrets: Secrets;

  beforeEach(async () => {
    bench = await vaultBench(await directory());
    bench.vault.mount('kv', 2);
    bench.vault.put('kv', 'oidc', { refreshToken: OLD, clientSecret: CLIENT_SECRET });
    secrets = bench.open({}, { writable: [REFERENCE] });
    await bench.resolve(secrets, REFERENCE);
    await bench.resolve(secrets, 'vault:kv/oidc#clientSecret');
  });

  afterEach(async () => {
    const told = bench.logged.join('\n');
    for (const canary of [OLD, NEXT, CLIENT_SECRET]) expect(told).to.not.contain(canary);
    await bench[Symbol.asyncDispose]();
  });
  leavesNothingOpen();

  /** As the token source has it: bound to the token server. */
  const next = (): Secret => bench.redactor.register(NEXT, { origins: ['https://login.example.com'] });

  it('is replaced by the one that a server gave, with the fields beside it kept', async () => {
    expect(await secrets.replace(REFERENCE, next())).to.equal(true);
    expect(bench.vault.newest('kv', 'oidc')).to.deep.equal({
      refreshToken: NEXT,
      clientSecret: CLIENT_SECRET,
    });
    expect(await bench.resolve(secrets, REFERENCE)).to.equal(NEXT);
  });

  it('is replaced in version 1 as well', async () => {
    bench.vault.mount('old', 1);
    bench.vault.put('old', 'oidc', { refreshToken: OLD, user: 'svc' });
    const reference = 'vault:old/oidc#refreshToken';
    secrets = bench.open({}, { writable: [reference] });
    await bench.resolve(secrets, reference);
    expect(await secrets.replace(reference, next())).to.equal(true);
    expect(bench.vault.newest('old', 'oidc')).to.deep.equal({ refreshToken: NEXT, user: 'svc' });
  });

  it('is replaced again, each time following its own last version', async () => {
    await secrets.replace(REFERENCE, next());
    expect(await secrets.replace(REFERENCE, new Secret('canary-third'))).to.equal(true);
    expect(bench.vault.versionsOf('kv', 'oidc')).to.equal(3);
  });

  it('is left alone when another writer comes between reading and writing', async () => {
    bench.vault.beforeWrite = () => bench.vault.put('kv', 'oidc', { refreshToken: 'of somebody else' });
    expect(await secrets.replace(REFERENCE, next())).to.equal(false);
    expect(bench.vault.newest('kv', 'oidc')).to.deep.equal({ refreshToken: 'of somebody else' });
    expect(bench.logged.join())
      .to.contain('Somebody else has changed')
      .and.contain('secret-changed-meanwhile');
  });

  it('is left alone when somebody has changed it since the task was given it', async () => {
    bench.vault.put('kv', 'oidc', { refreshToken: 'of another delegate' });
    expect(await secrets.replace(REFERENCE, next())).to.equal(false);
    expect(bench.vault.newest('kv', 'oidc')).to.deep.equal({ refreshToken: 'of another delegate' });
  });

  it('is replaced when only a field beside it was changed, and that change is kept', async () => {
    bench.vault.put('kv', 'oidc', { refreshToken: OLD, clientSecret: 'canary-new-client-secret' });
    expect(await secrets.replace(REFERENCE, next())).to.equal(true);
    expect(bench.vault.newest('kv', 'oidc')).to.deep.equal({
      refreshToken: NEXT,
      clientSecret: 'canary-new-client-secret',
    });
  });

  it('is not written unless the operator has listed it', async () => {
    expect(await bench.open().replace(REFERENCE, next())).to.equal(false);
    expect(bench.vault.versionsOf('kv', 'oidc')).to.equal(1);
  });

  it('that may be read and not written tells the line that the policy needs', async () => {
    bench.vault.fault = ({ method }) =>
      method === 'POST' ? { status: 403, body: { errors: ['permission denied'] } } : undefined;
    expect(await secrets.replace(REFERENCE, next())).to.equal(false);
    expect(bench.logged.join()).to.match(
      /does not let the delegate write .* capabilities = \[\\"update\\"\]/,
    );
  });

  for (const status of [500, 404, 429]) {
    it(`stays the old one when the write is answered with ${status}`, async () => {
      bench.vault.fault = ({ method }) =>
        method === 'POST' ? { status, body: { errors: ['no'] } } : undefined;
      expect(await secrets.replace(REFERENCE, next())).to.equal(false);
      expect(bench.vault.newest('kv', 'oidc')).to.include({ refreshToken: OLD });
    });
  }

  it('is written without what stands beside it becoming a secret: a user is named in every request', async () => {
    bench.vault.put('kv', 'oidc', { refreshToken: OLD, user: 'svc_delegate' });
    await secrets.replace(REFERENCE, next());
    expect(bench.redactor.isBoundElsewhere('Basic svc_delegate', INSTANCE)).to.equal(false);
    expect(bench.redactor.scrub('opened by svc_delegate')).to.equal('opened by svc_delegate');
  });

  it('is read anew after a write whose answer was lost: it may have been written', async () => {
    bench.vault.fault = ({ method }) => {
      if (method !== 'POST') return undefined;
      bench.vault.put('kv', 'oidc', { refreshToken: NEXT, clientSecret: CLIENT_SECRET });
      return { status: 502, text: 'bad gateway' };
    };
    expect(await secrets.replace(REFERENCE, next())).to.equal(false);
    expect(await bench.resolve(secrets, REFERENCE)).to.equal(NEXT);
  });

  it('may go back to Vault once it was written there, and nowhere else than before', async () => {
    await secrets.replace(REFERENCE, next());
    expect(bench.redactor.isBoundElsewhere(NEXT, bench.vault.address)).to.equal(false);
    expect(bench.redactor.isBoundElsewhere(NEXT, 'https://evil.example')).to.equal(true);
    expect(bench.redactor.isBoundElsewhere(CLIENT_SECRET, INSTANCE)).to.equal(false);
  });
});
