import { generateKeyPairSync } from 'node:crypto';
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
    'within a form in a URL': encodeURIComponent(new URLSearchParams({ v: VALUE }).toString().slice(2)),
    'within a URL in a URL': encodeURIComponent(encodeURIComponent(VALUE)),
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

  it('takes what overlaps as one, so that no piece of either is left', () => {
    const redactor = redactorOf('svc-user-app', 'app-key-9f8e7d6c5b4a', '5b4a-end');
    expect(redactor.scrub('id svc-user-app-key-9f8e7d6c5b4a-end.')).to.equal(`id ${MASK}.`);
  });

  it('leaves nothing uncovered of values that overlap in any way', () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'b'), minLength: 8, maxLength: 40 });
    fc.assert(
      fc.property(text, fc.array(fc.nat(), { minLength: 2, maxLength: 8 }), (whole, cuts) => {
        const values = cuts
          .map((cut) => whole.slice(cut % whole.length, (cut % whole.length) + 8 + (cut % 11)))
          .filter((value) => value.length >= 8);
        const scrubbed = redactorOf(...values).scrub(whole);
        for (const value of values) expect(scrubbed).to.not.contain(value);
      }),
    );
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

  describe('finds a value as others escape it', () => {
    const value = `p&ss<w>"o'rd`;
    const escaped: Record<string, string> = {
      'HTML content': `p&amp;ss&lt;w&gt;"o'rd`,
      'an HTML attribute': `p&amp;ss&lt;w&gt;&quot;o'rd`,
      'HTML with a decimal quote': 'p&amp;ss&lt;w&gt;&quot;o&#39;rd',
      'HTML with a hexadecimal quote': 'p&amp;ss&lt;w&gt;&quot;o&#x27;rd',
      'HTML-safe JSON': String.raw`p\u0026ss\u003cw\u003e\"o'rd`,
      'HTML-safe JSON in upper case': String.raw`p\u0026ss\u003Cw\u003E\"o'rd`,
    };
    for (const [where, form] of Object.entries(escaped)) {
      it(`in ${where}`, () => expect(redactorOf(value).scrub(`a ${form} b`)).to.equal(`a ${MASK} b`));
    }
  });

  it('finds a value whose white space has been normalised', () => {
    for (const value of [
      'two  spaces',
      'tab\tinside',
      'nbsp\u00a0inside',
      'blank behind ',
      'zero\u200bwidth',
    ]) {
      const normalised = value.replace(/[\p{C}\p{Z}]+/gu, ' ').trim();
      expect(redactorOf(value).scrub(`<${normalised}>`), value).to.equal(`<${MASK}>`);
    }
  });

  it('does not search for what normalising has left too short', () => {
    expect(redactorOf('a     b').scrub('a b')).to.equal('a b');
  });

  describe('finds a private key', () => {
    const { privateKey: pem } = generateKeyPairSync('rsa', {
      modulusLength: 1_024,
      publicKeyEncoding: { type: 'spki', format: 'pem' },
      privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    });
    const body = pem.replace(/-----[^-]*-----|\s/g, '');
    const wrap = (width: number): string => body.replace(new RegExp(`.{${width}}`, 'g'), '$&\n');
    const layouts: Record<string, string> = {
      'as a file': pem,
      'with CRLF': pem.replaceAll('\n', '\r\n'),
      'on one line, with spaces': pem.replaceAll('\n', ' '),
      'on one line, with escaped breaks': pem.replaceAll('\n', String.raw`\n`),
      'without armour': body,
      'without line breaks': pem.replaceAll('\n', ''),
      'in lines of 64': wrap(64),
      'in lines of 76': wrap(76),
      'line by line': body.replace(/.{64}/g, '$&", "'),
      'within JSON': JSON.stringify({ key: pem.replaceAll('\n', '\r\n') }),
    };
    for (const registered of [
      'as a file',
      'with CRLF',
      'on one line, with spaces',
      'on one line, with escaped breaks',
      'without line breaks',
      'in lines of 76',
    ]) {
      it(`in any layout, if it was registered ${registered}`, () => {
        const redactor = redactorOf(layouts[registered] ?? '');
        for (const [layout, text] of Object.entries(layouts)) {
          const left = redactor.scrub(text).replaceAll(MASK, '');
          for (let index = 0; index + 16 < body.length; index += 1) {
            expect(left, layout).to.not.contain(body.slice(index, index + 16));
          }
        }
      });
    }

    it('and leaves the armour alone, which every key has', () => {
      expect(redactorOf(pem).scrub('-----BEGIN PRIVATE KEY-----')).to.equal('-----BEGIN PRIVATE KEY-----');
    });
  });

  it('finds a large value as it is, in JSON and by its lines', () => {
    const lines = Array.from({ length: 2_000 }, (_, index) => `line ${index} of "this" large secret value`);
    const value = lines.join('\n');
    const redactor = redactorOf(value);
    expect(redactor.scrub(`<${value}>`)).to.equal(`<${MASK}>`);
    expect(redactor.scrub(JSON.stringify(value))).to.equal(`"${MASK}"`);
    expect(redactor.scrub(`<${lines[1_234]}>`)).to.equal(`<${MASK}>`);
  });

  it('takes a value that is hard to take apart as fast as any other', () => {
    for (const value of ['\\'.repeat(300_000), '-----BEGIN '.repeat(5_000), 'a'.repeat(60_000)]) {
      const redactor = redactorOf(value);
      expect(redactor.scrub(`<${value}>`)).to.equal(`<${MASK}>`);
      redactor.scrub('a'.repeat(1_000_000));
    }
  });

  it('tells a thousand tokens apart that begin alike', () => {
    const head = 'eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9';
    const tokens = Array.from(
      { length: 1_000 },
      (_, index) => `${head}.${index}.${'s'.repeat(index % 7)}${index}`,
    );
    const redactor = redactorOf(...tokens);
    expect(redactor.scrub(tokens.join(' '))).to.equal(tokens.map(() => MASK).join(' '));
    const harmless = `${head} `.repeat(25_000);
    expect(redactor.scrub(harmless)).to.equal(harmless);
  });

  it('never forgets a pinned value, whether it was pinned first or later', () => {
    const redactor = new Redactor();
    redactor.register('pinned-first', { pinned: true });
    redactor.register('pinned-first');
    redactor.register('pinned-later');
    redactor.register('pinned-later', { pinned: true });
    redactor.register('not-pinned');
    for (let index = 0; index < 1_000; index += 1) redactor.register(`value-${index}`);
    expect(redactor.scrub('pinned-first pinned-later not-pinned')).to.equal(`${MASK} ${MASK} not-pinned`);
  });

  it('forgets none of the others for a server that issues thousands, nor one that was issued and then found', () => {
    const redactor = new Redactor();
    redactor.register('of-the-customer');
    redactor.register('issued-then-found', { issued: true });
    redactor.register('issued-then-found');
    redactor.register('found-then-issued');
    redactor.register('found-then-issued', { issued: true });
    redactor.register('issued-alone', { issued: true });
    for (let index = 0; index < 1_000; index += 1) redactor.register(`token-${index}`, { issued: true });
    expect(
      redactor.scrub('of-the-customer issued-then-found found-then-issued issued-alone token-0'),
    ).to.equal(`${MASK} ${MASK} ${MASK} issued-alone ${MASK}`);
  });

  it('lets a known value go to one more place, and learns none by that', () => {
    const redactor = new Redactor();
    redactor.register('bound-value', { origins: ['https://a.example'] });
    redactor.register('free-value');
    for (const value of ['bound-value', 'free-value', 'unknown-value'])
      redactor.permit(value, ['https://b.example']);
    expect(redactor.isBoundElsewhere('bound-value', 'https://b.example')).to.equal(false);
    expect(redactor.isBoundElsewhere('bound-value', 'https://a.example')).to.equal(false);
    expect(redactor.isBoundElsewhere('bound-value', 'https://c.example')).to.equal(true);
    expect(redactor.isBoundElsewhere('free-value unknown-value', 'https://c.example')).to.equal(false);
    expect(redactor.scrub('unknown-value')).to.equal('unknown-value');
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
