import { expect } from 'chai';
import type { HttpClient } from '../../src/http/client.ts';
import { wrap } from '../../src/kit/errors.ts';
import { defaultPolicy } from '../../src/policy/policy.ts';
import { client, get, Listener } from '../http/support.ts';
import { leavesNothingOpen } from '../support/open-handles.ts';
import { fateOf, requestFor } from './support.ts';

const SENT = 'sent';
const URL_REFUSED = 'policy.url-refused';
const REQUEST_REFUSED = 'policy.request-not-allowed';

describe('the path of a request', () => {
  let requestLines: string[];
  let server: Listener;
  let http: HttpClient;

  beforeEach(async () => {
    requestLines = [];
    server = await Listener.http((request, response) => {
      requestLines.push(`${request.method} ${request.url}`);
      response.end('[]');
    });
    const policy = defaultPolicy({ allowLoopback: true });
    http = client({
      guardUrl: (url) => policy.assertUrl(url),
      guardRequest: (exchange) => policy.assertRequest(exchange),
      guardAddress: (address) => policy.assertAddress(address),
    });
  });

  afterEach(async () => {
    await http[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
  });

  leavesNothingOpen();

  const LIMIT = '?sysparm_limit=1';
  /** What is asked for, what becomes of it, and what the server then reads. */
  const table: readonly [path: string, fate: string, read?: string][] = [
    ['/api/now/table/task', SENT, '/api/now/table/task'],
    ['/itsm/api/now/table/task', SENT, '/itsm/api/now/table/task'],
    ['/api/now/table/x_acme_1', SENT, '/api/now/table/x_acme_1'],
    // These are other paths to a URL object already, and it is those that are judged.
    ['/api/now/table/../table/task', SENT, '/api/now/table/task'],
    ['/api/now/table/%2e%2e/table/task', SENT, '/api/now/table/task'],
    ['/api/now/table/.%2E/table/task', SENT, '/api/now/table/task'],
    ['/api/now/table\\task', SENT, '/api/now/table/task'],
    ['/\t/api/now/table/task', URL_REFUSED],
    ['/api/now/table/task/../../../x', REQUEST_REFUSED],
    ['/api/now/table/task/%2e%2e/%2e%2e/%2e%2e/x', REQUEST_REFUSED],
    ['/api/now/table\\..\\..\\x', REQUEST_REFUSED],
    // And these stay what they are, to be read otherwise by a server that decodes once more.
    ['/api/now/table/task%2f..%2fsys_user', URL_REFUSED],
    ['/api/now/table/task%2F%2e%2e', URL_REFUSED],
    ['/api/now/table/..%2fsys_user', URL_REFUSED],
    ['/api/now/table/task%5c..%5csys_user', URL_REFUSED],
    ['/api/now/table/%252e%252e/x', URL_REFUSED],
    ['/api/now/table/task;x=1', URL_REFUSED],
    ['/api/now/table/task%3bx', URL_REFUSED],
    ['/api/now/table//task', URL_REFUSED],
    ['//evil.example/api/now/table/task', URL_REFUSED],
    ['/api/now/table/task%00', URL_REFUSED],
    ['/api/now/table/task%0d%0aHost:%20evil', URL_REFUSED],
    ['/api/now/table/task%20', REQUEST_REFUSED],
    ['/api/now/table/tаsk', REQUEST_REFUSED],
    ['/api/now/table/%74ask', REQUEST_REFUSED],
    ['/api/now/table/TASK', REQUEST_REFUSED],
    ['/api/now/table/task/', REQUEST_REFUSED],
    ['/api/now/stats/task', REQUEST_REFUSED],
    ['/api/now/v2/table/task', REQUEST_REFUSED],
    ['/', REQUEST_REFUSED],
  ];
  for (const [path, fate, read] of table) {
    const what = read === undefined ? 'nothing leaves' : `the server reads ${read}`;
    it(`in whichever spelling is what was judged, or is not asked: ${JSON.stringify(path)}: ${what}`, async () => {
      // Not by the URL parser's second argument, for which a path of two slashes is a host.
      const url = new URL(`http://127.0.0.1:${server.port}${path}${LIMIT}`);
      const outcome = await http.send(get(url)).then(
        () => SENT,
        (thrown: unknown) => wrap(thrown).code,
      );
      expect(outcome).to.equal(fate);
      expect(requestLines).to.deep.equal(read === undefined ? [] : [`GET ${read}${LIMIT}`]);
    });
  }
});

describe('without a policy file', () => {
  const policy = defaultPolicy({ allowLoopback: false });
  const HOST = 'https://acme.service-now.com';
  const LIMITED = `${HOST}/api/now/table/task?sysparm_limit=`;

  for (const [what, fate, url, method] of [
    ['a limited read of any table', SENT, `${LIMITED}1000`, 'GET'],
    ['a POST to any token server', SENT, 'https://login.example/token?p=policy', 'POST'],
    ['a read of too many rows', REQUEST_REFUSED, `${LIMITED}1001`, 'GET'],
    ['a read without a limit', REQUEST_REFUSED, `${HOST}/api/now/table/task`, 'GET'],
    ['a HEAD', REQUEST_REFUSED, `${LIMITED}1`, 'HEAD'],
    ['a POST that makes a record', REQUEST_REFUSED, `${HOST}/api/now/table/incident`, 'POST'],
    ['the same below a context path', REQUEST_REFUSED, `${HOST}/itsm/API/Now/import/x`, 'POST'],
    [
      'a POST to the API of one of its applications',
      REQUEST_REFUSED,
      `${HOST}/api/sn_chg_rest/change`,
      'POST',
    ],
    ['a POST to an API that a customer made', REQUEST_REFUSED, `${HOST}/api/x_acme_app/hook`, 'POST'],
    ['a POST to one in the scope of a company', REQUEST_REFUSED, `${HOST}/api/481200/hook`, 'POST'],
    ['a POST to its token endpoint', SENT, `${HOST}/oauth_token.do`, 'POST'],
    ['a POST to a token server with an API', SENT, 'https://login.example/api/v1/oauth/token', 'POST'],
    [
      'a user name in the URL',
      URL_REFUSED,
      `https://acme@evil.example/api/now/table/task?sysparm_limit=1`,
      'GET',
    ],
    ['a password in the URL', URL_REFUSED, `https://:x@acme.example/token`, 'POST'],
    ['a fragment', URL_REFUSED, `${LIMITED}1#x`, 'GET'],
    ['plain http', 'policy.https-required', 'http://acme.example/token', 'POST'],
    ['loopback', 'policy.loopback-refused', 'https://localhost/token', 'POST'],
    ['the metadata service', 'policy.address-refused', 'https://169.254.169.254/token', 'POST'],
    ['the same as a number', 'policy.address-refused', 'https://2852039166/token', 'POST'],
    ['the same as IPv6', 'policy.address-refused', 'https://[::ffff:a9fe:a9fe]/token', 'POST'],
  ] as const) {
    it(`${what}: ${fate}`, () => {
      expect(fateOf(policy, requestFor(url, { method }))).to.equal(fate);
    });
  }
});
