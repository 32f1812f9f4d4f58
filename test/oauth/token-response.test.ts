import { inspect } from 'node:util';
import { expect } from 'chai';
import * as fc from 'fast-check';
import type { HttpResponse } from '../../src/kit/http-exchange.ts';
import { Redactor } from '../../src/kit/secret.ts';
import { OAuthFailure } from '../../src/oauth/token-failure.ts';
import { readTokenResponse, type TokenAnswer } from '../../src/oauth/token-response.ts';

const endpoint = new URL('https://login.example.com/adfs/oauth2/token?tenant=canary-query');
const GRANTED = { access_token: 'canary-access', token_type: 'Bearer', expires_in: 1_799 };

const read = (response: HttpResponse, redactor = new Redactor()): TokenAnswer =>
  readTokenResponse(response, {
    endpoint,
    protect: (value) => redactor.register(value),
    scrub: (text) => redactor.scrub(text),
  });

const json = (status: number, body: unknown, headers: Record<string, string> = {}): HttpResponse => ({
  status,
  headers: { 'content-type': 'application/json;charset=UTF-8', ...headers },
  body: JSON.stringify(body),
});

const html = (status: number, body = '<html><head><title>Sign in</title></head></html>'): HttpResponse => ({
  status,
  headers: { 'content-type': 'text/html;charset=UTF-8' },
  body,
});

const failure = (response: HttpResponse, redactor?: Redactor): OAuthFailure => {
  try {
    read(response, redactor);
  } catch (error) {
    if (error instanceof OAuthFailure) return error;
    throw error;
  }
  throw new Error('a token was read');
};

describe('a token response', () => {
  it('that grants is read, whatever the case of bearer', () => {
    for (const tokenType of ['bearer', 'Bearer', 'BEARER']) {
      const answer = read(
        json(200, { ...GRANTED, token_type: tokenType, id_token: 'i', refresh_token: 'r' }),
      );
      expect(answer.accessToken.reveal()).to.equal('canary-access');
      expect([answer.idToken?.reveal(), answer.refreshToken?.reveal()]).to.deep.equal(['i', 'r']);
      expect(answer.tokenType).to.equal('bearer');
      expect(answer.expiresInS).to.equal(1_799);
    }
  });

  it('that is of no use but for its refresh token tells that one, and prints it nowhere', () => {
    const renewed = { refresh_token: 'refresh-token-canary' };
    for (const flawed of [{ token_type: 'DPoP' }, { access_token: undefined }, { access_token: 'a\nb' }]) {
      const redactor = new Redactor();
      const error = failure(json(200, { ...GRANTED, ...renewed, ...flawed }), redactor);
      expect(error.refreshToken?.reveal()).to.equal('refresh-token-canary');
      expect(inspect(error) + JSON.stringify(error.toWire())).not.to.contain('token-canary');
      expect(redactor.scrub('refresh-token-canary')).to.equal('[secret]');
    }
    expect(failure(json(400, { ...GRANTED, ...renewed })).refreshToken).to.equal(undefined);
    const overlong = json(200, { refresh_token: 'r'.repeat(16_385) });
    expect(failure(overlong).refreshToken).to.equal(undefined);
  });

  it('may come as any media type', () => {
    expect(read({ ...json(200, GRANTED), headers: { 'content-type': 'text/html' } }).expiresInS).to.equal(
      1_799,
    );
    expect(read({ ...json(200, GRANTED), headers: {} }).expiresInS).to.equal(1_799);
  });

  const lives: [unknown, number][] = [
    [3_600, 3_600],
    ['3599', 3_599],
    [0, 0],
    [undefined, 1_800],
    [null, 1_800],
    ['soon', 1_800],
    ['', 1_800],
    [-1, 1_800],
    ['-1', 1_800],
    [{}, 1_800],
  ];
  for (const [given, expected] of lives) {
    it(`expires_in ${JSON.stringify(given)} means ${expected} s`, () => {
      expect(read(json(200, { ...GRANTED, expires_in: given })).expiresInS).to.equal(expected);
    });
  }

  const MSIS9622 =
    'MSIS9622: Client authentication failed. Please verify the credential provided for client authentication is valid.';
  const msis = (error: string, code: string): HttpResponse =>
    json(400, { error, error_description: `${code}: some words` });

  const refusals: [string, HttpResponse, string, string, boolean][] = [
    [
      'MSIS9622',
      json(400, { error: 'invalid_client', error_description: MSIS9622 }),
      'invalid-client',
      'credentials',
      false,
    ],
    ['MSIS9607', msis('invalid_client', 'MSIS9607'), 'invalid-client', 'credentials', false],
    ['MSIS9602', msis('invalid_resource', 'MSIS9602'), 'invalid-resource', 'invalid-input', false],
    ['MSIS9605', msis('access_denied', 'MSIS9605'), 'not-permitted', 'permission', false],
    ['MSIS9611', msis('unauthorized_client', 'MSIS9611'), 'not-permitted', 'permission', false],
    ['AD FS internal', json(400, { error: 'server_error' }), 'unavailable', 'unavailable', true],
    ['AD FS wrong path', { status: 404, headers: {}, body: '' }, 'not-found', 'not-found', false],
    ['a proxy page', html(503), 'unavailable', 'unavailable', true],
    ['a bad gateway', html(502), 'unavailable', 'unavailable', true],
    [
      'ServiceNow, any refused credential',
      json(401, { error_description: 'access_denied', error: 'server_error' }),
      'denied',
      'credentials',
      false,
    ],
    [
      'ServiceNow, newer client entities',
      json(401, { error: 'invalid_client', error_description: 'Invalid client_id or client_secret.' }),
      'invalid-client',
      'credentials',
      false,
    ],
    [
      'ServiceNow, no application user',
      json(401, {
        error: 'invalid_grant',
        error_description: 'access_denied: no OAuth application user set',
      }),
      'invalid-grant',
      'credentials',
      false,
    ],
    [
      'Okta, expired',
      json(400, { error: 'invalid_grant', error_description: 'The refresh token is invalid or expired.' }),
      'invalid-grant',
      'credentials',
      false,
    ],
    [
      'grant type',
      json(400, { error: 'unsupported_grant_type' }),
      'unsupported-grant-type',
      'invalid-input',
      false,
    ],
    ['scope', json(400, { error: 'invalid_scope' }), 'invalid-scope', 'invalid-input', false],
    ['request', json(400, { error: 'invalid_request' }), 'invalid-request', 'invalid-input', false],
    ['429 with JSON', json(429, { error: 'invalid_grant' }), 'throttled', 'throttled', true],
    ['429 with a page', html(429), 'throttled', 'throttled', true],
    [
      '503 that speaks of credentials',
      json(503, { error: 'invalid_grant' }),
      'unavailable',
      'unavailable',
      true,
    ],
    [
      'temporarily unavailable',
      json(400, { error: 'temporarily_unavailable' }),
      'unavailable',
      'unavailable',
      true,
    ],
    ['a sign-in page', html(200), 'not-json', 'bad-response', false],
    ['a sign-in page with 401', html(401), 'not-json', 'bad-response', false],
    ['an empty 200', { status: 200, headers: {}, body: '' }, 'not-json', 'bad-response', false],
    [
      'a redirect',
      { status: 302, headers: { location: '/ls/?a=b' }, body: '' },
      'redirected',
      'bad-response',
      false,
    ],
    ['no access token', json(200, { token_type: 'bearer' }), 'missing-access-token', 'bad-response', false],
    [
      'another token type',
      json(200, { ...GRANTED, token_type: 'DPoP' }),
      'not-bearer',
      'bad-response',
      false,
    ],
    ['no token type', json(200, { ...GRANTED, token_type: undefined }), 'not-bearer', 'bad-response', false],
    [
      'a token with a line break',
      json(200, { ...GRANTED, access_token: 'a\r\nx: y' }),
      'unusable-access-token',
      'bad-response',
      false,
    ],
    [
      'an overlong token',
      json(200, { ...GRANTED, access_token: 'a'.repeat(16_385) }),
      'unusable-access-token',
      'bad-response',
      false,
    ],
    [
      'an overlong id token',
      json(200, { ...GRANTED, id_token: 'a'.repeat(16_385) }),
      'unusable-id-token',
      'bad-response',
      false,
    ],
    [
      'an id token with a line break',
      json(200, { ...GRANTED, id_token: 'a\r\nx: y' }),
      'unusable-id-token',
      'bad-response',
      false,
    ],
    [
      'an overlong refresh token',
      json(200, { ...GRANTED, refresh_token: 'a'.repeat(16_385) }),
      'unusable-refresh-token',
      'bad-response',
      false,
    ],
    [
      'an error with 200',
      json(200, { ...GRANTED, error: 'invalid_grant' }),
      'invalid-grant',
      'credentials',
      false,
    ],
    ['401 without a word', { status: 401, headers: {}, body: '' }, 'denied', 'credentials', false],
    ['403 without a word', { status: 403, headers: {}, body: '' }, 'not-permitted', 'permission', false],
    [
      'an error code of no standard',
      json(400, { error: 'constructor' }),
      'bad-response',
      'bad-response',
      false,
    ],
    ['JSON of another kind', json(400, ['?']), 'bad-response', 'bad-response', false],
  ];
  for (const [name, response, code, category, retryable] of refusals) {
    it(`${name} → token.${code}`, () => {
      const error = failure(response);
      expect(error.code).to.equal(`token.${code}`);
      expect(error.category).to.equal(category);
      expect(error.retryable).to.equal(retryable);
      expect(error.status).to.equal(response.status);
      expect(error.hint).to.match(/^[A-Z].{20}/);
      expect(error.message).to.contain('https://login.example.com/adfs/oauth2/token answered');
    });
  }

  it('names the code that administrators search for, and the request in their log', () => {
    const error = failure(
      json(400, { error: 'invalid_client', error_description: MSIS9622 }, { 'client-request-id': '4f2a-11' }),
    );
    expect(error.message).to.equal(
      'The token endpoint https://login.example.com/adfs/oauth2/token answered 400 invalid_client (MSIS9622).',
    );
    expect(error.hint).to.contain('thumbprint').and.contain('clock');
    expect(error.details).to.deep.include({
      requestId: '4f2a-11',
      errorCodes: ['MSIS9622'],
      serverText: MSIS9622,
    });
  });

  it("Entra ID's codes are found in the text and in error_codes, once", () => {
    const error = failure(
      json(401, {
        error: 'invalid_client',
        error_description: 'AADSTS700027: The certificate with identifier used to sign is not registered.',
        error_codes: [700_027, 50_027],
      }),
    );
    expect(error.refusal.errorCodes).to.deep.equal(['AADSTS700027', 'AADSTS50027']);
    expect(error.hint).to.contain('does not know the certificate');
  });

  it('a redirect is named by origin and path alone', () => {
    const location = 'https://user:canary@sso.example.com/login?ticket=canary#canary';
    const error = failure({ status: 302, headers: { location }, body: '' });
    expect(error.message).to.contain('a redirect to https://sso.example.com/login.');
    expect(inspect(error, { depth: 9 })).to.not.contain('canary');
  });

  describe('says when to come back', () => {
    const date = 'Mon, 23 Nov 2026 12:00:00 GMT';
    const cases: [string, Record<string, string>, number | undefined][] = [
      ['in seconds', { 'retry-after': '7' }, 7_000],
      ['at a time', { 'retry-after': 'Mon, 23 Nov 2026 12:00:09 GMT', date }, 9_000],
      ['at a time past', { 'retry-after': 'Mon, 23 Nov 2026 11:00:00 GMT', date }, 0],
      ['as Okta does', { 'x-rate-limit-reset': String(Date.parse(date) / 1_000 + 11), date }, 11_000],
      ['not at all', { date }, undefined],
      ['without a clock', { 'retry-after': 'Mon, 23 Nov 2026 12:00:09 GMT' }, undefined],
      ['in nonsense', { 'retry-after': 'later', date }, undefined],
    ];
    for (const [name, headers, expected] of cases) {
      it(name, () => expect(failure(json(429, {}, headers)).refusal.retryAfterMs).to.equal(expected));
    }
  });

  it('has no token remembered before each of them is found usable', () => {
    const redactor = new Redactor();
    failure(json(200, { ...GRANTED, refresh_token: 'a'.repeat(16_385) }), redactor);
    expect(redactor.scrub('canary-access')).to.equal('canary-access');
  });

  it("can't make a word a secret by issuing it as a token", () => {
    const redactor = new Redactor();
    const answer = read(
      json(200, { ...GRANTED, access_token: 'approved', id_token: 'decision', refresh_token: '"level":' }),
      redactor,
    );
    expect(answer.accessToken.reveal()).to.equal('approved');
    expect(redactor.scrub('"level": decision approved')).to.equal('"level": decision approved');
  });

  it('has its tokens remembered if they are long enough to be tokens', () => {
    const redactor = new Redactor();
    const tokens = {
      access_token: 'access-0123456789',
      id_token: 'id-0123456789abc',
      refresh_token: 'r'.repeat(16),
    };
    read(json(200, { ...GRANTED, ...tokens }), redactor);
    expect(redactor.scrub(Object.values(tokens).join(' '))).to.equal('[secret] [secret] [secret]');
  });

  describe('repeats no secret that was sent', () => {
    const redactor = new Redactor();
    redactor.register('two  spaces\tand more');
    redactor.register(`first ${'long-secret-'.repeat(50)} last`);
    const sent = [`two  spaces\tand more`, `first ${'long-secret-'.repeat(50)} last`];
    const answers: Record<string, (secret: string) => HttpResponse> = {
      'a description': (secret) =>
        json(400, { error: 'invalid_grant', error_description: `no ${secret} here` }),
      'a title': (secret) => html(400, `<html><head><title>no ${secret} here</title>`),
      'a text': (secret) => ({ status: 400, headers: {}, body: `no ${secret} here` }),
    };
    for (const [where, answer] of Object.entries(answers)) {
      it(`in ${where}, where white space is changed and long texts are cut`, () => {
        for (const secret of sent) {
          expect(failure(answer(secret), redactor).refusal.serverText).to.equal('no [secret] here');
        }
      });
    }

    it('in a text too long to be scrubbed whole', () => {
      for (const answer of Object.values(answers)) {
        const long = answer(`${sent[1] ?? ''} `.repeat(200));
        expect(failure(long, redactor).refusal.serverText).to.equal(undefined);
      }
    });

    it('in the path of a redirect, which is escaped', () => {
      const location = '/login/two  spaces\tand more/x';
      expect(failure({ status: 302, headers: { location }, body: '' }, redactor).refusal.location).to.equal(
        'https://login.example.com/login/[secret]/x',
      );
    });
  });

  describe('that is a page', () => {
    const textOf = (page: string): string | undefined => failure(html(400, page)).refusal.serverText;

    it('is known by its title, attributes or not', () => {
      expect(textOf('<html><title lang="en">Sign in</title>')).to.equal('Sign in');
    });

    it('costs no more the longer it is', () => {
      expect(textOf('<title'.repeat(1_000_000))).to.equal(undefined);
    });

    it('has no title where the title is not whole in what is read', () => {
      expect(textOf(`<title>${'word '.repeat(10_000)}</title>`)).to.equal(undefined);
      expect(textOf(`<title>a page that ends here`)).to.equal('a page that ends here');
    });
  });

  describe('keeps to itself', () => {
    const everything = (error: OAuthFailure): string =>
      inspect(error, { depth: 9, showHidden: true }) + JSON.stringify(error) + JSON.stringify(error.toWire());

    it('a token in an answer that can not be used', () => {
      for (const response of [
        json(200, { ...GRANTED, token_type: 'pop' }),
        json(200, { ...GRANTED, error: 'invalid_grant' }),
        { ...json(200, GRANTED), body: '{"access_token":"canary-access' },
        { ...json(200, GRANTED), body: 'access_token=canary-access&token_type=bearer' },
        html(200, '<html><title>x</title><input name="SAMLResponse" value="canary-access"></html>'),
      ]) {
        expect(everything(failure(response))).to.not.contain('canary');
      }
    });

    it('a text in the place of an error code', () => {
      const error = failure(json(400, { error: 'canary=1 refused' }));
      expect(everything(error)).to.not.contain('canary');
    });

    it('a long text is cut between words, so that a secret in it stays whole for the scrubber', () => {
      const error = failure(
        json(400, {
          error: 'invalid_grant',
          error_description: `${'word '.repeat(98)}${'s'.repeat(40)} end`,
        }),
      );
      expect(error.details?.['serverText']).to.match(/word …$/);
    });

    it('control characters', () => {
      const error = failure(
        json(400, { error: 'invalid_grant', error_description: 'a\u0000\u001b[31m\r\nb\u202ec' }),
      );
      expect(error.details?.['serverText']).to.equal('a [31m b c');
    });
  });

  it('of any kind is an answer or an OAuthFailure, with bounded text', () => {
    const body = fc.oneof(
      fc.string(),
      fc.json(),
      fc.constant('<html>'),
      fc.object().map((o) => JSON.stringify(o)),
    );
    fc.assert(
      fc.property(fc.integer({ min: 200, max: 599 }), body, fc.string(), (status, text, header) => {
        const headers = { 'retry-after': header, location: header, 'www-authenticate': header, date: header };
        try {
          read({ status, headers, body: text });
        } catch (error) {
          if (!(error instanceof OAuthFailure)) throw error;
          expect(error.message.length).to.be.below(500);
          expect(String(error.details?.['serverText'] ?? '').length).to.be.at.most(502);
        }
      }),
    );
  });
});
