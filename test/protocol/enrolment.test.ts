import { generateKeyPairSync } from 'node:crypto';
import { expect } from 'chai';
import { enrolRequestSchema, enrolResponseSchema } from '../../src/protocol/enrolment.ts';

const { publicKey, privateKey } = generateKeyPairSync('ed25519');
const request = {
  name: 'eu-1',
  instanceId: '5d2f5c9e-3b1a-4c8e-9f60-7a1b2c3d4e5f',
  publicKey: publicKey.export({ format: 'jwk' }),
  version: '26.11.90100',
};

describe('an enrolment request', () => {
  it('is read with a key as Node writes it', () => {
    expect(enrolRequestSchema.parse(request)).to.deep.equal(request);
  });

  it('is read without the members of its key that it does not know', () => {
    const verbose = { ...request.publicKey, key_ops: ['verify'], ext: true };
    expect(enrolRequestSchema.parse({ ...request, publicKey: verbose })).to.deep.equal(request);
  });

  it('that carries the private half of its key is refused', () => {
    const leaking = { ...request, publicKey: privateKey.export({ format: 'jwk' }) };
    expect(enrolRequestSchema.safeParse(leaking).success).to.equal(false);
  });

  it('with a key of another kind is refused', () => {
    const { publicKey: other } = generateKeyPairSync('x25519');
    const { publicKey: curve } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    for (const key of [other, curve]) {
      const jwk = key.export({ format: 'jwk' });
      expect(enrolRequestSchema.safeParse({ ...request, publicKey: jwk }).success).to.equal(false);
    }
  });

  for (const [field, wrong] of [
    ['name', ''],
    ['name', 'x'.repeat(257)],
    ['instanceId', 'eu-1'],
    ['version', '1.2.3'],
  ] as const) {
    it(`is refused with ${field} ${JSON.stringify(wrong).slice(0, 12)}, and without it`, () => {
      expect(enrolRequestSchema.safeParse({ ...request, [field]: wrong }).success).to.equal(false);
      expect(enrolRequestSchema.safeParse({ ...request, [field]: undefined }).success).to.equal(false);
    });
  }
});

describe('an enrolment answer', () => {
  it('may come without task-signing keys', () => {
    expect(enrolResponseSchema.parse({ delegateId: 'd1' })).to.deep.equal({ delegateId: 'd1' });
  });

  it('holds at most 16 task-signing keys', () => {
    const keys = (count: number): unknown => ({
      delegateId: 'd1',
      taskSigningKeys: { keys: Array.from({ length: count }, () => request.publicKey) },
    });
    expect(enrolResponseSchema.safeParse(keys(16)).success).to.equal(true);
    expect(enrolResponseSchema.safeParse(keys(17)).success).to.equal(false);
  });

  it('may say null for no task-signing keys', () => {
    const { taskSigningKeys } = enrolResponseSchema.parse({ delegateId: 'd1', taskSigningKeys: null });
    expect(taskSigningKeys).to.equal(undefined);
  });

  it('is read without the task-signing keys of other kinds', () => {
    const rsa = { kty: 'RSA', n: 'AQAB', e: 'AQAB' };
    const keys = [rsa, { ...request.publicKey, ext: true }];
    expect(enrolResponseSchema.parse({ delegateId: 'd1', taskSigningKeys: { keys } })).to.deep.equal({
      delegateId: 'd1',
      taskSigningKeys: { keys: [request.publicKey] },
    });
  });

  for (const [what, keys] of [
    [
      'keys of other kinds alone',
      [
        { kty: 'RSA', n: 'AQAB', e: 'AQAB' },
        { kty: 'OKP', crv: 'X25519' },
      ],
    ],
    ['a private key', [privateKey.export({ format: 'jwk' })]],
    ['an Ed25519 key that is cut off', [request.publicKey, { ...request.publicKey, x: 'A' }]],
    ['what is no key', ['a key']],
  ] as const) {
    it(`with ${what} to sign tasks is refused: unsigned tasks would be taken`, () => {
      const answer = { delegateId: 'd1', taskSigningKeys: { keys } };
      expect(enrolResponseSchema.safeParse(answer).success).to.equal(false);
    });
  }

  it('without a delegateId is refused', () => {
    expect(enrolResponseSchema.safeParse({ delegateId: '' }).success).to.equal(false);
    expect(enrolResponseSchema.safeParse({}).success).to.equal(false);
  });
});
