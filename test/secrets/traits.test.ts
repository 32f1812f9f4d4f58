import { expect } from 'chai';
import * as fc from 'fast-check';
import { Redactor, Secret } from '../../src/kit/secret.ts';
import { createSecrets } from '../../src/secrets/index.ts';
import { traitsOf } from '../../src/secrets/traits.ts';

describe('what is said of a secret', () => {
  const GOOD = 'kP4-nO9_zz81+aQ';
  const said: [string, RegExp | undefined][] = [
    [GOOD, undefined],
    ['-----BEGIN KEY-----\nMIIE\n-----END KEY-----', undefined],
    ['hunter2', /too short/],
    [`${GOOD}\n`, /ends in a line break/],
    [`${GOOD} `, /white space/],
    [` ${GOOD}`, /white space/],
    [`${GOOD}ä`, /beyond ASCII/],
    ['changeme', /placeholder/],
    ['<your password>', /placeholder/],
    ['${SNOW_PASSWORD}', /placeholder/],
    ['your-password-here', /placeholder/],
    ['********', /placeholder/],
  ];
  for (const [value, warning] of said) {
    it(`is ${warning?.source ?? 'no warning'} of ${JSON.stringify(value)}`, () => {
      const { warnings } = traitsOf(value);
      if (warning === undefined) expect(warnings).to.deep.equal([]);
      else expect(warnings.join()).to.match(warning);
    });
  }

  it('is its length in four classes, so that nobody learns how long to guess', () => {
    const classes = [1, 7, 8, 15, 16, 63, 64, 1_000].map(
      (length) => traitsOf('x'.repeat(length)).lengthClass,
    );
    expect(classes).to.deep.equal([
      '1–7', '1–7', '8–15', '8–15', '16–63', '16–63', '64 or more', '64 or more',
    ]); // prettier-ignore
  });

  it('never holds the value', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[A-Z0-9]{6,40}$/), (value) => {
        expect(JSON.stringify(traitsOf(value))).to.not.contain(value);
      }),
    );
  });
});

describe('a secret that is too short', () => {
  it('is warned of in the log once, however often it is resolved', async () => {
    const told: unknown[] = [];
    const secrets = createSecrets({
      environment: { DELEGATE_SECRET_PIN: '1234', DELEGATE_SECRET_LONG: 'long-enough-value' },
      directory: undefined,
      names: {},
      writable: [],
      admit: () => Promise.resolve(),
      protect: (value) => new Redactor().register(value),
      log: { info: () => {}, warn: (fields, message) => told.push([fields, message]) },
    });
    const use = { signal: new AbortController().signal, origins: [] };
    for (const reference of ['env:PIN', 'env:PIN', 'env:LONG']) await secrets.resolve(reference, use);
    expect(told).to.deep.equal([
      [
        { code: 'secret-short', reference: 'env:PIN' },
        'this secret is too short to be found in every text that it must not stand in',
      ],
    ]);
  });
});

describe('a setting that names a secret', () => {
  function warnings(names: Record<string, string>, writable: string[]): string {
    const told: string[] = [];
    createSecrets({
      environment: {},
      directory: '/tmp',
      names,
      writable,
      admit: () => Promise.resolve(),
      protect: (value) => new Secret(value),
      log: { info: () => {}, warn: (fields, message) => told.push(`${JSON.stringify(fields)} ${message}`) },
    });
    return told.join('\n');
  }

  it('is warned of at start when it asks for a store that is off, or can not be written', () => {
    expect(warnings({ a: 'env:A', b: 'file:b' }, ['file:b'])).to.equal('');
    expect(warnings({ a: 'vault:kv/a#b' }, []))
      .to.contain('secretNames.a')
      .and.contain('DELEGATE_VAULT_ADDRESS');
    expect(warnings({}, ['vault:kv/a#b']))
      .to.contain('writableSecrets[0]')
      .and.contain('DELEGATE_VAULT_ADDRESS');
    expect(warnings({}, ['file:b', 'env:A']))
      .to.contain('writableSecrets[1]')
      .and.contain('written');
  });

  it('is not quoted where it may be a password that was pasted there', () => {
    expect(warnings({ a: 'user:hunter2' }, []))
      .to.contain('secretNames.a')
      .and.not.contain('hunter2');
  });
});
