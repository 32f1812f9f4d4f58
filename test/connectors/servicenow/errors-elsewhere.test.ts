import { expect } from 'chai';
import { SERVICENOW_ERRORS } from '../../../src/connectors/servicenow/error-kinds.ts';
import type { HttpResponse } from '../../../src/kit/http-exchange.ts';
import {
  answer,
  HIBERNATING,
  judged,
  LOGIN_FORM,
  page,
  plain,
  redirect,
  REQUEST,
  TARGET,
  wireOf,
  type Verdict,
} from './answers.ts';

const PAGE = { contentType: 'text/html' };
const ASLEEP: Verdict = {
  code: 'servicenow.hibernating',
  message: 'example.service-now.com is a developer instance that is asleep.',
  details: PAGE,
};
const SIGN_ON: Verdict = {
  code: 'servicenow.sign-on-page',
  message: 'example.service-now.com answers with its sign-on page.',
  details: PAGE,
};
const redirected = (where: string, hint?: string): Verdict => ({
  code: 'servicenow.redirected',
  message: `example.service-now.com redirects to ${where}.`,
  details: PAGE,
  ...(hint === undefined ? {} : { hint }),
});
const webPage = (words: string, status = ''): Verdict => ({
  code: 'servicenow.html',
  message: `${TARGET} answered with a web page instead of JSON${status}: "${words}".`,
  details: { ...PAGE, bodyStart: words },
});
const OTHER_ADDRESS =
  'The instance goes by another address: use the one that it redirects to in serviceNowUrl.';
const OTHER_PLACE =
  'Use the address that it redirects to if that is the instance. If it is a sign-on server, use OAuth or a local web-service user.';
const SINGLE_SIGN_ON =
  'The instance sends API calls to single sign-on: use OAuth, or a local user that may use web services.';

const ROWS: Readonly<Record<string, [response: HttpResponse, verdict: Verdict]>> = {
  // Pages
  'hibernating instance, by its class': [page(200, '<div class="instance-hibernating-page">'), ASLEEP],
  'hibernating instance, by its words': [page(200, 'Your Instance is HIBERNATING'), ASLEEP],
  'hibernating instance with a form': [page(200, HIBERNATING + LOGIN_FORM), ASLEEP],
  'waking instance': [
    page(200, '<h1>Your instance is Waking up</h1>', { 'x-is-logged-in': 'false' }),
    {
      code: 'servicenow.waking-up',
      message: 'example.service-now.com is a developer instance that is waking up.',
      details: PAGE,
    },
  ],
  'log-in form': [page(200, LOGIN_FORM), SIGN_ON],
  'log-in form without quotes': [page(200, '<INPUT id=p TYPE=Password>'), SIGN_ON],
  'log-in form in single quotes': [page(200, "<input  type='password'>"), SIGN_ON],
  'log-in form with a status of refusal': [page(403, LOGIN_FORM), SIGN_ON],
  'log-in form with the last status of refusal': [page(499, LOGIN_FORM), SIGN_ON],
  'page for somebody who is not logged in': [
    page(200, '<div id="app"></div>', { 'x-is-logged-in': 'false' }),
    SIGN_ON,
  ],
  'page for somebody who is': [page(200, 'Stats', { 'x-is-logged-in': 'true' }), webPage('Title Stats')],
  'page with a field that is no password': [
    page(200, '<input type="text">password'),
    webPage('Title password'),
  ],
  'some other page': [page(200, '<b>Instance name:</b> x'), webPage('Title Instance name: x')],
  'some other page with another success': [page(299, 'Done'), webPage('Title Done', ' (HTTP 299)')],
  'page of a wrong address': [page(404, 'Not Found'), webPage('Title Not Found', ' (HTTP 404)')],
  'page without its content type': [
    answer(200, '', '\n <!DOCTYPE html><html>Hello</html>'),
    { ...webPage('Hello'), details: { contentType: 'no known content type', bodyStart: 'Hello' } },
  ],
  'page that begins without ceremony, under a wrong content type': [
    plain(200, '<HTML>Hello'),
    { ...webPage('Hello'), details: { contentType: 'text/plain', bodyStart: 'Hello' } },
  ],
  'page of strict letters': [
    answer(200, 'Application/XHTML+XML; charset=utf-8', 'Hello'),
    { ...webPage('Hello'), details: { contentType: 'application/xhtml+xml', bodyStart: 'Hello' } },
  ],
  // Redirects
  'hibernating instance as a redirect': [redirect('https://developer.servicenow.com/dev.do'), ASLEEP],
  ...Object.fromEntries(
    ['/login.do', '/login_with_sso.do?glide_sso_id=1', '/navpage.do', '/x/auth_redirect.do'].map(
      (location) => [`redirect to ${location}`, [redirect(location), SIGN_ON]],
    ),
  ),
  'redirect to a page with such a name in it': [
    redirect('/login.do/help'),
    redirected('https://example.service-now.com/login.do/help'),
  ],
  'redirect to a page that ends in such a name': [
    redirect('/my-login.do'),
    redirected('https://example.service-now.com/my-login.do'),
  ],
  ...Object.fromEntries(
    ['SAMLRequest=abc', 'response_type=code&client_id=1', 'wa=wsignin1.0'].map((query) => [
      `redirect to an identity provider with ${query}`,
      [
        redirect(`https://idp.example.com/sso?${query}#top`),
        redirected('https://idp.example.com/sso', SINGLE_SIGN_ON),
      ],
    ]),
  ),
  'redirect to somewhere else': [
    redirect('https://idp.example.com/sso/saml'),
    redirected('https://idp.example.com/sso/saml', OTHER_PLACE),
  ],
  ...Object.fromEntries(
    [301, 302, 303, 307, 308].map((status) => [
      `${status} to the canonical host`,
      [
        redirect('https://canonical.service-now.com/api/now/table/change_request?x=1', status),
        redirected('https://canonical.service-now.com/api/now/table/change_request', OTHER_ADDRESS),
      ],
    ]),
  ),
  'redirect on the same host, even with what a sign-on server is sent': [
    redirect('/other?wa=1'),
    redirected('https://example.service-now.com/other'),
  ],
  'redirect to nowhere': [
    answer(302, '', ''),
    { ...redirected('another address'), details: { contentType: 'no known content type' } },
  ],
  'redirect to plain http': [
    redirect('http://other.example.com/'),
    redirected('http://other.example.com/', OTHER_PLACE),
  ],
  'redirect to no web address, though its scheme begins so': [
    redirect('https-x://h'),
    redirected('another address'),
  ],
  'redirect to no web address, though its scheme ends so': [
    redirect('xhttps://h'),
    redirected('another address'),
  ],
  'redirect to no web address': [redirect('javascript:alert(1)'), redirected('another address')],
  'redirect that is no address': [redirect('https://'), redirected('another address')],
  // Other content
  'JSON under the name of plain text, with rows that nobody may quote': [
    plain(200, '{"result":[{"salary":"12345"}]}'),
    {
      code: 'servicenow.not-json',
      message: `${TARGET} answered text/plain instead of JSON.`,
      details: { contentType: 'text/plain' },
    },
  ],
  'XML, with rows that nobody may quote': [
    answer(200, 'application/xml', '<response><result><salary>12345</salary></result></response>'),
    {
      code: 'servicenow.not-json',
      message: `${TARGET} answered application/xml instead of JSON.`,
      details: { contentType: 'application/xml' },
    },
  ],
  'plain text': [
    plain(200, 'It works!'),
    {
      code: 'servicenow.not-json',
      message: `${TARGET} answered text/plain instead of JSON: "It works!".`,
      details: { contentType: 'text/plain', bodyStart: 'It works!' },
    },
  ],
  'nothing at all': [
    answer(200, '', ''),
    {
      code: 'servicenow.not-json',
      message: `${TARGET} answered no known content type instead of JSON.`,
      details: { contentType: 'no known content type' },
    },
  ],
};

describe('what comes from somewhere else than the API', () => {
  for (const [name, [response, verdict]] of Object.entries(ROWS)) {
    it(`${name} → ${verdict.code}`, () => {
      expect(judged(response).toWire()).to.deep.equal(wireOf(verdict, response.status));
    });
  }

  it('only an instance that wakes up will be there by itself', () => {
    const retryable = Object.values(ROWS).filter(([response]) => judged(response).retryable);
    expect(retryable.map(([, { code }]) => code)).to.deep.equal(['servicenow.waking-up']);
  });

  it('the target of a redirect is cut at 200 characters', () => {
    const { message } = judged(redirect(`https://other.example.com/${'p'.repeat(300)}`));
    expect(message).to.equal(
      `example.service-now.com redirects to ${`https://other.example.com/${'p'.repeat(300)}`.slice(0, 200)}.`,
    );
  });

  it('the origin is that of the instance under a context path, too', () => {
    const request = { ...REQUEST, baseUrl: 'https://example.service-now.com/instance' };
    expect(judged(redirect('/other'), request).hint).to.equal(
      SERVICENOW_ERRORS['servicenow.redirected'].remedy,
    );
  });

  it('a mark is looked for in the first 20,000 characters of a page', () => {
    const padded = (chars: number): HttpResponse => answer(200, 'text/html', `${' '.repeat(chars)}waking up`);
    expect(judged(padded(19_991)).code).to.equal('servicenow.waking-up');
    expect(judged(padded(19_992)).code).to.equal('servicenow.html');
  });

  it('a page of input tags that never end is looked through once, and no sign-on page', () => {
    expect(judged(page(200, '<input '.repeat(200_000))).code).to.equal('servicenow.html');
  });
});
