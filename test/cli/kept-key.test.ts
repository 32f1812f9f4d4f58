import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { pino } from 'pino';
import { KeptKey, underKey } from '../../src/cli/local/kept-key.ts';
import { ConfigurationError } from '../../src/config/load.ts';
import { loadIdentity } from '../../src/delegate/state/identity.ts';
import { keptSecretsKeyFrom } from '../../src/delegate/state/state-key.ts';
import { lockState } from '../../src/delegate/state/state-lock.ts';
import { Secret } from '../../src/kit/secret.ts';
import { systemClock } from '../../src/kit/time.ts';
import { failureOf } from '../support/failure.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { leavesNothingOpen } from '../support/open-handles.ts';
import { tempDirs } from '../support/temp-dir.ts';

const LOCK = 'delegate.lock';

describe('the key to kept secrets, for a local command', () => {
  const tempDir = tempDirs();
  const log = pino({ enabled: false });
  const operatorKey = new Secret(randomBytes(32).toString('base64'));

  leavesNothingOpen();

  function keptKey(
    stateDir: string,
    given: Secret | undefined,
    protect = (_value: string): void => {},
  ): KeptKey {
    const signal = new AbortController().signal;
    return new KeptKey({ stateDir, stateKey: () => given, protect, clock: systemClock, log, signal });
  }

  it("is the delegate's own, derived from its identity, which is kept out of sight", async () => {
    const stateDir = await tempDir();
    const { privateKey: identityKey } = await loadIdentity(stateDir, () => {}, log);
    const hidden: string[] = [];
    await using key = keptKey(stateDir, undefined, (value) => void hidden.push(value));
    expect(await key.get()).to.deep.equal(keptSecretsKeyFrom({ operatorKey: undefined, identityKey }));
    expect(hidden).to.deep.equal([identityKey.export({ format: 'jwk' }).d]);
  });

  it("is derived from the operator's key, with an identity and without one", async () => {
    const stateDir = join(await tempDir(), 'new');
    const keys: Buffer[] = [];
    {
      await using key = keptKey(stateDir, operatorKey);
      keys.push(await key.get());
      expect(await readdir(stateDir)).to.deep.equal([LOCK]);
    }
    const { privateKey: identityKey } = await loadIdentity(stateDir, () => {}, log);
    await using key = keptKey(stateDir, operatorKey);
    keys.push(await key.get());
    const expected = keptSecretsKeyFrom({ operatorKey, identityKey });
    expect(keys).to.deep.equal([expected, expected]);
  });

  it('locks nothing until it is asked for, and leaves nothing locked', async () => {
    const stateDir = await tempDir();
    {
      await using _unused = keptKey(stateDir, operatorKey);
    }
    expect(await readdir(stateDir)).to.deep.equal([]);
    {
      await using key = keptKey(stateDir, operatorKey);
      await Promise.all([key.get(), key.get()]);
      expect(await readdir(stateDir)).to.deep.equal([LOCK]);
    }
    expect(await readdir(stateDir)).to.deep.equal([]);
  });

  it('is refused while a delegate runs on the folder, which holds the newest token', async () => {
    const stateDir = await tempDir();
    await using _delegate = await lockState(stateDir, { clock: systemClock, log });
    await using key = keptKey(stateDir, operatorKey);
    const { code, message, hint } = await failureOf(key.get());
    expect(code).to.equal('refresh-token-in-use');
    expect(message).to.match(
      /^A delegate is running on the state folder .* and holds the newest refresh token\.$/,
    );
    expect(hint).to.equal('Test this connector through its manager, or stop the delegate first.');
    expect(await readdir(stateDir)).to.deep.equal([LOCK]);
  });

  it('is refused without identity and state key, and makes no folder for that', async () => {
    const folder = await tempDir();
    const missing = join(folder, 'missing');
    const empty = join(folder, 'empty');
    await mkdir(empty);
    for (const stateDir of [missing, empty]) {
      await using key = keptKey(stateDir, undefined);
      const { code, message, hint } = await failureOf(key.get());
      expect(code).to.equal('refresh-token-not-keepable');
      expect(message).to.contain(stateDir);
      expect(hint).to.contain('DELEGATE_STATE_DIR').and.contain('DELEGATE_STATE_KEY');
    }
    expect(existsSync(missing)).to.equal(false);
    expect(await readdir(empty)).to.deep.equal([]);
  });

  it('is refused with the mistake in the state key', async () => {
    const stateDir = await tempDir();
    await using key = new KeptKey({
      stateDir,
      stateKey: () => {
        throw new ConfigurationError(['stateKey: must be 32 bytes']);
      },
      protect: () => {},
      clock: systemClock,
      log,
      signal: new AbortController().signal,
    });
    const { code, message } = await failureOf(key.get());
    expect(code).to.equal('refresh-token-not-keepable');
    expect(message).to.contain('stateKey: must be 32 bytes');
  });

  it('is refused where no file can be made', async () => {
    const file = join(await tempDir(), 'file');
    await using key = keptKey(join(file, '\0'), operatorKey);
    expect((await failureOf(key.get())).code).to.equal('refresh-token-not-keepable');
  });

  it('does not keep a command whose disk never answers', async () => {
    const clock = new ManualClock();
    const key = new KeptKey({
      stateDir: '/somewhere',
      stateKey: () => operatorKey,
      protect: () => {},
      clock,
      log,
      signal: new AbortController().signal,
      lock: () => new Promise(() => {}),
    });
    void key.get();
    const end = key[Symbol.asyncDispose]().then(() => 'ended');
    await clock.advance(2_000);
    expect(await end).to.equal('ended');
    expect(clock.pending).to.equal(0);
  });

  it('is asked for before a kept secret is looked up, also where there is none', async () => {
    const asked: string[] = [];
    const kept = {
      read: (name: string) => (asked.push(name), Promise.resolve(undefined)),
      keep: (name: string) => (asked.push(name), Promise.resolve()),
      forget: (name: string) => (asked.push(name), Promise.resolve()),
    };
    await using refused = keptKey(join(await tempDir(), 'missing'), undefined);
    expect((await failureOf(underKey(kept, refused).read('a'))).code).to.equal('refresh-token-not-keepable');
    expect(asked).to.deep.equal([]);

    await using given = keptKey(await tempDir(), operatorKey);
    const guarded = underKey(kept, given);
    expect(await guarded.read('a')).to.equal(undefined);
    await guarded.keep('b', new Secret('secret'));
    await guarded.forget('c');
    expect(asked).to.deep.equal(['a', 'b', 'c']);
  });
});
