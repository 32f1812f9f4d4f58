import { createServer as createTlsServer } from 'node:https';
import { createDevelopmentCertificate } from '../../src/dev/fake-identity/index.ts';
import { startFakeServiceNow } from '../../src/dev/fake-servicenow/index.ts';
import { Listener } from '../http/support.ts';
import { listen } from '../support/servicenow.ts';
import { once } from './once.ts';
import { faultCase, ONE_ATTEMPT_MS, type ReportCase } from './case.ts';

/** Section A: whether it is reached, and whether it is ServiceNow. */

const DAY_MS = 24 * 60 * 60 * 1_000;

/** A certificate that only the process of the look trusts. */
function tlsCase(
  id: string,
  title: string,
  expected: string,
  options: { altNames: readonly string[]; notBefore?: Date; notAfter?: Date },
): ReportCase {
  const made = once(() => createDevelopmentCertificate({ commonName: 'servicenow.example', ...options }));
  return {
    id,
    title,
    server: 'A TLS server with such a certificate',
    expected,
    tasks: ['check'],
    trusting: async () => (await made()).certificatePem,
    async arrange({ keep }) {
      const server = keep(await Listener.tls(await made()));
      return { url: server.url('', 'https', 'localhost').origin };
    },
  };
}

export const REACHING: readonly ReportCase[] = [
  faultCase(
    'A1',
    'Developer instance asleep',
    '200, hibernation page',
    'hibernate-html',
    'servicenow.hibernating',
  ),
  faultCase(
    'A2',
    'Developer instance asleep',
    '302 to developer.servicenow.com',
    'hibernate-redirect',
    'servicenow.hibernating',
  ),
  faultCase('A3', 'Developer instance waking', '200, page "waking up"', 'waking', 'servicenow.waking-up'),
  faultCase(
    'A4',
    'Log-in page in place of the API',
    '200, page with a form, X-Is-Logged-In: false',
    'login-html',
    'servicenow.sign-on-page',
  ),
  faultCase('A5', 'Single sign-on', '302 to /login_with_sso.do', 'sso-redirect', 'servicenow.sign-on-page'),
  faultCase(
    'A5b',
    'Single sign-on before the instance',
    '302 to an identity provider with a SAMLRequest',
    'idp-redirect',
    'servicenow.redirected',
  ),
  faultCase(
    'A5c',
    'Another canonical host',
    '301 to the same path elsewhere',
    'canonical-redirect',
    'servicenow.redirected',
  ),
  {
    id: 'A6',
    title: 'Address pasted from the browser',
    server: 'Works; the URL ends in /nav_to.do?uri=…',
    expected: 'approved + servicenow.url-shortened',
    arrange: ({ bench }) => ({ url: `${bench.instance.url}/nav_to.do?uri=incident.do` }),
  },
  {
    id: 'A6b',
    title: 'Slash behind the address',
    server: 'Works; the URL ends in /',
    expected: 'approved',
    arrange: ({ bench }) => ({ url: `${bench.instance.url}/` }),
  },
  {
    id: 'A7',
    title: 'Host without https://',
    server: 'Is not asked',
    expected: 'invalid-input',
    tasks: ['check', 'validate'],
    arrange: () => ({ url: 'example.service-now.com' }),
  },
  {
    id: 'A7b',
    title: 'Plain http',
    server: 'Is not asked',
    expected: 'policy.https-required',
    arrange: () => ({ url: 'http://example.service-now.com' }),
  },
  faultCase(
    'A8',
    'Load balancer without an instance',
    '502, page of nginx',
    'gateway-502',
    'servicenow.unavailable',
  ),
  faultCase('A8b', 'Node restart', '503, page of nginx', 'gateway-503', 'servicenow.unavailable'),
  faultCase(
    'A8c',
    'Instance too slow for its load balancer',
    '504, page of nginx',
    'gateway-504',
    'servicenow.unavailable',
  ),
  faultCase('A8d', 'Maintenance', '503, page', 'maintenance', 'servicenow.unavailable'),
  faultCase(
    'A8e',
    'Maintenance with a time',
    '503, page, Retry-After: 600',
    { fault: 'maintenance-until', seconds: 600 },
    'servicenow.unavailable',
  ),
  faultCase('A8f', 'Short outage', '502 once, then works', { fault: 'gateway-502', times: 1 }, 'approved'),
  {
    id: 'A9',
    title: 'Host name that DNS does not know',
    server: 'Does not exist',
    expected: 'network.dns',
    arrange: () => ({ url: 'https://nowhere.invalid' }),
  },
  {
    id: 'A9b',
    title: 'Nothing listens',
    server: 'Refuses the connection',
    expected: 'network.refused',
    async arrange() {
      const server = await Listener.raw('');
      const url = server.url('', 'https').origin;
      await server[Symbol.asyncDispose]();
      return { url };
    },
  },
  tlsCase('A9c', 'TLS certificate expired', 'tls.certificate-expired', {
    altNames: ['localhost'],
    notBefore: new Date(Date.now() - 2 * DAY_MS),
    notAfter: new Date(Date.now() - DAY_MS),
  }),
  tlsCase('A9d', 'TLS certificate for another host', 'tls.host-mismatch', { altNames: ['other.example'] }),
  {
    id: 'A9e',
    title: 'TLS certificate of an unknown authority',
    server: 'A TLS server with a self-signed certificate',
    expected: 'tls.untrusted',
    async arrange({ keep }) {
      const { certificatePem: cert, pkcs8Pem: key } = await createDevelopmentCertificate({
        commonName: 'servicenow.example',
        altNames: ['localhost'],
      });
      const server = keep(await Listener.on(createTlsServer({ cert, key })));
      return { url: server.url('', 'https', 'localhost').origin };
    },
  },
  {
    id: 'A9f',
    title: 'TLS handshake that does not end',
    server: 'Accepts the connection and says nothing',
    expected: 'tls.handshake-timeout',
    tasks: ['check'],
    timeMs: ONE_ATTEMPT_MS,
    timeouts: { connectTimeoutMs: 100 },
    async arrange({ keep }) {
      return { url: keep(await Listener.raw('')).url('', 'https').origin };
    },
  },
  {
    id: 'A9g',
    title: 'Port that speaks plain HTTP',
    server: 'Answers the TLS greeting with HTTP',
    expected: 'tls.handshake',
    async arrange({ keep }) {
      const server = keep(await Listener.http((_request, response) => response.end('plain')));
      return { url: server.url('', 'https').origin };
    },
  },
  {
    id: 'A9h',
    title: 'Something that is not HTTP',
    server: 'Answers with another protocol',
    expected: 'http.broken-response',
    async arrange({ keep }) {
      return { url: keep(await Listener.raw('220 mail.example ESMTP\r\n')).url('').origin };
    },
  },
  {
    id: 'A10',
    title: 'Host of one label, on premises',
    server: 'Works, as localhost',
    expected: 'approved',
    arrange: ({ bench }) => ({ url: `http://localhost:${new URL(bench.instance.url).port}` }),
  },
  faultCase(
    'A11',
    'Idle connection closed by the server',
    'Resets the connection once, then works',
    { fault: 'reset-before-headers', times: 1 },
    'approved',
  ),
  faultCase(
    'A11b',
    'Connection reset each time',
    'Resets before it answers',
    'reset-before-headers',
    'network.reset',
  ),
  faultCase(
    'A11c',
    'Connection reset amid the answer',
    'Resets after half of the body',
    'reset-mid-body',
    'network.reset',
  ),
  faultCase(
    'A12',
    'No answer',
    'Takes the request and stays silent',
    'stall-headers',
    'network.answer-timeout',
    { tasks: ['check'], timeMs: ONE_ATTEMPT_MS, timeouts: { answerTimeoutMs: 150 } },
  ),
  faultCase(
    'A12b',
    'Answer that stops',
    'Stays silent amid the body',
    'stall-body',
    'network.answer-timeout',
    { tasks: ['check'], timeMs: ONE_ATTEMPT_MS, timeouts: { answerTimeoutMs: 150 } },
  ),
  faultCase('A13', 'Wrong address of a web server', '404, page', 'not-found-html', 'servicenow.html'),
  {
    id: 'A13b',
    title: 'Path that is not there',
    server: '404 in JSON of its own',
    expected: 'servicenow.not-found',
    async arrange({ keep }) {
      const server = keep(
        await listen((_request, response) =>
          response.writeHead(404, { 'content-type': 'application/json' }).end('{"message":"no route"}'),
        ),
      );
      return { url: server.url };
    },
  },
  faultCase(
    'A13d',
    'Address that the instance does not have',
    '404 "Requested URI does not represent any resource"',
    'no-resource-404',
    'servicenow.not-found',
  ),
  {
    id: 'A13c',
    title: 'Something else that speaks JSON',
    server: '200, JSON of another API',
    expected: 'servicenow.unexpected-shape',
    async arrange({ keep }) {
      const server = keep(
        await listen((_request, response) =>
          response.writeHead(200, { 'content-type': 'application/json' }).end('{"hello":"world"}'),
        ),
      );
      return { url: server.url };
    },
  },
  {
    id: 'A14',
    title: 'Instance over TLS that nobody here vouches for',
    server: 'Works, over TLS',
    expected: 'tls.untrusted',
    tasks: ['check'],
    async arrange({ keep }) {
      const { certificatePem: cert, pkcs8Pem: key } = await createDevelopmentCertificate({
        commonName: 'servicenow.example',
        altNames: ['127.0.0.1'],
      });
      return { url: keep(await startFakeServiceNow({ tls: { cert, key } })).url };
    },
  },
];
