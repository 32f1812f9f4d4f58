import { format, inspect } from 'node:util';
import { expect } from 'chai';
import * as fc from 'fast-check';
import { MASK, Redactor, Secret } from '../../src/kit/secret.ts';

const VALUE = 'p@ss "word"/+é\n~1';

describe('a secret', () => {
  const secret = new Secret(VALUE);

  it('is given by reveal() alone', () => {
    expect(secret.reveal()).to.equal(VALUE);
  });

  /* oxlint-disable typescript/restrict-template-expressions, typescript/no-misused-spread -- the mistakes that
     these rules catch are what a secret has to survive. */
  const prints: Record<string, () => string> = {
    'String()': () => String(secret),
    'a template string': () => `${secret}`,
    join: () => [secret].join(),
    JSON: () => JSON.stringify({ secret }),
    inspect: () => inspect(secret),
    'inspect with hidden properties': () => inspect({ secret }, { showHidden: true, depth: 9 }),
    'inspect without custom forms': () => inspect(secret, { customInspect: false, showHidden: true }),
    'format %s': () => format('%s', secret),
    'format %o': () => format('%o', secret),
    'format %j': () => format('%j', secret),
    'an error message': () => new Error(`failed with ${secret}`).message,
    'the cause of an error': () => inspect(new Error('failed', { cause: { secret } })),
    'an error property': () => inspect(Object.assign(new Error('failed'), { secret })),
    'its property list': () => Reflect.ownKeys(secret).map(String).join(),
    'a spread copy': () => JSON.stringify({ ...secret }),
    'a structured clone': () => inspect(structuredClone(secret)),
  };
  /* oxlint-enable typescript/restrict-template-expressions, typescript/no-misused-spread */
  for (const [where, print] of Object.entries(prints)) {
    it(`does not show in ${where}`, () => {
      expect(print()).to.not.contain('ss "w').and.not.contain('word');
    });
  }

  it('prints as the mask', () => {
    expect([String(secret), inspect(secret), JSON.stringify(secret)]).to.deep.equal([
      MASK,
      MASK,
      `"${MASK}"`,
    ]);
  });
});

describe('the redactor', () => {
  function redactorOf(...values: string[]): Redactor {
    const redactor = new Redactor();
    for (const value of values) redactor.register(value);
    return redactor;
  }

  const forms: Record<string, string> = {
    'as it is': VALUE,
    'within JSON': JSON.stringify(VALUE).slice(1, -1),
    'within JSON within JSON': JSON.stringify(JSON.stringify(VALUE)).slice(3, -3),
    'within a URL': encodeURIComponent(VALUE),
    'within a form': new URLSearchParams({ v: VALUE }).toString().slice(2),
    'in hexadecimal': Buffer.from(VALUE).toString('hex'),
  };
  for (const [where, form] of Object.entries(forms)) {
    it(`finds a value ${where}`, () => {
      expect(redactorOf(VALUE).scrub(`a ${form} b`)).to.equal(`a ${MASK} b`);
    });
  }

  for (const encoding of ['base64', 'base64url'] as const) {
    for (const before of ['', 'x', 'xy', 'xyz']) {
      it(`finds a value in ${encoding} behind ${before.length} other bytes`, () => {
        const value = '\u00bf\u00bf?>~~client-secret';
        const text = Buffer.from(`${before}${value}zz`).toString(encoding);
        const scrubbed = redactorOf(value).scrub(text);
        expect(scrubbed).to.contain(MASK);
        expect(Buffer.from(scrubbed.replace(MASK, ''), 'base64').toString('latin1')).to.not.contain('secret');
      });
    }
  }

  it('finds a password in a Basic authorization header, whatever the user is called', () => {
    fc.assert(
      fc.property(
        fc.string({ maxLength: 20 }),
        fc.string({ minLength: 8, maxLength: 40 }),
        (user, password) => {
          const header = Buffer.from(`${user}:${password}`).toString('base64');
          expect(redactorOf(password).scrub(header)).to.contain(MASK);
        },
      ),
    );
  });

  it('finds every occurrence in a line, and again in the next text', () => {
    const redactor = redactorOf('hunter2!');
    expect(redactor.scrub('hunter2! and hunter2!hunter2!')).to.equal(`${MASK} and ${MASK}${MASK}`);
    expect(redactor.scrub('hunter2!')).to.equal(MASK);
  });

  it('takes the longer of two secrets whole, in whichever order they came', () => {
    for (const values of [
      ['token', 'token-and-more'],
      ['token-and-more', 'token'],
    ]) {
      expect(redactorOf(...values).scrub('x token-and-more token')).to.equal(`x ${MASK} ${MASK}`);
    }
  });

  it('takes characters of regular expressions as they are', () => {
    const value = String.raw`a.*+?^$()[]{}|\/-b`;
    expect(redactorOf(value).scrub(`${value} a.b`)).to.equal(`${MASK} a.b`);
  });

  it('knows a secret that came after the first text', () => {
    const redactor = redactorOf('first-one');
    redactor.scrub('builds the pattern');
    redactor.register('second-one');
    expect(redactor.scrub('first-one second-one')).to.equal(`${MASK} ${MASK}`);
  });

  it('leaves no registered value in any text', () => {
    const value = fc.string({ unit: 'binary', minLength: 9, maxLength: 30 });
    fc.assert(
      fc.property(
        fc.array(value, { minLength: 1, maxLength: 4 }),
        fc.array(fc.string()),
        (values, between) => {
          const text = values.map((one, index) => `${between[index] ?? ''}${one}`).join(' ');
          const scrubbed = redactorOf(...values).scrub(text);
          for (const one of values) expect(scrubbed).to.not.contain(one);
        },
      ),
    );
  });

  it('does not search for what is too short to mean anything, but wraps it all the same', () => {
    const redactor = new Redactor();
    expect(String(redactor.register('abc'))).to.equal(MASK);
    expect(redactor.scrub('abc abcd')).to.equal('abc abcd');
  });

  it('takes a value that has no URL form', () => {
    expect(redactorOf('half\ud800pair').scrub('x half\ud800pair')).to.equal(`x ${MASK}`);
  });

  it('remembers 1,000 values and then forgets the oldest, never one that was registered again', () => {
    const redactor = new Redactor();
    const name = (index: number): string => `value-${String(index).padStart(4, '0')}`;
    for (let index = 0; index < 1_000; index += 1) redactor.register(name(index));
    redactor.register(name(0));
    redactor.register(name(1_000));
    expect(redactor.scrub(`${name(0)} ${name(1)} ${name(2)} ${name(1_000)}`)).to.equal(
      `${MASK} ${name(1)} ${MASK} ${MASK}`,
    );
  });
});

describe('scrubbing structures', () => {
  const redactor = new Redactor();
  redactor.register('hunter2!');

  it('reaches strings at every place, names of members too, and leaves the original alone', () => {
    const data = { a: ['hunter2!', { 'x-hunter2!': 'say hunter2!' }], n: 1, t: true, z: null };
    expect(redactor.scrubDeep(data)).to.deep.equal({
      a: [MASK, { [`x-${MASK}`]: `say ${MASK}` }],
      n: 1,
      t: true,
      z: null,
    });
    expect(data.a[0]).to.equal('hunter2!');
  });

  it('shows a secret as the mask', () => {
    expect(redactor.scrubDeep({ secret: new Secret('anything') })).to.deep.equal({ secret: MASK });
  });

  it('covers message, stack, cause and own members of an error', () => {
    const error = Object.assign(new Error('no hunter2!', { cause: new TypeError('hunter2! again') }), {
      code: 'E_HUNTER',
      header: 'Bearer hunter2!',
    });
    const scrubbed = redactor.scrubDeep(error);
    expect(JSON.stringify(scrubbed)).to.not.contain('hunter2!');
    expect(scrubbed).to.deep.include({ type: 'Error', message: `no ${MASK}`, code: 'E_HUNTER' });
    expect(scrubbed).to.have.nested.property('cause.message', `${MASK} again`);
  });

  it('ends on a cycle', () => {
    const cycle: Record<string, unknown> = { text: 'hunter2!' };
    cycle['self'] = cycle;
    expect(JSON.stringify(redactor.scrubDeep(cycle)))
      .to.contain('[circular]')
      .and.not.contain('hunter2!');
  });

  it('keeps a member named __proto__ a member', () => {
    const parsed: unknown = JSON.parse('{"__proto__":{"polluted":"hunter2!"}}');
    expect(JSON.stringify(redactor.scrubDeep(parsed))).to.equal(`{"__proto__":{"polluted":"${MASK}"}}`);
  });
});
