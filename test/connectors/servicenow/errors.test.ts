import { expect } from 'chai';
import * as fc from 'fast-check';
import { judgeAnswer, serverTextOf, type RequestFacts } from '../../../src/connectors/servicenow/errors.ts';
import type { DelegateError, ErrorCategory } from '../../../src/kit/errors.ts';
import { Redactor } from '../../../src/kit/secret.ts';
import type { HttpResponse } from '../../../src/kit/http-exchange.ts';

const REQUEST: RequestFacts = {
  baseUrl: 'https://example.service-now.com',
  target: 'https://example.service-now.com/api/now/table/change_request',
  user: 'svc_deploy',
  usedBearer: false,
  scrub: (text) => text,
};

const JSON_TYPE = 'application/json;charset=UTF-8';
const HTML_TYPE = 'text/html;charset=UTF-8';

type Headers = Readonly<Record<string, string>>;

const envelope = (
  status: number,
  message: string,
  detail: string | null,
  headers: Headers = {},
): HttpResponse => ({
  status,
  headers: { 'content-type': JSON_TYPE, ...headers },
  body: JSON.stringify({ error: { message, detail }, status: 'failure' }),
});

const page = (status: number, body: string, headers: Headers = {}): HttpResponse => ({
  status,
  headers: { 'content-type': HTML_TYPE, ...headers },
  body: `<!DOCTYPE html><html><head><title>t</title></head><body>${body}</body></html>`,
});

const redirect = (location: string, status = 302): HttpResponse => ({
  ...page(status, ''),
  headers: { location },
});

const LOGIN_FORM = '<form><input name="user_name"><input name="user_password" type="password"></form>';
const HIBERNATING = '<div class="instance-hibernating-page"><h1>Your instance is hibernating</h1></div>';

interface Verdict {
  code: string;
  category: ErrorCategory;
  retryable?: true;
  /** What the hint must speak of. */
  hint: RegExp;
}

/** What ServiceNow and what stands before it answer, by the shapes that are known; then what it means. */
const ROWS: Readonly<Record<string, [answer: HttpResponse, verdict: Verdict]>> = {
  // 400
  '400 invalid table, detail null': [
    envelope(400, 'Invalid table chnage_request', null),
    { code: 'invalid-request', category: 'invalid-input', hint: /table of this instance/ },
  ],
  '400 no such resource': [
    envelope(400, 'Requested URI does not represent any resource', null),
    { code: 'invalid-request', category: 'invalid-input', hint: /spelling/ },
  ],
  '400 limit out of range': [
    envelope(400, 'Invalid value given for sysparm_limit', 'sysparm_limit value must be a positive integer'),
    { code: 'invalid-request', category: 'invalid-input', hint: /spelling/ },
  ],
  '400 page of the servlet container: header too large': [
    page(400, '<pre>java.lang.IllegalArgumentException: Request header is too large</pre>'),
    { code: 'html', category: 'not-servicenow', hint: /too long: use fewer fields/ },
  ],
  // 401
  '401 not authenticated': [
    envelope(401, 'User Not Authenticated', 'Required to provide Auth information', {
      'www-authenticate': 'Basic realm="Service-now"',
    }),
    {
      code: 'not-authenticated',
      category: 'credentials',
      hint: /snc_basic_auth_api_access.*not tried again/s,
    },
  ],
  '401 as a page': [
    page(401, LOGIN_FORM),
    { code: 'not-authenticated', category: 'credentials', hint: /locked out/ },
  ],
  '401 with an empty body': [
    { status: 401, headers: {}, body: '' },
    { code: 'not-authenticated', category: 'credentials', hint: /name or password/ },
  ],
  '401 with X-MFA_TOKEN': [
    envelope(401, 'User Not Authenticated', 'Required to provide Auth information', {
      'x-mfa_token': 'invalid',
    }),
    { code: 'mfa-required', category: 'credentials', hint: /multi-factor/ },
  ],
  // 403
  '403 by the table rules': [
    envelope(403, 'User Not Authorized', 'User is unauthorized to access table: sys_db_object'),
    { code: 'forbidden', category: 'permission', hint: /sn_change_read/ },
  ],
  '403 by the API rules': [
    envelope(403, 'Failed API level ACL Validation', null),
    { code: 'forbidden', category: 'permission', hint: /access to the Table API/ },
  ],
  '403 by address, as a page': [
    page(403, '<h1>Access denied</h1>'),
    { code: 'html', category: 'not-servicenow', hint: /IP address access control/ },
  ],
  '403 by address, as plain text': [
    { status: 403, headers: { 'content-type': 'text/plain' }, body: 'Access restricted' },
    { code: 'forbidden', category: 'permission', hint: /IP address access control/ },
  ],
  // 404 and other refusals
  '404 record missing or unreadable': [
    envelope(404, 'No Record found', "Record doesn't exist or ACL restricts the record retrieval"),
    { code: 'not-found', category: 'not-found', hint: /the same to both/ },
  ],
  '404 page': [
    page(404, 'Not Found'),
    { code: 'html', category: 'not-servicenow', hint: /proxy or firewall/ },
  ],
  '405': [
    envelope(405, 'Method not supported', null),
    { code: 'unexpected-status', category: 'refused', hint: /between/ },
  ],
  '406': [
    envelope(406, 'Not acceptable', null),
    { code: 'unexpected-status', category: 'refused', hint: /between/ },
  ],
  '407 of a proxy': [
    { status: 407, headers: { 'content-type': 'text/plain' }, body: '' },
    { code: 'unexpected-status', category: 'refused', hint: /between/ },
  ],
  '408': [
    { status: 408, headers: {}, body: '' },
    { code: 'unexpected-status', category: 'refused', retryable: true, hint: /between/ },
  ],
  '409': [
    envelope(409, 'Conflict', null),
    { code: 'unexpected-status', category: 'refused', hint: /between/ },
  ],
  '414 of the front end': [
    { status: 414, headers: { 'content-type': 'text/plain' }, body: 'URI Too Long' },
    { code: 'request-too-long', category: 'invalid-input', hint: /fewer fields/ },
  ],
  // 429
  '429 of a rate-limit rule': [
    envelope(429, 'Rate limit exceeded', 'Rate limit of 100 requests per hour for Table API exceeded', {
      'retry-after': '1800',
      'x-ratelimit-limit': '100',
      'x-ratelimit-rule': '75bbdf8a53f2201050a0ddeeff7b12b7',
    }),
    { code: 'rate-limited', category: 'throttled', retryable: true, hint: /rate limit rule/ },
  ],
  '429 of full semaphores, without any header': [
    envelope(429, 'Too many concurrent requests', null),
    { code: 'busy', category: 'throttled', retryable: true, hint: /semaphore/ },
  ],
  '429 as a page': [
    page(429, ''),
    { code: 'busy', category: 'throttled', retryable: true, hint: /semaphore/ },
  ],
  // 5xx
  '500 of the platform': [
    envelope(500, 'Exception while executing request: null', null),
    { code: 'server-error', category: 'unavailable', retryable: true, hint: /node log/ },
  ],
  ...Object.fromEntries(
    [502, 503, 504].map((status) => [
      `${status} page of the load balancer`,
      [
        page(status, `<center><h1>${status}</h1></center>`),
        { code: 'unavailable', category: 'unavailable', retryable: true, hint: /restarts, is upgraded/ },
      ],
    ]),
  ),
  '520 of somebody between': [
    page(520, ''),
    { code: 'unexpected-status', category: 'unavailable', retryable: true, hint: /between/ },
  ],
  // Pages in place of the API
  'hibernating instance as a page': [
    page(200, HIBERNATING),
    { code: 'hibernating', category: 'not-servicenow', hint: /developer\.servicenow\.com/ },
  ],
  'hibernating instance as a redirect': [
    redirect('https://developer.servicenow.com/dev.do'),
    { code: 'hibernating', category: 'not-servicenow', hint: /Wake it/ },
  ],
  'log-in form': [page(200, LOGIN_FORM), { code: 'sign-on-page', category: 'not-servicenow', hint: /OAuth/ }],
  'page for somebody who is not logged in': [
    page(200, '<div id="app"></div>', { 'x-is-logged-in': 'false' }),
    { code: 'sign-on-page', category: 'not-servicenow', hint: /OAuth/ },
  ],
  ...Object.fromEntries(
    ['/login.do', '/login_with_sso.do?glide_sso_id=1', '/navpage.do', '/auth_redirect.do'].map((location) => [
      `redirect to ${location}`,
      [redirect(location), { code: 'sign-on-page', category: 'not-servicenow', hint: /single sign-on/ }],
    ]),
  ),
  'redirect to an identity provider': [
    redirect('https://idp.example.com/sso/saml?SAMLRequest=abc'),
    { code: 'redirected', category: 'not-servicenow', hint: /sign-on server/ },
  ],
  'redirect to the canonical host': [
    redirect('https://canonical.service-now.com/api/now/table/change_request', 301),
    { code: 'redirected', category: 'not-servicenow', hint: /address that it redirects to/ },
  ],
  'redirect on the same host': [
    redirect('/other'),
    { code: 'redirected', category: 'not-servicenow', hint: /as serviceNowUrl/ },
  ],
  'redirect to nowhere': [
    { status: 302, headers: {}, body: '' },
    { code: 'redirected', category: 'not-servicenow', hint: /as serviceNowUrl/ },
  ],
  'some other page': [
    page(200, '<h1>Stats</h1>'),
    { code: 'html', category: 'not-servicenow', hint: /serviceNowUrl/ },
  ],
  'a page without its content type': [
    { status: 200, headers: {}, body: '\n <!DOCTYPE html><html></html>' },
    { code: 'html', category: 'not-servicenow', hint: /serviceNowUrl/ },
  ],
  // Other content
  'JSON under the name of plain text': [
    { status: 200, headers: { 'content-type': 'text/plain' }, body: '{"result":[]}' },
    { code: 'not-json', category: 'not-servicenow', hint: /address of the instance itself/ },
  ],
  XML: [
    { status: 200, headers: { 'content-type': 'application/xml' }, body: '<response/>' },
    { code: 'not-json', category: 'not-servicenow', hint: /address of the instance itself/ },
  ],
  '204 without a body': [
    { status: 204, headers: {}, body: '' },
    { code: 'not-json', category: 'not-servicenow', hint: /address of the instance itself/ },
  ],
};

const judged = (answer: HttpResponse, request = REQUEST): DelegateError => {
  const error = judgeAnswer(answer, request);
  if (error === undefined) throw new Error('nothing was wrong with it');
  return error;
};

describe('what an answer of ServiceNow means', () => {
  for (const [name, [answer, { code, category, retryable, hint }]] of Object.entries(ROWS)) {
    it(`${name} → servicenow.${code}`, () => {
      const error = judged(answer);
      expect(error).to.include({
        code: `servicenow.${code}`,
        category,
        retryable: retryable ?? false,
        status: answer.status,
      });
      expect(error.hint).to.match(hint);
      expect(error.message, 'the text is one line').to.match(/^[^\n\r]{10,400}$/);
    });
  }

  for (const status of [200, 201, 299]) {
    it(`JSON of status ${status} is left to whoever reads it`, () => {
      const answer = { status, headers: { 'content-type': 'Application/JSON' }, body: '<html>' };
      expect(judgeAnswer(answer, REQUEST)).to.equal(undefined);
    });
  }

  it('no prose decides: with every text of the envelope changed, the code is the same', () => {
    const worded = Object.entries(ROWS).filter(
      ([, [answer]]) => serverTextOf(answer, REQUEST.scrub) !== undefined,
    );
    expect(worded.length).to.be.greaterThan(10);
    fc.assert(
      fc.property(
        fc.constantFrom(...worded),
        fc.string(),
        fc.option(fc.string()),
        ([, [answer]], message, detail) => {
          const other = {
            ...answer,
            body: JSON.stringify({ status: 'failure', error: { detail, message } }),
          };
          const [before, after] = [judged(answer), judged(other)];
          expect([after.code, after.category, after.retryable, after.message]).to.deep.equal([
            before.code,
            before.category,
            before.retryable,
            before.message,
          ]);
        },
      ),
    );
  });

  it('whatever comes, the judgement is an error with a hint, or that it is JSON', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 100, max: 599 }),
        fc.dictionary(
          fc.constantFrom('content-type', 'location', 'retry-after', 'x-is-logged-in'),
          fc.string(),
        ),
        fc.oneof(fc.string(), fc.json()),
        (status, headers, body) => {
          const error = judgeAnswer({ status, headers, body }, REQUEST);
          if (error === undefined) expect(status).to.be.within(200, 299);
          else {
            expect(error.code).to.match(/^servicenow\.[a-z-]+$/);
            expect(error.hint).to.be.a('string').that.is.not.equal('');
          }
        },
      ),
    );
  });

  describe('a secret in the answer', () => {
    const redactor = new Redactor();
    const SECRET = 'two  spaces/and "quotes"\tin it';
    redactor.register(SECRET);
    const request = { ...REQUEST, scrub: (text: string) => redactor.scrub(text) };
    const shown = (answer: HttpResponse): string => JSON.stringify(judged(answer, request).toWire());

    it('is masked before its spaces are put in order', () => {
      const error = judged(envelope(403, `for ${SECRET} refused`, null), request);
      expect(error.details?.['serverText']).to.equal('for [secret] refused');
    });

    it('is masked before the text is cut in the middle of it', () => {
      for (let lead = 270; lead <= 300; lead += 1) {
        expect(shown(envelope(403, `${'x '.repeat(lead / 2)}${SECRET} and more`, null))).not.to.match(
          /two|quotes/,
        );
      }
    });

    it('is masked however JSON writes its characters', () => {
      const body = envelope(403, SECRET, null).body.replace('two', String.raw`\u0074wo`);
      expect(shown({ ...envelope(403, '', null), body }))
        .to.contain('[secret]')
        .and.not.to.contain('two');
    });

    it('is masked in the target of a redirect before that is cut', () => {
      for (let lead = 150; lead <= 200; lead += 1) {
        const path = `${'p'.repeat(lead)}${encodeURIComponent(SECRET)}`;
        expect(shown(redirect(`https://sso.example.com/${path}`))).not.to.match(/two|quotes/);
      }
    });

    it('is masked in a content type before its letters become small', () => {
      redactor.register('Canary');
      expect(shown({ status: 200, headers: { 'content-type': 'text/Canary' }, body: '' })).to.contain(
        'no known content type',
      );
    });
  });

  it('an envelope too long to be a message is not read', () => {
    expect(judged(envelope(500, 'a '.repeat(40_000), null)).details).not.to.have.property('serverText');
  });

  it('a page of input tags that never end is looked through once, and no sign-on page', () => {
    expect(judged(page(200, '<input '.repeat(200_000))).code).to.equal('servicenow.html');
  });

  describe('the reader learns', () => {
    it('what the server said, as evidence', () => {
      expect(judged(envelope(403, 'Operation Failed', 'ACL')).details).to.deep.equal({
        contentType: 'application/json',
        serverText: 'Operation Failed: ACL',
      });
    });

    it('the message alone where the detail is null', () => {
      expect(judged(envelope(400, 'Invalid table x', null)).details).to.include({
        serverText: 'Invalid table x',
      });
    });

    it('never more than 300 characters of it, on one line', () => {
      const text = judged(envelope(500, 'word '.repeat(1_000), 'a\nb\tc')).details?.['serverText'];
      expect(text).to.match(/^[^\n]{1,302}$/);
    });

    it('nothing of a page but its type: pages repeat what was sent', () => {
      const error = judged(page(502, 'Authorization: Basic c2VjcmV0'));
      expect(JSON.stringify(error.toWire())).not.to.contain('c2VjcmV0');
      expect(error.details).to.deep.equal({ contentType: 'text/html' });
    });

    it('for how long a rate limit holds', () => {
      expect(judged(envelope(429, 'm', 'd', { 'retry-after': '1800' })).details).to.include({
        retryAfterMs: 1_800_000,
      });
    });

    it('whose credentials were refused, if the name is no secret', () => {
      const [named, secret] = [REQUEST, { ...REQUEST, user: undefined }].map(
        (request) => judged(envelope(401, 'm', 'd'), request).message,
      );
      expect(named).to.contain('user svc_deploy');
      expect(secret).to.contain("the connector's user");
    });

    it('of a bearer: the three settings of the OIDC entity, and nothing of passwords', () => {
      const { hint } = judged(envelope(401, 'm', 'd'), { ...REQUEST, usedBearer: true });
      expect(hint)
        .to.match(/issuer, audience and user claim/)
        .and.not.match(/password/);
    });

    it('a redirect by origin and path alone', () => {
      const { message } = judged(redirect('https://idp.example.com/sso/saml?SAMLRequest=abc#top'));
      expect(message).to.equal('example.service-now.com redirects to https://idp.example.com/sso/saml.');
    });

    it('no redirect that leads to no web address', () => {
      expect(judged(redirect('javascript:alert(1)')).message).to.equal(
        'example.service-now.com redirects to another address.',
      );
    });
  });
});
