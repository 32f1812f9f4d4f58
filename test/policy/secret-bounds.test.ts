import { expect } from 'chai';
import type { HttpRequest } from '../../src/kit/http-exchange.ts';
import { Redactor } from '../../src/kit/secret.ts';
import { assertSecretsStay } from '../../src/policy/secret-bounds.ts';
import { wrap, type DelegateError } from '../../src/kit/errors.ts';

const HOME = 'https://home.example.com';
const AWAY_ORIGIN = 'https://away.example.com';
const AWAY = `${AWAY_ORIGIN}/api?x=1`;
const LONG = 'correct horse/battery+staple=42';
const SHORT = 'Xy7!pq';

describe('a secret that is bound to an origin', () => {
  let redactor: Redactor;

  beforeEach(() => {
    redactor = new Redactor();
    for (const value of [LONG, SHORT]) redactor.register(value, { origins: [HOME] });
  });

  const send = (to: string, parts: Partial<HttpRequest>): string => {
    const request: HttpRequest = {
      method: 'POST',
      url: new URL(to),
      headers: {},
      signal: new AbortController().signal,
      ...parts,
    };
    return thrownBy(() => assertSecretsStay(request, redactor))?.code ?? 'sent';
  };

  for (const value of [LONG, SHORT]) {
    const basic = Buffer.from(`user:${value}`).toString('base64');
    const places: Record<string, Partial<HttpRequest>> = {
      'a bearer header': { headers: { authorization: `Bearer ${value}` } },
      'a Basic header': { headers: { authorization: `Basic ${basic}` } },
      'any header': { headers: { 'x-anything': value } },
      "a header's name": { headers: { [value]: '' } },
      'a form': { body: new URLSearchParams({ client_secret: value }).toString() },
      'a JSON body': { body: JSON.stringify({ password: value }) },
      hex: { body: Buffer.from(value).toString('hex') },
      'a path': { url: new URL(`https://away.example.com/${encodeURIComponent(value)}`) },
      'a query': {
        url: new URL(`https://away.example.com/?${new URLSearchParams({ q: value }).toString()}`),
      },
      'an assertion': {
        body: `assertion=e30.${Buffer.from(JSON.stringify({ sub: value })).toString('base64url')}.sig`,
      },
    };
    for (const [place, parts] of Object.entries(places)) {
      it(`of ${value.length} characters is not sent elsewhere in ${place}`, () => {
        expect(send(AWAY, parts)).to.equal('policy.secret-elsewhere');
      });
    }
  }

  it('is sent home', () => {
    expect(send(`${HOME}/login`, { body: `password=${LONG}&pin=${SHORT}` })).to.equal('sent');
  });

  it('is not sent to another port, or another scheme, of its host', () => {
    for (const to of ['https://home.example.com:8443/', 'http://home.example.com/']) {
      expect(send(to, { body: LONG })).to.equal('policy.secret-elsewhere');
    }
  });

  it('may be sent to each origin that it was ever bound to', () => {
    redactor.register(LONG, { origins: ['https://away.example.com'] });
    redactor.register(LONG);
    expect(send(AWAY, { body: LONG })).to.equal('sent');
    expect(send(HOME, { body: LONG })).to.equal('sent');
    expect(send('https://third.example.com', { body: LONG })).to.equal('policy.secret-elsewhere');
  });

  it('goes nowhere, if it is bound to nothing', () => {
    redactor.register('the key that only signs', { origins: [] });
    expect(send(HOME, { body: 'the key that only signs' })).to.equal('policy.secret-elsewhere');
  });

  it('says which host, and neither the value nor where it stood', () => {
    const error = thrownBy(() =>
      assertSecretsStay(
        {
          method: 'GET',
          url: new URL(AWAY),
          headers: { 'x-pin': SHORT },
          signal: new AbortController().signal,
        },
        redactor,
      ),
    );
    expect(error?.message).to.equal(
      'A request to away.example.com would have carried a secret that may not go there; it was not sent.',
    );
    expect(error?.details).to.deep.equal({ rule: 'secret-elsewhere', host: 'away.example.com' });
  });
});

function thrownBy(work: () => void): DelegateError | undefined {
  try {
    work();
    return undefined;
  } catch (thrown) {
    return wrap(thrown);
  }
}

describe('what stops no request', () => {
  it('is a value of which nobody has said where it may go', () => {
    const redactor = new Redactor();
    redactor.register('only to be scrubbed');
    expect(redactor.isBoundElsewhere('only to be scrubbed', HOME)).to.equal(false);
  });

  it('is a short value within a longer word: a user name may be a part of the name of a table', () => {
    const redactor = new Redactor();
    redactor.register('change', { origins: [HOME] });
    expect(redactor.isBoundElsewhere('/api/now/table/change_request', AWAY)).to.equal(false);
    expect(redactor.isBoundElsewhere('/api/now/table/change', AWAY)).to.equal(true);
  });

  it('is a value that another, with the same text, may send there', () => {
    const redactor = new Redactor();
    redactor.register('same client id', { origins: [HOME] });
    redactor.register('same client id', { origins: ['https://away.example.com'] });
    expect(redactor.isBoundElsewhere('same client id', 'https://away.example.com')).to.equal(false);
  });

  it('is what stands in a token that may go there: its claims are what whoever issued it wrote', () => {
    const redactor = new Redactor();
    const user = 'delegate@acme.example';
    const claims = Buffer.from(JSON.stringify({ aud: 'x', sub: user })).toString('base64url');
    const token = `eyJhbGciOiJSUzI1NiJ9.${claims}.c2lnbmF0dXJlLW9mLXRoZS1pc3N1ZXI`;
    redactor.register(user, { origins: [HOME] });
    redactor.register(token, { origins: [AWAY_ORIGIN] });
    expect(redactor.isBoundElsewhere(`Bearer ${token}`, AWAY_ORIGIN)).to.equal(false);
    expect(redactor.isBoundElsewhere(`Bearer ${token}; ${user}`, AWAY_ORIGIN)).to.equal(true);
    expect(redactor.isBoundElsewhere(`Bearer ${token}`, 'https://third.example.com')).to.equal(true);
    expect(redactor.isBoundElsewhere(claims, AWAY_ORIGIN)).to.equal(true);
  });

  it('is not what merely overlaps a value that may go there', () => {
    const redactor = new Redactor();
    redactor.register('first-half-common', { origins: [AWAY_ORIGIN] });
    redactor.register('common-second-half', { origins: [HOME] });
    expect(redactor.isBoundElsewhere('first-half-common-second-half', AWAY_ORIGIN)).to.equal(true);
  });
});
