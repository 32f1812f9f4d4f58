import { expect } from 'chai';
import * as fc from 'fast-check';
import { CompactSign, exportJWK, generateKeyPair, type CryptoKey } from 'jose';
import { signatureFault, type SignatureRules } from '../../../src/delegate/tasks/task-signature.ts';
import { ed25519PublicJwkSchema, type Ed25519PublicJwk } from '../../../src/protocol/enrolment.ts';
import { inputHash, type TaskSignatureClaims } from '../../../src/protocol/task-signature.ts';
import { jsonSchema } from '../../../src/protocol/messages.ts';
import { assignOf } from '../frames.ts';

const NOW_S = 1_795_000_000;
const ASSIGN = assignOf({ input: { b: 1, a: [true, null] } });

interface KeyPair {
  privateKey: CryptoKey;
  publicJwk: Ed25519PublicJwk;
}

describe('the signature of a task', () => {
  let ours: KeyPair;
  let theirs: KeyPair;

  before(async () => {
    [ours, theirs] = await Promise.all([keyPair(), keyPair()]);
  });

  async function keyPair(): Promise<KeyPair> {
    const pair = await generateKeyPair('EdDSA', { crv: 'Ed25519', extractable: true });
    return {
      privateKey: pair.privateKey,
      publicJwk: ed25519PublicJwkSchema.parse(await exportJWK(pair.publicKey)),
    };
  }

  function rules(changes: Partial<SignatureRules> = {}): SignatureRules {
    return { keys: [ours.publicJwk], required: false, delegateId: 'dlg-1', ...changes };
  }

  async function sign(payload: unknown, key: CryptoKey = ours.privateKey): Promise<string> {
    const text = typeof payload === 'string' ? payload : JSON.stringify(payload);
    return await new CompactSign(Buffer.from(text)).setProtectedHeader({ alg: 'EdDSA' }).sign(key);
  }

  function claims(changes: Partial<TaskSignatureClaims> = {}): TaskSignatureClaims {
    const { taskId, attempt, name, version, input } = ASSIGN;
    return {
      taskId,
      attempt,
      name,
      version,
      delegateId: 'dlg-1',
      inputHash: inputHash(input),
      iat: NOW_S,
      exp: NOW_S + 60,
      ...changes,
    };
  }

  async function faultOf(
    signature: string | undefined,
    changes: Partial<SignatureRules> = {},
  ): Promise<string | undefined> {
    const assign = signature === undefined ? ASSIGN : { ...ASSIGN, signature };
    return await signatureFault(assign, rules(changes), NOW_S * 1_000);
  }

  it('does when every claim is that of the frame', async () => {
    expect(await faultOf(await sign(claims()))).to.equal(undefined);
  });

  it('does by the second of two keys', async () => {
    const keys = [theirs.publicJwk, ours.publicJwk];
    expect(await faultOf(await sign(claims()), { keys })).to.equal(undefined);
  });

  const wrong: [claim: string, changes: Partial<TaskSignatureClaims>, fault: RegExp][] = [
    ['another task', { taskId: 't-2' }, /another task/],
    ['another attempt', { attempt: 2 }, /another task/],
    ['another name', { name: 'test.write' }, /another task type/],
    ['another version', { version: 2 }, /another task type/],
    ['another delegate', { delegateId: 'dlg-2' }, /another delegate/],
    ['another input', { inputHash: inputHash({ b: 2, a: [true, null] }) }, /another input/],
    ['an input hash of no form', { inputHash: '' }, /another input/],
    ['an end that has passed', { exp: NOW_S - 61 }, /expired/],
    ['a beginning that is to come', { iat: NOW_S + 61 }, /future/],
  ];
  for (const [claim, changes, fault] of wrong) {
    it(`does not for ${claim}`, async () => {
      expect(await faultOf(await sign(claims(changes)))).to.match(fault);
    });
  }

  it('is forgiven a minute between two clocks', async () => {
    expect(await faultOf(await sign(claims({ exp: NOW_S - 59 })))).to.equal(undefined);
    expect(await faultOf(await sign(claims({ iat: NOW_S + 59 })))).to.equal(undefined);
  });

  for (const claim of Object.keys({
    taskId: 0,
    attempt: 0,
    name: 0,
    version: 0,
    inputHash: 0,
    iat: 0,
    exp: 0,
  })) {
    it(`does not without ${claim}`, async () => {
      expect(await faultOf(await sign({ ...claims(), [claim]: undefined }))).to.match(/lacks claims/);
    });
  }

  it('does not by a stranger', async () => {
    expect(await faultOf(await sign(claims(), theirs.privateKey))).to.match(/not by a known key/);
  });

  it('does not over something that is no JSON', async () => {
    expect(await faultOf(await sign('no JSON'))).to.match(/not by a known key/);
  });

  it('does not when there is none', async () => {
    expect(await faultOf(undefined)).to.match(/not signed/);
  });

  it('does not with the algorithm of a symmetric key, or with none', async () => {
    const body = Buffer.from(JSON.stringify(claims())).toString('base64url');
    for (const alg of ['none', 'HS256']) {
      const head = Buffer.from(JSON.stringify({ alg })).toString('base64url');
      expect(await faultOf(`${head}.${body}.AAAA`)).to.match(/not by a known key/);
    }
  });

  it('is judged, and never throws, whatever stands in its place', async () => {
    const good = await sign(claims());
    // Not in the signature itself: the last bits of its base64url mean nothing, and decoders forgive them.
    const tampered = fc
      .record({ at: fc.nat({ max: good.lastIndexOf('.') - 1 }), by: fc.string({ maxLength: 3 }) })
      .map(({ at, by }) => good.slice(0, at) + by + good.slice(at + 1));
    await fc.assert(
      fc.asyncProperty(fc.oneof(fc.string(), tampered), async (signature) => {
        fc.pre(signature !== good);
        expect(await faultOf(signature)).to.be.a('string');
      }),
    );
  });

  it('is not asked for without keys', async () => {
    expect(await faultOf(undefined, { keys: [] })).to.equal(undefined);
    expect(await faultOf('whatever', { keys: [] })).to.equal(undefined);
  });

  it('is refused, whatever it is, when the operator asks for one and no key is known', async () => {
    const only = { keys: [], required: true };
    expect(await faultOf(await sign(claims()), only)).to.match(/no signing key/);
    expect(await faultOf(undefined, only)).to.match(/no signing key/);
  });

  it('over null does not do for a number beyond the range of a double, which is written as null', async () => {
    const signature = await sign(claims({ inputHash: inputHash({ n: null }) }));
    const assign = assignOf({ input: jsonSchema.parse(JSON.parse('{"n":1e400}')), signature });
    expect(await signatureFault(assign, rules(), NOW_S * 1_000)).to.match(/another input/);
  });
});
