import { generateKeyPairSync } from 'node:crypto';
import { expect } from 'chai';
import { stateKeyFrom } from '../../src/delegate/state-key.ts';
import { Secret } from '../../src/kit/secret.ts';

const identityKey = generateKeyPairSync('ed25519').privateKey;
const other = generateKeyPairSync('ed25519').privateKey;
const operatorKey = new Secret(Buffer.alloc(32, 7).toString('base64'));

describe('the state key', () => {
  it('is the same at every start, and another for every identity', () => {
    const key = stateKeyFrom({ operatorKey: undefined, identityKey });
    expect(key).to.have.lengthOf(32);
    expect(stateKeyFrom({ operatorKey: undefined, identityKey }).equals(key)).to.equal(true);
    expect(stateKeyFrom({ operatorKey: undefined, identityKey: other }).equals(key)).to.equal(false);
  });

  it('is the operator’s alone if there is one: a new identity reads what the old one wrote', () => {
    const key = stateKeyFrom({ operatorKey, identityKey });
    expect(stateKeyFrom({ operatorKey, identityKey: other }).equals(key)).to.equal(true);
    expect(key.equals(Buffer.alloc(32, 7)), 'derived, not used as it is').to.equal(false);
  });
});
