import { expect } from 'chai';
import * as fc from 'fast-check';
import { MASK, Redactor, ScrubbedLines } from '../../src/kit/secret.ts';
import { ENCODINGS, KINDS } from '../leaks/shapes.ts';

function redactorOf(...values: string[]): Redactor {
  const redactor = new Redactor();
  for (const value of values) redactor.register(value);
  return redactor;
}

describe('a short secret', () => {
  it('of fewer than eight characters goes as a word, and not as a part of one', () => {
    const redactor = redactorOf('test');
    expect(redactor.scrub('test "test" p=test&a latest tests test_1')).to.equal(
      `${MASK} "${MASK}" p=${MASK}&a latest tests test_1`,
    );
  });

  it('goes as a word in each reading of the text', () => {
    const redactor = redactorOf('hunter2');
    expect(redactor.scrub(String.raw`{"p":"\nhunter2\n"}`)).to.equal(String.raw`{"p":"\n${MASK}\n"}`);
    expect(redactor.scrub('/a%20hunter2%20b')).to.equal(`/a%20${MASK}%20b`);
  });

  it('goes wherever it is encoded', () => {
    const redactor = redactorOf('hunter2');
    for (const user of ['a', 'ab', 'abc']) {
      expect(redactor.scrub(Buffer.from(`${user}:hunter2`).toString('base64'))).to.contain(MASK);
    }
    expect(redactor.scrub(`x${Buffer.from('hunter2').toString('hex')}y`)).to.equal(`x${MASK}y`);
  });

  it('that ends in a sign needs nothing behind that', () => {
    expect(redactorOf('pa$$').scrub('xpa$$ (pa$$)pa$$x')).to.equal(`xpa$$ (${MASK})${MASK}x`);
  });
});

describe('what the reader has said itself', () => {
  const SECRET = 'correct-horse-42';
  const said = (): string => `first\nis it ${SECRET}?`;

  it('is not masked: a mask would confirm a guess', () => {
    const redactor = redactorOf(SECRET);
    expect(redactor.scrub(`not ${SECRET}`, said)).to.equal(`not ${SECRET}`);
    expect(redactor.scrubDeep({ expected: [SECRET] }, said)).to.deep.equal({ expected: [SECRET] });
  });

  it('looks the same, whether a guess is right or wrong', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 4, maxLength: 20 }), fc.boolean(), (guess, isRight) => {
        const redactor = redactorOf(isRight ? guess : SECRET);
        const echo = (): string => guess;
        expect(redactor.scrub(`value is Foo, not ${guess}`, echo)).to.equal(`value is Foo, not ${guess}`);
      }),
    );
  });

  it('is not masked where its own characters could be read as an escape', () => {
    const guess = String.raw`\n    `;
    expect(redactorOf(guess).scrub(`not ${guess}`, () => guess)).to.equal(`not ${guess}`);
  });

  it('spares no other secret, nor another form of this one', () => {
    const redactor = redactorOf(SECRET, 'battery-staple-17');
    const basic = Buffer.from(`u:${SECRET}`).toString('base64');
    expect(redactor.scrub(`${SECRET} battery-staple-17`, said)).to.equal(`${SECRET} ${MASK}`);
    expect(redactor.scrub(basic, said)).to.contain(MASK);
  });

  it('must have been said whole', () => {
    expect(redactorOf(SECRET).scrub(SECRET, () => SECRET.slice(0, -1))).to.equal(MASK);
  });
});

describe('scrubbing a line of JSON', () => {
  it('makes a text of a number that is a secret', () => {
    expect(redactorOf('48151623').scrubJson('{"pin":48151623,"n":1}')).to.equal(`{"pin":"${MASK}","n":1}`);
  });

  it('gives up a line rather than cut an escape in half', () => {
    const redactor = redactorOf('nightfall-77', 'e4-fallback');
    for (const line of [
      String.raw`{"a":"x\nightfall-77"}`,
      String.raw`{"a":"\u00e4-fallback"}`,
      String.raw`{"a":"\\nightfall-77"}`,
    ]) {
      const scrubbed = redactor.scrubJson(line) ?? 'null';
      expect(() => JSON.parse(scrubbed) as unknown, line).to.not.throw();
      expect(scrubbed).to.not.contain('ightfall');
    }
  });

  it('gives up what holds a secret across its members', () => {
    const document = '{"user":"a","pass":"b"}';
    expect(redactorOf(document).scrubJson(`{"x":${document}}`)).to.equal(undefined);
  });

  it('is JSON, without the value, for any value in any place', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary', minLength: 8, maxLength: 20 }),
        fc.jsonValue(),
        (secret, around) => {
          const line = JSON.stringify({ around, secret, [secret]: [`<${secret}>`] });
          const scrubbed = redactorOf(secret).scrubJson(line);
          if (scrubbed === undefined) return;
          expect(JSON.stringify(JSON.parse(scrubbed))).to.not.contain(JSON.stringify(secret).slice(1, -1));
        },
      ),
    );
  });
});

describe('scrubbing structures', () => {
  const SECRET = 'hunter2-and-more';
  const bytes = new TextEncoder().encode(`Basic ${SECRET}`);
  const hidden: Readonly<Record<string, unknown>> = {
    'a buffer': Buffer.from(bytes),
    'a typed array': bytes,
    'a list of bytes': [...bytes],
    'a buffer of UTF-16': Buffer.from(SECRET, 'utf16le'),
    'JSON of a buffer': Buffer.from(bytes).toJSON(),
    'a map': new Map([[SECRET, { a: SECRET }]]),
    'a set': new Set([SECRET]),
    'an address': new URL(`https://acme.example/?p=${SECRET}`),
    'an error with several': new AggregateError([new Error(SECRET)], SECRET),
    headers: new Headers({ authorization: SECRET }),
    parameters: new URLSearchParams({ p: SECRET }),
  };
  for (const [what, value] of Object.entries(hidden)) {
    it(`leaves no secret in ${what}`, () => {
      const scrubbed = JSON.stringify(redactorOf(SECRET).scrubDeep({ value }));
      expect(scrubbed)
        .to.not.contain('hunter2')
        .and.not.contain([...bytes].slice(6, 12).join(','));
    });
  }

  it('masks a number that is a secret, and no other', () => {
    expect(redactorOf('48151623').scrubDeep([48151623, 4815162, 48151623n, 16234815])).to.deep.equal([
      MASK,
      4815162,
      MASK,
      16234815,
    ]);
  });

  it('keeps bytes and collections without a secret', () => {
    expect(
      redactorOf(SECRET).scrubDeep([new Uint8Array([1, 2]), [1, 2, 3, 4], new Set(['a']), new Date(0)]),
    ).to.deep.equal([[1, 2], [1, 2, 3, 4], ['a'], '1970-01-01T00:00:00.000Z']);
  });
});

describe('plain JSON, which is looked at in one piece', () => {
  /** Beside a map, which is none, so that each string is looked at alone. */
  function pieceByPiece(redactor: Redactor, value: unknown): unknown {
    return redactor.scrubDeep([new Map(), value]);
  }

  it('is found unclean wherever its strings alone are, in every shape of a value', () => {
    for (const [kind, { value }] of Object.entries(KINDS)) {
      const redactor = redactorOf(value);
      for (const [encoding, encode] of Object.entries(ENCODINGS)) {
        const holder = { list: [1, 'a', { [`of ${encoding}`]: encode(value) }], none: null };
        expect([[], redactor.scrubDeep(holder)], `${kind}, ${encoding}`).to.deep.equal(
          pieceByPiece(redactor, holder),
        );
      }
    }
  });

  it('is told to be clean or not as its strings alone are', () => {
    const secret = 'S3cret-%41-"x"';
    const redactor = redactorOf(secret, 'abcd', '11223344');
    const piece = fc.constantFrom(
      secret,
      encodeURIComponent(secret),
      'abcd',
      'a',
      '"',
      '\\',
      '\n',
      '%',
      ' ',
      ',',
    );
    const text = fc.array(piece, { maxLength: 4 }).map((pieces) => pieces.join(''));
    const { value } = fc.letrec((tie) => ({
      value: fc.oneof(
        { depthSize: 'small' },
        text,
        fc.constantFrom(11_223_344, 97, 98, 99, 100, true, null),
        fc.array(tie('value'), { maxLength: 5 }),
        fc.dictionary(text, tie('value'), { maxKeys: 3 }),
      ),
    }));
    fc.assert(
      fc.property(value, (json) => {
        expect([[], redactor.scrubDeep(json)]).to.deep.equal(pieceByPiece(redactor, json));
      }),
      { numRuns: 2_000 },
    );
  });

  it('that was clean is searched again once there is something else to find', () => {
    const redactor = redactorOf('hunter2-and-more');
    const result = { message: 'the later-secret-91 of another task' };
    expect(redactor.scrubFinal(result)).to.equal(result);
    expect(redactor.scrubFinal(result)).to.equal(result);
    redactor.register('later-secret-91');
    expect(redactor.scrubFinal(result)).to.deep.equal({ message: `the ${MASK} of another task` });
  });
});

describe('a text in chunks', () => {
  it('has no secret, wherever it is cut', () => {
    const secret = 'hunter2!-hunter2!';
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom('a', '\n', secret, 'hunter2!'), { maxLength: 20 }),
        fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1 }),
        fc.boolean(),
        (parts, sizes, inLines) => {
          const text = parts.join('');
          const lines = new ScrubbedLines(redactorOf(secret));
          let out = '';
          for (let at = 0, turn = 0; at < text.length; turn += 1) {
            const size = sizes[turn % sizes.length] ?? 1;
            lines.add(text.slice(at, at + size));
            at += size;
            if (inLines) out += lines.lines();
          }
          out += lines.end();
          expect(out).to.equal(redactorOf(secret).scrub(text));
        },
      ),
    );
  });

  it('is let out by lines, and a very long line in parts', () => {
    const lines = new ScrubbedLines(redactorOf('hunter2!'));
    lines.add('one\ntwo');
    expect(lines.lines()).to.equal('one\n');
    expect(lines.lines()).to.equal('');
    lines.add(`${'x'.repeat(40_000)} hunter2! ${'y'.repeat(40_000)}`);
    const first = lines.lines();
    expect(first).to.match(/^twox+/);
    expect(first + lines.end()).to.equal(`two${'x'.repeat(40_000)} ${MASK} ${'y'.repeat(40_000)}`);
  });
});

describe('the cost of a text', () => {
  it('does not grow with the values that end alike', () => {
    const ending = '0123456789abcdef';
    const values = Array.from({ length: 1_000 }, (_, index) => `value-${index}-${ending}`);
    const redactor = redactorOf(...values);
    const text = ending.repeat(20_000);
    expect(redactor.scrub(text)).to.equal(text);
    expect(redactor.scrub(values.join(' '))).to.equal(values.map(() => MASK).join(' '));
  });

  it('has its bound in a text that nearly is a value, at every place', () => {
    const redactor = redactorOf(`${'a'.repeat(30_000)}b${'a'.repeat(29_999)}`);
    const text = 'a'.repeat(1_000_000);
    expect(redactor.scrub(text)).to.equal(text);
  });

  it('has its bound in a text of escapes alone', () => {
    const redactor = redactorOf('correct-horse-42');
    for (const unit of [
      '%25',
      '&amp;',
      '\\\\',
      '=3D',
      '+',
      '\0',
      '&#38;',
      '0x41, ',
      '1,',
      '\n',
      "' +\n '",
      '%5C&#37;=25',
    ]) {
      expect(redactor.scrub(unit.repeat(20_000))).to.equal(unit.repeat(20_000));
    }
  });
});
