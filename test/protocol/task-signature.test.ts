import { createHash } from 'node:crypto';
import { expect } from 'chai';
import * as fc from 'fast-check';
import { DelegateError } from '../../src/kit/errors.ts';
import { canonicalJson, inputHash, taskSignatureClaimsSchema } from '../../src/protocol/task-signature.ts';
import { json } from './arbitraries.ts';

/** A double from its IEEE 754 bits, as RFC 8785 (appendix B) lists its samples. */
function doubleOf(hex: string): number {
  return Buffer.from(hex, 'hex').readDoubleBE();
}

describe('the canonical form of a task input (RFC 8785)', () => {
  it('is that of the example in section 3.2.2 and 3.2.3', () => {
    const input = {
      numbers: [Number('333333333.33333329'), 1e30, 4.5, 2e-3, 0.000000000000000000000000001],
      string: '\u20ac$\u000f\u000aA\'B"\\\\"/',
      literals: [null, true, false],
    };
    expect(canonicalJson(input)).to.equal(
      String.raw`{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\u000f\nA'B\"\\\\\"/"}`,
    );
  });

  it('sorts members by UTF-16 code units, not by code points or locale (section 3.2.3)', () => {
    const input = {
      '\u20ac': 'Euro Sign',
      '\r': 'Carriage Return',
      '\ufb33': 'Hebrew Letter Dalet With Dagesh',
      '1': 'One',
      '\u{1f600}': 'Emoji: Grinning Face',
      '\u0080': 'Control',
      '\u00f6': 'Latin Small Letter O With Diaeresis',
    };
    expect([...canonicalJson(input).matchAll(/:"([^"]+)"/g)].map((match) => match[1])).to.deep.equal([
      'Carriage Return',
      'One',
      'Control',
      'Latin Small Letter O With Diaeresis',
      'Euro Sign',
      'Emoji: Grinning Face',
      'Hebrew Letter Dalet With Dagesh',
    ]);
  });

  it('sorts members of objects at every depth, and leaves arrays in order', () => {
    expect(canonicalJson({ b: [{ d: 1, c: 2 }, 2, 1], a: { z: null, y: {} } })).to.equal(
      '{"a":{"y":{},"z":null},"b":[{"c":2,"d":1},2,1]}',
    );
  });

  it('sorts members that look like numbers as text', () => {
    expect(canonicalJson({ 10: 1, 9: 2, '-1': 3 })).to.equal('{"-1":3,"10":1,"9":2}');
  });

  const numbers: readonly [string, string][] = [
    ['0000000000000000', '0'],
    ['8000000000000000', '0'],
    ['0000000000000001', '5e-324'],
    ['8000000000000001', '-5e-324'],
    ['7fefffffffffffff', '1.7976931348623157e+308'],
    ['ffefffffffffffff', '-1.7976931348623157e+308'],
    ['4340000000000000', '9007199254740992'],
    ['c340000000000000', '-9007199254740992'],
    ['4430000000000000', '295147905179352830000'],
    ['44b52d02c7e14af5', '9.999999999999997e+22'],
    ['44b52d02c7e14af6', '1e+23'],
    ['44b52d02c7e14af7', '1.0000000000000001e+23'],
    ['444b1ae4d6e2ef4e', '999999999999999700000'],
    ['444b1ae4d6e2ef4f', '999999999999999900000'],
    ['444b1ae4d6e2ef50', '1e+21'],
    ['3eb0c6f7a0b5ed8c', '9.999999999999997e-7'],
    ['3eb0c6f7a0b5ed8d', '0.000001'],
    ['41b3de4355555553', '333333333.3333332'],
    ['41b3de4355555554', '333333333.33333325'],
    ['41b3de4355555555', '333333333.3333333'],
    ['41b3de4355555556', '333333333.3333334'],
    ['41b3de4355555557', '333333333.33333343'],
    ['becbf647612f3696', '-0.0000033333333333333333'],
    ['43143ff3c1cb0959', '1424953923781206.2'],
  ];
  for (const [bits, form] of numbers) {
    it(`writes the double ${bits} as ${form} (appendix B)`, () => {
      expect(canonicalJson(doubleOf(bits))).to.equal(form);
    });
  }

  it('escapes control characters in their short form, or as four lower-case digits', () => {
    expect(canonicalJson('\b\t\n\f\r\u0000\u001f\u007f\u2028/"\\')).to.equal(
      String.raw`"\b\t\n\f\r\u0000\u001f` + '\u007f\u2028/' + String.raw`\"\\"`,
    );
  });

  it('keeps a member named __proto__', () => {
    expect(canonicalJson({ ['__proto__']: 2, b: 1 })).to.equal('{"__proto__":2,"b":1}');
  });

  it('does not exist for numbers out of range, so 1e400 never shares the hash of null', () => {
    for (const bits of ['7fffffffffffffff', '7ff0000000000000', 'fff0000000000000']) {
      expect(() => inputHash({ a: [doubleOf(bits)] }))
        .to.throw(DelegateError)
        .with.property('code', 'input-not-canonical');
    }
  });

  it('does not exist for half a surrogate pair, in a value or in a name', () => {
    for (const input of ['\ud83d', { '\ude00': 1 }, [{ a: 'x\ud800y' }]]) {
      expect(() => inputHash(input))
        .to.throw(DelegateError)
        .with.property('code', 'input-not-canonical');
    }
  });

  it('means the same as its input, and is its own canonical form', () => {
    fc.assert(
      fc.property(json, (input) => {
        const text = canonicalJson(input);
        expect(JSON.parse(text)).to.deep.equal(input);
        expect(canonicalJson(JSON.parse(text))).to.equal(text);
      }),
    );
  });

  it('does not depend on the order in which members were written', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string({ unit: 'binary' }), json), (input) => {
        const reversed = Object.fromEntries(Object.entries(input).toReversed());
        expect(inputHash(reversed)).to.equal(inputHash(input));
      }),
    );
  });
});

describe('the input hash of a signed task', () => {
  it('is that of the example in PROTOCOL.md', () => {
    expect(inputHash({ b: 1, a: [true, null] })).to.equal(
      'sha-256:UXBaLJ6z5-QQpY9pancMOsOIWgz0Prf8iPXkfBHU0w0',
    );
  });

  it('is SHA-256 over UTF-8, in base64url without padding', () => {
    const digest = createHash('sha256').update(Buffer.from('"é€\u{1f600}"', 'utf8')).digest('base64');
    const url = digest.replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
    expect(inputHash('é€\u{1f600}')).to.equal(`sha-256:${url}`);
  });
});

describe('the claims of a task signature', () => {
  const claims = {
    taskId: 't-1',
    attempt: 1,
    name: 'servicenow.create-ticket',
    version: 1,
    delegateId: 'd1',
    inputHash: inputHash(null),
    iat: 1_795_439_435,
    exp: 1_795_439_495,
  };

  it('are read when they are all there', () => {
    expect(taskSignatureClaimsSchema.parse({ ...claims, jti: 'x' })).to.deep.equal(claims);
  });

  for (const claim of Object.keys(claims)) {
    it(`are refused without ${claim}`, () => {
      expect(taskSignatureClaimsSchema.safeParse({ ...claims, [claim]: undefined }).success).to.equal(false);
    });
  }
});
