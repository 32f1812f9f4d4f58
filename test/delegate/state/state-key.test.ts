import { generateKeyPairSync } from 'node:crypto';
import { expect } from 'chai';
import { keptSecretsKeyFrom, stateKeyFrom } from '../../../src/delegate/state/state-key.ts';
import { Secret } from '../../../src/kit/secret.ts';

const identityKey = generateKeyPairSync('ed25519').privateKey;
const other = generateKeyPairSync('ed25519').privateKey;
const operatorKey = new Secret(Buffer.alloc(32, 7).toString('base64'));

const managerUrl = 'https://manager.example.com';

describe('the state key', () => {
  it('is the same at every start, and another for every identity', () => {
    const key = stateKeyFrom({ operatorKey: undefined, identityKey, managerUrl });
    expect(key).to.have.lengthOf(32);
    expect(stateKeyFrom({ operatorKey: undefined, identityKey, managerUrl }).equals(key)).to.equal(true);
    expect(stateKeyFrom({ operatorKey: undefined, identityKey: other, managerUrl }).equals(key)).to.equal(
      false,
    );
  });

  it('is the operator’s alone if there is one: a new identity reads what the old one wrote', () => {
    const key = stateKeyFrom({ operatorKey, identityKey, managerUrl });
    expect(stateKeyFrom({ operatorKey, identityKey: other, managerUrl }).equals(key)).to.equal(true);
    expect(key.equals(Buffer.alloc(32, 7)), 'derived, not used as it is').to.equal(false);
  });

  it('is another for every manager, so that none gets what was done for another', () => {
    const elsewhere = 'https://manager.example.com/eu';
    for (const key of [undefined, operatorKey]) {
      const [here, there] = [managerUrl, elsewhere].map((url) =>
        stateKeyFrom({ operatorKey: key, identityKey, managerUrl: url }),
      );
      expect(there?.equals(here ?? Buffer.alloc(0))).to.equal(false);
    }
  });
});

describe('the key of kept secrets', () => {
  it('is another for every identity, and the operator’s alone if there is one', () => {
    const key = keptSecretsKeyFrom({ operatorKey: undefined, identityKey });
    expect(key).to.have.lengthOf(32);
    expect(keptSecretsKeyFrom({ operatorKey: undefined, identityKey: other }).equals(key)).to.equal(false);
    const own = keptSecretsKeyFrom({ operatorKey, identityKey });
    expect(keptSecretsKeyFrom({ operatorKey, identityKey: other }).equals(own)).to.equal(true);
  });

  it('is not the journal’s', () => {
    for (const source of [
      { operatorKey: undefined, identityKey },
      { operatorKey, identityKey },
    ]) {
      const journal = stateKeyFrom({ ...source, managerUrl: '' });
      expect(keptSecretsKeyFrom(source).equals(journal)).to.equal(false);
    }
  });

  it('of an identity is never the operator’s of the same bytes', () => {
    const { d = '' } = identityKey.export({ format: 'jwk' });
    const sameBytes = new Secret(Buffer.from(d, 'base64url').toString('base64'));
    const own = keptSecretsKeyFrom({ operatorKey: undefined, identityKey });
    expect(keptSecretsKeyFrom({ operatorKey: sameBytes, identityKey }).equals(own)).to.equal(false);
  });
});
