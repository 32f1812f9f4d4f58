import { createHmac } from 'node:crypto';
import { expect } from 'chai';
import * as fc from 'fast-check';
import { calculateJwkThumbprint, CompactSign, exportJWK, generateKeyPair, type CryptoKey } from 'jose';
import { judgeSignature, type SignatureRules } from '../../../src/delegate/tasks/task-signature.ts';
import { ed25519PublicJwkSchema, type Ed25519PublicJwk } from '../../../src/protocol/enrolment.ts';
import { decodeToDelegate } from '../../../src/protocol/codec.ts';
import { inputHash, type TaskSignatureClaims } from '../../../src/protocol/task-signature.ts';
import { jsonSchema, type TaskAssign } from '../../../src/protocol/messages.ts';
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
    return await faultIn(assign, changes);
  }

  async function faultIn(
    assign: TaskAssign,
    changes: Partial<SignatureRules> = {},
    nowS = NOW_S,
  ): Promise<string | undefined> {
    const verdict = await judgeSignature(assign, rules(changes), nowS);
    return verdict.is === 'fault' ? verdict.why : undefined;
  }

  function jws(header: unknown, payload: unknown = claims(), signature = 'AAAA'): string {
    const part = (value: unknown): string =>
      Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');
    return `${part(header)}.${part(payload)}.${signature}`;
  }

  it('does when every claim is that of the frame', async () => {
    expect(await faultOf(await sign(claims()))).to.equal(undefined);
  });

  it('does by the second of two keys', async () => {
    const keys = [theirs.publicJwk, ours.publicJwk];
    expect(await faultOf(await sign(claims()), { keys })).to.equal(undefined);
  });

  const wrong: [claim: string, changes: Partial<TaskSignatureClaims>, fault: RegExp][] = [
    ['another task', { taskId: 't-2' }, /another task or attempt/],
    ['another attempt', { attempt: 2 }, /another task or attempt/],
    ['another name', { name: 'test.write' }, /another task type/],
    ['another version', { version: 2 }, /another task type/],
    ['another delegate', { delegateId: 'dlg-2' }, /another delegate/],
    ['another input', { inputHash: inputHash({ b: 2, a: [true, null] }) }, /another input/],
    ['an input hash of no form', { inputHash: '' }, /another input/],
    ['an end that has passed', { exp: NOW_S - 61 }, /expired/],
    ['a beginning that is to come', { iat: NOW_S + 61 }, /future/],
    ['a time longer than a day', { exp: NOW_S + 86_401 }, /holds for longer than 86400 s/],
    ['a time longer than a day that began long ago', { iat: 0 }, /holds for longer/],
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
    expect(await faultOf(await sign('no JSON'))).to.match(/not a compact JWS/);
  });

  it('does not when there is none', async () => {
    expect(await faultOf(undefined)).to.match(/not signed/);
  });

  describe('by an attacker who knows the public key', () => {
    const hmac = (header: object): string => {
      const text = jws(header).replace(/\.AAAA$/, '');
      const key = Buffer.from(ours.publicJwk.x, 'base64url');
      return `${text}.${createHmac('sha256', key).update(text).digest('base64url')}`;
    };
    const embedded = async (header: object): Promise<string> =>
      await new CompactSign(Buffer.from(JSON.stringify(claims())))
        .setProtectedHeader({ alg: 'EdDSA', ...header })
        .sign(theirs.privateKey);
    const good = (): Promise<string> => sign(claims());
    const { taskId } = ASSIGN;
    const twice = (member: string): string => JSON.stringify(claims()).replace('{', `{"${member}":"other",`);

    const attacks: [what: string, signature: () => string | Promise<string>, fault: RegExp][] = [
      ['no algorithm', () => jws({ alg: 'none' }), /algorithm/],
      ['no algorithm and no signature', () => jws({ alg: 'none' }, claims(), ''), /compact JWS/],
      ['the algorithm in other letters', () => jws({ alg: 'eddsa' }), /algorithm/],
      ['no header member', () => jws({}), /algorithm/],
      ['a list of algorithms', () => jws({ alg: ['EdDSA'] }), /algorithm/],
      ['an HMAC with the public key', () => hmac({ alg: 'HS256' }), /algorithm/],
      ['an HMAC that calls itself EdDSA', () => hmac({ alg: 'EdDSA' }), /not by a known key/],
      ['an RSA signature', () => jws({ alg: 'RS256' }), /algorithm/],
      ['its own key in the header', () => embedded({ jwk: theirs.publicJwk }), /has jwk/],
      ['the address of its own key', () => embedded({ jku: 'https://evil.example/keys' }), /has jku/],
      ['the address of a certificate', () => embedded({ x5u: 'https://evil.example/cert' }), /has x5u/],
      ['a certificate', () => embedded({ x5c: ['AAAA'] }), /has x5c/],
      ['an extension that must be known', () => jws({ alg: 'EdDSA', crit: ['x'], x: 1 }), /has crit/],
      ['a payload in another form', () => jws({ alg: 'EdDSA', b64: false, crit: ['b64'] }), /has crit/],
      ['a payload in another form, unsaid', () => jws({ alg: 'EdDSA', b64: false }), /has b64/],
      ['a packed payload', () => jws({ alg: 'EdDSA', zip: 'DEF' }), /has zip/],
      ['the name of no key', () => embedded({ kid: 'k-9' }), /not by a known key/],
      ['a name that is a number', () => jws({ alg: 'EdDSA', kid: 7 }), /kid/],
      ['a claim twice', async () => await sign(twice('taskId')), /repeated members/],
      ['a claim twice, once escaped', async () => await sign(twice('t\\u0061skId')), /repeated members/],
      ['a header member twice', () => jws('{"alg":"none","alg":"EdDSA"}'), /repeated members/],
      ['two signatures', async () => `${await good()}.AAAA`, /compact JWS/],
      ['the signature left out', async () => (await good()).replace(/[^.]*$/, ''), /compact JWS/],
      ['the JSON form of a JWS', async () => JSON.stringify({ signatures: [await good()] }), /compact JWS/],
      ['padding', async () => `${await good()}==`, /compact JWS/],
      ['white space', async () => ` ${await good()}`, /compact JWS/],
      ['a huge header', () => jws({ alg: 'EdDSA', junk: 'x'.repeat(12_000) }), /not by a known key/],
      ['nesting without end', () => jws({ alg: 'EdDSA' }, '['.repeat(6_000)), /compact JWS/],
      ['a list of claims', () => jws({ alg: 'EdDSA' }, [claims()]), /compact JWS/],
      ['claims that are text', async () => await sign({ ...claims(), exp: String(NOW_S) }), /lacks claims/],
      [
        'an end that is no time',
        async () => await sign(JSON.stringify(claims()).replace(/"exp":\d+/, '"exp":1e999')),
        /lacks claims/,
      ],
      ['the same task in a list', async () => await sign({ ...claims(), taskId: [taskId] }), /lacks claims/],
    ];
    for (const [what, signature, fault] of attacks) {
      it(`(${what}) does not`, async () => {
        expect(await faultOf(await signature())).to.match(fault);
      });
    }

    it('is refused as a frame when it is longer than any signature', () => {
      const frame = Buffer.from(JSON.stringify({ ...ASSIGN, signature: 'A'.repeat(16_385) }));
      expect(() => decodeToDelegate({ bytes: frame, binary: false })).to.throw('signature');
    });
  });

  describe('that names its key', () => {
    const named = async (kid: string, key = ours.privateKey): Promise<string> =>
      await new CompactSign(Buffer.from(JSON.stringify(claims())))
        .setProtectedHeader({ alg: 'EdDSA', kid })
        .sign(key);

    it('does by the kid of the key set, and by the thumbprint of a key without one', async () => {
      const keys = [theirs.publicJwk, { ...ours.publicJwk, kid: 'k-2' }];
      expect(await faultOf(await named('k-2'), { keys })).to.equal(undefined);
      const { kty, crv, x } = ours.publicJwk;
      const thumbprint = await calculateJwkThumbprint({ kty, crv, x });
      expect(await faultOf(await named(thumbprint), { keys: [theirs.publicJwk, ours.publicJwk] })).to.equal(
        undefined,
      );
    });

    it('does not by the other key of the set', async () => {
      const keys = [
        { ...theirs.publicJwk, kid: 'k-1' },
        { ...ours.publicJwk, kid: 'k-2' },
      ];
      expect(await faultOf(await named('k-1'), { keys })).to.match(/not by a known key/);
    });

    it('does not by a name that no key has', async () => {
      const keys = [{ ...ours.publicJwk, kid: 'k-2' }];
      expect(await faultOf(await named('k-3'), { keys })).to.match(/names a key that is not known/);
    });
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
    expect(await faultIn(assign)).to.match(/another input/);
  });
});
