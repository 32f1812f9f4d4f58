import { generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import { expect } from 'chai';
import { judgeKeySet } from '../../../src/delegate/connection/signing-key-set.ts';
import type { Enrolment } from '../../../src/delegate/state/identity.ts';
import { ed25519PublicJwkSchema, type Ed25519PublicJwk } from '../../../src/protocol/enrolment.ts';

interface Pair {
  readonly privateKey: KeyObject;
  readonly jwk: Ed25519PublicJwk;
}

function newPair(): Pair {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  return { privateKey, jwk: ed25519PublicJwkSchema.parse(publicKey.export({ format: 'jwk' })) };
}

const [old, next, strange] = [newPair(), newPair(), newPair()];

const KNOWN: Enrolment = {
  managerUrl: 'https://manager.example.com',
  delegateId: 'dlg-1',
  taskSigningKeys: [old.jwk],
  taskSigningSequence: 3,
};

function signed(claims: object, by: Pair = old, header: object = {}): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const text = `${part({ alg: 'EdDSA', typ: 'task-signing-keys+jwt', ...header })}.${part(claims)}`;
  return `${text}.${sign(null, Buffer.from(text), by.privateKey).toString('base64url')}`;
}

const SET = { keys: [old.jwk, next.jwk], sequence: 4, iat: 1_795_000_000 };

describe('a set of task-signing keys', () => {
  it('by a known key, and younger than the known set, takes its place', async () => {
    const verdict = await judgeKeySet(signed(SET), KNOWN);
    expect(verdict).to.deep.equal({
      is: 'newer',
      enrolment: { ...KNOWN, taskSigningKeys: SET.keys, taskSigningSequence: 4 },
    });
  });

  it('is younger than that of an enrolment that numbered none', async () => {
    const { taskSigningSequence: _, ...unnumbered } = KNOWN;
    expect(await judgeKeySet(signed({ ...SET, sequence: 1 }), unnumbered)).to.include({ is: 'newer' });
  });

  for (const sequence of [1, 3]) {
    it(`of an earlier time (${sequence}) rolls nothing back, whoever signed it`, async () => {
      for (const by of [old, strange]) {
        expect(await judgeKeySet(signed({ ...SET, sequence }, by), KNOWN)).to.deep.equal({ is: 'known' });
      }
    });
  }

  const attacks: [what: string, text: string, known: Enrolment, fault: RegExp][] = [
    ['by a key that is not known', signed(SET, strange), KNOWN, /not by a known key/],
    ['by a key of its own', signed(SET, next), KNOWN, /not by a known key/],
    ['with a key in the header', signed(SET, strange, { jwk: strange.jwk }), KNOWN, /has jwk/],
    ['of another kind', signed(SET, old, { typ: 'delegate+jwt' }), KNOWN, /another kind/],
    ['of no kind, as a task is signed', signed(SET, old, { typ: undefined }), KNOWN, /another kind/],
    ['without keys', signed({ ...SET, keys: [] }), KNOWN, /lacks claims/],
    ['with a private key', signed({ ...SET, keys: [{ ...next.jwk, d: 'AAAA' }] }), KNOWN, /lacks claims/],
    ['without a number', signed({ ...SET, sequence: undefined }), KNOWN, /lacks claims/],
    ['with a number beyond all others', signed({ ...SET, sequence: 1e300 }), KNOWN, /lacks claims/],
    ['for a delegate without keys', signed(SET), { ...KNOWN, taskSigningKeys: [] }, /No signing key/],
    ['that is none', 'none', KNOWN, /compact JWS/],
  ];
  for (const [what, text, known, fault] of attacks) {
    it(`(${what}) is not taken`, async () => {
      const verdict = await judgeKeySet(text, known);
      expect(verdict.is === 'fault' ? verdict.why : verdict.is).to.match(fault);
    });
  }
});
