import { expect } from 'chai';
import { SERVICENOW_ERRORS } from '../../../src/connectors/servicenow/error-kinds.ts';
import type { HttpResponse } from '../../../src/kit/http-exchange.ts';
import {
  answer,
  envelope,
  json,
  judged,
  LOGIN_FORM,
  page,
  plain,
  REQUEST,
  TARGET,
  wireOf,
  type Verdict,
} from './answers.ts';

const JSON_TYPE = 'application/json';
const FOREIGN_HINT =
  "The answer is not in the form of ServiceNow's API: check serviceNowUrl, and what stands between the delegate and ServiceNow.";
const UNREAD_HINT =
  'The page says why: if something is too long, use fewer fields in the criteria; otherwise check serviceNowUrl, and what stands between the delegate and ServiceNow.';
const RULE = '75bbdf8a53f2201050a0ddeeff7b12b7';
const NOT_ACCEPTED = 'example.service-now.com does not accept the credentials of user svc_deploy.';

const unlisted = (
  status: number,
  words: string,
  details: Verdict['details'],
  special: Partial<Verdict> = {},
): Verdict => ({
  code: 'servicenow.unexpected-status',
  message: `${TARGET} answered HTTP ${status}${words}.`,
  details,
  ...special,
});

/** What is known of each status (facts by status), then what it means. */
const ROWS: Readonly<Record<string, [response: HttpResponse, verdict: Verdict]>> = {
  // 400
  '400 invalid table, detail null': [
    envelope(400, 'Invalid table chnage_request', null),
    {
      code: 'servicenow.invalid-request',
      message: `${TARGET}: ServiceNow refused the request as invalid: "Invalid table chnage_request".`,
      details: { contentType: JSON_TYPE, serverText: 'Invalid table chnage_request' },
    },
  ],
  '400 no such resource: told apart from an invalid table by its words alone, which are passed on': [
    envelope(400, 'Requested URI does not represent any resource', null),
    {
      code: 'servicenow.invalid-request',
      message: `${TARGET}: ServiceNow refused the request as invalid: "Requested URI does not represent any resource".`,
      details: { contentType: JSON_TYPE, serverText: 'Requested URI does not represent any resource' },
    },
  ],
  '400 limit out of range': [
    envelope(400, 'Invalid value given for sysparm_limit', 'sysparm_limit value must be a positive integer'),
    {
      code: 'servicenow.invalid-request',
      message: `${TARGET}: ServiceNow refused the request as invalid: "Invalid value given for sysparm_limit: sysparm_limit value must be a positive integer".`,
      details: {
        contentType: JSON_TYPE,
        serverText: 'Invalid value given for sysparm_limit: sysparm_limit value must be a positive integer',
      },
    },
  ],
  '400 in XML': [
    answer(
      400,
      'application/xml',
      '<?xml version="1.0" encoding="UTF-8"?><response><error><detail/><message>Invalid table a &amp; b</message></error><status>failure</status></response>',
    ),
    {
      code: 'servicenow.invalid-request',
      message: `${TARGET}: ServiceNow refused the request as invalid: "Invalid table a & b".`,
      details: { contentType: 'application/xml', serverText: 'Invalid table a & b' },
    },
  ],
  '400 in the form of a token server': [
    json(400, { error: 'invalid_request', error_description: 'no grant' }),
    {
      code: 'servicenow.invalid-request',
      message: `${TARGET}: ServiceNow refused the request as invalid: "invalid_request: no grant".`,
      hint: FOREIGN_HINT,
      details: { contentType: JSON_TYPE, serverText: 'invalid_request: no grant' },
    },
  ],
  '400 in plain text': [
    plain(400, 'Bad Request'),
    {
      code: 'servicenow.invalid-request',
      message: `${TARGET}: ServiceNow refused the request as invalid: "Bad Request".`,
      hint: FOREIGN_HINT,
      details: { contentType: 'text/plain', bodyStart: 'Bad Request' },
    },
  ],
  '400 page of the servlet container: header too large': [
    page(400, '<pre>java.lang.IllegalArgumentException: Request header is too large</pre>', {}, 'HTTP 400'),
    {
      code: 'servicenow.request-too-long',
      message: `${TARGET}: a web page refuses the request unread, usually because it is too long: "HTTP 400 java.lang.IllegalArgumentException: Request header is too large".`,
      hint: UNREAD_HINT,
      details: {
        contentType: 'text/html',
        bodyStart: 'HTTP 400 java.lang.IllegalArgumentException: Request header is too large',
      },
    },
  ],
  '400 page of a front end that misses a client certificate: its words tell': [
    page(400, '<center>No required SSL certificate was sent</center>', {}, '400'),
    {
      code: 'servicenow.request-too-long',
      message: `${TARGET}: a web page refuses the request unread, usually because it is too long: "400 No required SSL certificate was sent".`,
      hint: UNREAD_HINT,
      details: { contentType: 'text/html', bodyStart: '400 No required SSL certificate was sent' },
    },
  ],
  // 401
  '401 not authenticated': [
    envelope(401, 'User Not Authenticated', 'Required to provide Auth information', {
      'www-authenticate': 'Basic realm="Service-now"',
    }),
    {
      code: 'servicenow.not-authenticated',
      message: NOT_ACCEPTED,
      details: {
        contentType: JSON_TYPE,
        serverText: 'User Not Authenticated: Required to provide Auth information',
      },
    },
  ],
  '401 as a page, even one with a form': [
    page(401, LOGIN_FORM),
    { code: 'servicenow.not-authenticated', message: NOT_ACCEPTED, details: { contentType: 'text/html' } },
  ],
  '401 with an empty body': [
    answer(401, '', ''),
    {
      code: 'servicenow.not-authenticated',
      message: NOT_ACCEPTED,
      details: { contentType: 'no known content type' },
    },
  ],
  '401 in the form of a token server: a server error that is none': [
    json(401, { error_description: 'access_denied', error: 'server_error' }),
    {
      code: 'servicenow.not-authenticated',
      message: NOT_ACCEPTED,
      details: { contentType: JSON_TYPE, serverText: 'server_error: access_denied' },
    },
  ],
  '401 with X-MFA_TOKEN': [
    envelope(401, 'User Not Authenticated', 'Required to provide Auth information', {
      'x-mfa_token': 'invalid',
    }),
    {
      code: 'servicenow.mfa-required',
      message: 'example.service-now.com asks user svc_deploy for a second factor.',
      details: {
        contentType: JSON_TYPE,
        serverText: 'User Not Authenticated: Required to provide Auth information',
      },
    },
  ],
  // 403
  '403 by the rules of the table': [
    envelope(403, 'User Not Authorized', 'User is unauthorized to access table: sys_db_object'),
    {
      code: 'servicenow.forbidden',
      message: `${TARGET}: user svc_deploy may not read this: "User Not Authorized: User is unauthorized to access table: sys_db_object".`,
      details: {
        contentType: JSON_TYPE,
        serverText: 'User Not Authorized: User is unauthorized to access table: sys_db_object',
      },
    },
  ],
  '403 by the rules of the API': [
    envelope(403, 'Failed API level ACL Validation', null),
    {
      code: 'servicenow.forbidden',
      message: `${TARGET}: user svc_deploy may not read this: "Failed API level ACL Validation".`,
      details: { contentType: JSON_TYPE, serverText: 'Failed API level ACL Validation' },
    },
  ],
  '403 by the rules of a query': [
    envelope(403, 'Insufficient rights to query records', "No permission to read table 'kb_knowledge'"),
    {
      code: 'servicenow.forbidden',
      message: `${TARGET}: user svc_deploy may not read this: "Insufficient rights to query records: No permission to read table 'kb_knowledge'".`,
      details: {
        contentType: JSON_TYPE,
        serverText: "Insufficient rights to query records: No permission to read table 'kb_knowledge'",
      },
    },
  ],
  '403 by address, as a page': [
    page(403, '<h1>Access denied</h1>', {}, 'Restricted'),
    {
      code: 'servicenow.address-refused',
      message: `${TARGET}: this delegate is refused, whoever its user is: "Restricted Access denied".`,
      details: { contentType: 'text/html', bodyStart: 'Restricted Access denied' },
    },
  ],
  '403 by address, as plain text': [
    plain(403, 'Access restricted'),
    {
      code: 'servicenow.address-refused',
      message: `${TARGET}: this delegate is refused, whoever its user is: "Access restricted".`,
      details: { contentType: 'text/plain', bodyStart: 'Access restricted' },
    },
  ],
  '403 of a gateway, in JSON of its own': [
    json(403, { message: 'Forbidden' }),
    {
      code: 'servicenow.address-refused',
      message: `${TARGET}: this delegate is refused, whoever its user is: "{"message":"Forbidden"}".`,
      details: { contentType: JSON_TYPE, bodyStart: '{"message":"Forbidden"}' },
    },
  ],
  // 404
  '404 of somebody who is not the API': [
    json(404, { message: 'no such route' }),
    {
      code: 'servicenow.not-found',
      message: `${TARGET}: whoever answered has no such address: "{"message":"no such route"}".`,
      details: { contentType: JSON_TYPE, bodyStart: '{"message":"no such route"}' },
    },
  ],
  '404 of the API for an address that it does not have: no empty list': [
    envelope(404, 'Requested URI does not represent any resource: /now/table', null),
    {
      code: 'servicenow.not-found',
      message: `${TARGET}: ServiceNow has no such address: "Requested URI does not represent any resource: /now/table".`,
      details: {
        contentType: JSON_TYPE,
        serverText: 'Requested URI does not represent any resource: /now/table',
      },
    },
  ],
  '404 with an empty body': [
    answer(404, '', ''),
    {
      code: 'servicenow.not-found',
      message: `${TARGET}: whoever answered has no such address.`,
      details: { contentType: 'no known content type' },
    },
  ],
  // too long
  ...Object.fromEntries(
    [413, 414, 431].flatMap((status) => [
      [
        `${status} of the front end`,
        [
          plain(status, 'URI Too Long'),
          {
            code: 'servicenow.request-too-long',
            message: `${TARGET}: the request is too long for ServiceNow: "URI Too Long".`,
            details: { contentType: 'text/plain', bodyStart: 'URI Too Long' },
          },
        ],
      ],
      [
        `${status} of the front end, as a page`,
        [
          page(status, '', {}, 'Too Large'),
          {
            code: 'servicenow.request-too-long',
            message: `${TARGET}: the request is too long for ServiceNow: "Too Large".`,
            details: { contentType: 'text/html', bodyStart: 'Too Large' },
          },
        ],
      ],
    ]),
  ),
  // 429
  '429 of a rate limit rule': [
    envelope(429, 'Rate limit exceeded', 'Rate limit of 100 requests per hour for Table API exceeded', {
      'retry-after': '1800',
      'x-ratelimit-limit': '100',
      'x-ratelimit-rule': RULE,
    }),
    {
      code: 'servicenow.rate-limited',
      message:
        'example.service-now.com: a rate limit rule stops this user: "Rate limit exceeded: Rate limit of 100 requests per hour for Table API exceeded".',
      hint: `Raise the rate limit rule for the integration user, or poll less often. It is the rule ${RULE} in sys_rate_limit_rules.`,
      details: {
        contentType: JSON_TYPE,
        serverText: 'Rate limit exceeded: Rate limit of 100 requests per hour for Table API exceeded',
        retryAfterMs: 1_800_000,
      },
    },
  ],
  '429 with Retry-After alone': [
    answer(429, '', '', { 'retry-after': '2' }),
    {
      code: 'servicenow.rate-limited',
      message: 'example.service-now.com: a rate limit rule stops this user.',
      details: { contentType: 'no known content type', retryAfterMs: 2_000 },
    },
  ],
  '429 that names its rule and the time by the clock of the server alone': [
    answer(429, '', '', {
      date: 'Mon, 23 Nov 2026 18:00:00 GMT',
      'x-ratelimit-reset': String(Date.UTC(2026, 10, 23, 18, 0, 30) / 1_000),
      'x-ratelimit-rule': RULE,
    }),
    {
      code: 'servicenow.rate-limited',
      message: 'example.service-now.com: a rate limit rule stops this user.',
      hint: `Raise the rate limit rule for the integration user, or poll less often. It is the rule ${RULE} in sys_rate_limit_rules.`,
      details: { contentType: 'no known content type', retryAfterMs: 30_000 },
    },
  ],
  '429 whose time has come already': [
    answer(429, '', '', {
      date: 'Mon, 23 Nov 2026 18:00:00 GMT',
      'x-ratelimit-reset': String(Date.UTC(2026, 10, 23, 17) / 1_000),
      'x-ratelimit-rule': 'not the id of a record',
    }),
    {
      code: 'servicenow.rate-limited',
      message: 'example.service-now.com: a rate limit rule stops this user.',
      details: { contentType: 'no known content type', retryAfterMs: 0 },
    },
  ],
  ...Object.fromEntries(
    ['1795456830x', 'x1795456830'].map((reset) => [
      `429 whose time is ${reset}`,
      [
        answer(429, '', '', {
          date: 'Mon, 23 Nov 2026 18:00:00 GMT',
          'x-ratelimit-reset': reset,
          'x-ratelimit-rule': RULE,
        }),
        {
          code: 'servicenow.rate-limited',
          message: 'example.service-now.com: a rate limit rule stops this user.',
          hint: `Raise the rate limit rule for the integration user, or poll less often. It is the rule ${RULE} in sys_rate_limit_rules.`,
          details: { contentType: 'no known content type' },
        },
      ],
    ]),
  ),
  '429 whose time cannot be read': [
    answer(429, '', '', {
      date: 'Mon, 23 Nov 2026 18:00:00 GMT',
      'x-ratelimit-reset': 'soon',
      'x-ratelimit-rule': `${RULE}0`,
    }),
    {
      code: 'servicenow.rate-limited',
      message: 'example.service-now.com: a rate limit rule stops this user.',
      details: { contentType: 'no known content type' },
    },
  ],
  '429 with a time and no clock to read it by': [
    answer(429, '', '', { 'x-ratelimit-reset': '1795456830', 'x-ratelimit-rule': `x${RULE}` }),
    {
      code: 'servicenow.rate-limited',
      message: 'example.service-now.com: a rate limit rule stops this user.',
      details: { contentType: 'no known content type' },
    },
  ],
  '429 of full semaphores, without any header': [
    envelope(429, 'Too many concurrent requests', null),
    {
      code: 'servicenow.busy',
      message: 'example.service-now.com: all of its API threads are busy.',
      details: { contentType: JSON_TYPE, serverText: 'Too many concurrent requests' },
    },
  ],
  '429 as a page, even one with a form': [
    page(429, LOGIN_FORM),
    {
      code: 'servicenow.busy',
      message: 'example.service-now.com: all of its API threads are busy.',
      details: { contentType: 'text/html' },
    },
  ],
  // 5xx
  '500 of the platform': [
    envelope(500, 'Exception while executing request: null', null),
    {
      code: 'servicenow.server-error',
      message: `${TARGET}: ServiceNow failed while it handled the request.`,
      details: { contentType: JSON_TYPE, serverText: 'Exception while executing request: null' },
    },
  ],
  '500 as a page, even one with a form': [
    page(500, LOGIN_FORM),
    {
      code: 'servicenow.server-error',
      message: `${TARGET}: ServiceNow failed while it handled the request.`,
      details: { contentType: 'text/html' },
    },
  ],
  ...Object.fromEntries(
    [502, 503, 504].map((status) => [
      `${status} page of the load balancer, or of maintenance`,
      [
        page(status, `<center><h1>${status}</h1></center>`),
        {
          code: 'servicenow.unavailable',
          message: `example.service-now.com is not available (HTTP ${status}).`,
          details: { contentType: 'text/html' },
        },
      ],
    ]),
  ),
  '503 that says when': [
    answer(503, '', '', { 'retry-after': '60' }),
    {
      code: 'servicenow.unavailable',
      message: 'example.service-now.com is not available (HTTP 503).',
      details: { contentType: 'no known content type', retryAfterMs: 60_000 },
    },
  ],
  // What nobody listed
  ...Object.fromEntries(
    [402, 405, 406, 409, 410, 415, 418, 451].map((status) => [
      String(status),
      [
        envelope(status, 'No', null),
        unlisted(status, ': "No"', { contentType: JSON_TYPE, serverText: 'No' }, { category: 'refused' }),
      ],
    ]),
  ),
  '405 as a page': [
    page(405, '', {}, 'Not allowed'),
    unlisted(405, ': "Not allowed"', { contentType: 'text/html', bodyStart: 'Not allowed' }),
  ],
  '407 of a proxy': [
    page(407, '', {}, 'ERR_CACHE_ACCESS_DENIED'),
    unlisted(
      407,
      ': "ERR_CACHE_ACCESS_DENIED"',
      { contentType: 'text/html', bodyStart: 'ERR_CACHE_ACCESS_DENIED' },
      {
        hint: 'A proxy on the way asks for credentials of its own: let the requests of this delegate to ServiceNow pass without.',
      },
    ),
  ],
  ...Object.fromEntries(
    [408, 499].map((status) => [
      `${status}: somebody did not wait`,
      [
        answer(status, '', ''),
        unlisted(
          status,
          '',
          { contentType: 'no known content type' },
          { category: 'timeout', retryable: true },
        ),
      ],
    ]),
  ),
  ...Object.fromEntries(
    [501, 505, 520, 599].map((status) => [
      `${status} of somebody between`,
      [
        page(status, '', {}, 'Web server is down'),
        unlisted(
          status,
          ': "Web server is down"',
          { contentType: 'text/html', bodyStart: 'Web server is down' },
          { category: 'unavailable', retryable: true },
        ),
      ],
    ]),
  ),
  ...Object.fromEntries(
    [201, 202, 206, 299].map((status) => [
      `${status}, which no look at a list has, with rows that nobody may use or quote`,
      [
        json(status, { result: [{ number: 'CHG0030001' }] }),
        unlisted(status, '', { contentType: JSON_TYPE }, { category: 'bad-response' }),
      ],
    ]),
  ),
  '204 without a body': [
    answer(204, '', ''),
    unlisted(204, '', { contentType: 'no known content type' }, { category: 'bad-response' }),
  ],
  '300 as a page': [
    page(300, '', {}, 'Choose'),
    unlisted(
      300,
      ': "Choose"',
      { contentType: 'text/html', bodyStart: 'Choose' },
      { category: 'bad-response' },
    ),
  ],
  ...Object.fromEntries(
    [300, 304, 399].map((status) => [
      `${status}, which leads nowhere`,
      [
        answer(status, '', ''),
        unlisted(status, '', { contentType: 'no known content type' }, { category: 'bad-response' }),
      ],
    ]),
  ),
};

describe('what the status of an answer means', () => {
  for (const [name, [response, verdict]] of Object.entries(ROWS)) {
    it(`${name} → ${verdict.code}`, () => {
      expect(judged(response).toWire()).to.deep.equal(wireOf(verdict, response.status));
    });
  }

  it('what may pass is retryable, and nothing else', () => {
    const retryable = Object.values(ROWS)
      .filter(([response]) => judged(response).retryable)
      .map(([{ status }]) => status);
    expect([...new Set(retryable)]).to.have.members([429, 500, 502, 503, 504, 408, 499, 501, 505, 520, 599]);
  });

  describe('401 to a bearer', () => {
    const refused = envelope(401, 'User Not Authenticated', 'Required to provide Auth information');
    const bearer = { ...REQUEST, usedBearer: true };
    const OIDC_ENTITY =
      'Compare three settings of the OIDC entity in ServiceNow with the token: metadata URL with issuer, client ID with audience, user claim and field with a user who is active.';

    it('that is opaque names what to check, and nothing of passwords', () => {
      expect(judged(refused, bearer).hint).to.equal(
        "Check that the token's user exists, is active and not locked. The token server gave the token, and ServiceNow does not accept it: if that server is not ServiceNow itself, compare issuer, audience and user claim with the OIDC entity in ServiceNow.",
      );
    });

    it('that is a JWT says what to compare, and then what the token says of itself', () => {
      const token = {
        issuer: 'https://adfs.example.com/adfs',
        audience: ['urn:servicenow', 'urn:other'],
        expiresAt: '2026-11-23T19:00:00.000Z',
        userClaims: { sub: '4711', upn: 'svc_deploy' },
      };
      expect(judged(refused, { ...bearer, token })).to.include({
        code: 'servicenow.not-authenticated',
        message: NOT_ACCEPTED,
        hint: `${OIDC_ENTITY} The token says: issuer https://adfs.example.com/adfs; audience urn:servicenow and urn:other; expires 2026-11-23T19:00:00.000Z; user by sub 4711, upn svc_deploy.`,
      });
    });

    it('that holds a secret says whose it is, because a masked audience can be compared only so', () => {
      const token = {
        issuer: 'https://adfs.example.com',
        audience: ['[secret]'],
        expiresAt: undefined,
        userClaims: { appid: '[secret]' },
      };
      expect(judged(refused, { ...bearer, token }).hint).to.equal(
        `${OIDC_ENTITY} The token says: issuer https://adfs.example.com; audience [secret]; expires never; user by appid [secret]. [secret] is a value of the connector's own secrets.`,
      );
    });

    it('that says nothing of itself says so', () => {
      const token = { issuer: undefined, audience: [], expiresAt: undefined, userClaims: {} };
      expect(judged(refused, { ...bearer, token }).hint).to.equal(
        `${OIDC_ENTITY} The token says: issuer none; audience none; expires never; user by no known claim.`,
      );
    });

    it('wants a second factor all the same', () => {
      const { code, hint } = judged({ ...refused, headers: { 'x-mfa_token': 'invalid' } }, bearer);
      expect([code, hint]).to.deep.equal([
        'servicenow.mfa-required',
        SERVICENOW_ERRORS['servicenow.mfa-required'].remedy,
      ]);
    });
  });

  it('a user whose name is a secret is not named', () => {
    const secret = { ...REQUEST, user: undefined };
    expect(judged(envelope(401, 'm', 'd'), secret).message).to.equal(
      "example.service-now.com does not accept the credentials of the connector's user.",
    );
    expect(judged(envelope(403, 'm', null), secret).message).to.equal(
      `${TARGET}: the connector's user may not read this: "m".`,
    );
  });

  it('a rule whose id is a secret is not named', () => {
    const scrub = (text: string): string => text.replaceAll(RULE, '[secret]');
    const error = judged(answer(429, '', '', { 'x-ratelimit-rule': RULE }), { ...REQUEST, scrub });
    expect(error.hint).to.equal(SERVICENOW_ERRORS['servicenow.rate-limited'].remedy);
  });
});
