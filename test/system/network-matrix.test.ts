import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { join } from 'node:path';
import { expect } from 'chai';
import { pino } from 'pino';
import { WebSocketServer } from 'ws';
import { dialerOf } from '../../src/compose/network.ts';
import { loadConfiguration } from '../../src/config/load.ts';
import { HttpClient } from '../../src/http/client.ts';
import type { Dialer } from '../../src/http/dialer.ts';
import type { HttpErrorCode } from '../../src/http/errors.ts';
import type { HttpRequest } from '../../src/kit/http-exchange.ts';
import { DelegateError } from '../../src/kit/errors.ts';
import { Redactor } from '../../src/kit/secret.ts';
import { systemClock } from '../../src/kit/time.ts';
import { defaultPolicy } from '../../src/policy/policy.ts';
import { SUBPROTOCOL } from '../../src/protocol/limits.ts';
import { anHourAgo, Authority, type Issued } from '../support/authority.ts';
import { dialOnce } from '../support/dialer.ts';
import { ForwardProxy } from '../support/forward-proxy.ts';
import { listenOnLoopback } from '../support/listen.ts';
import { leavesNothingOpen } from '../support/open-handles.ts';
import { tempDirs } from '../support/temp-dir.ts';
import { TlsFront } from '../support/tls-front.ts';
import { Listener } from '../http/support.ts';

/** Who is called, and by what name. */
const PEERS = {
  manager: 'manager.test',
  'token server': 'login.test',
  ServiceNow: 'acme.test',
  Vault: 'vault.test',
} as const;
type Peer = keyof typeof PEERS;
const EVERY_PEER: readonly Peer[] = ['manager', 'token server', 'ServiceNow', 'Vault'];

const PROXY_PASSWORD = 'delegate:hunter2-proxy';
/** A TLS record with the fatal alert `unknown_ca` (RFC 8446, section 6.2). */
const UNKNOWN_CA = Buffer.from([21, 3, 3, 0, 2, 2, 48]);

/** What came of a visit: `ok`, or the code of the failure. */
type Met = 'ok' | HttpErrorCode;

/** What an operator has set, and what it leads to. */
interface Visit {
  readonly what: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly port: number;
  readonly meets: Met;
  /** What a failure must say, beside its code. */
  readonly says?: RegExp;
  /** Connections that the proxy is to see. Default: none. */
  readonly proxied?: ForwardProxy;
}

interface Cell {
  /** Starts what the visits of one cell need. */
  visits: (around: Surroundings, peer: Peer) => Promise<Visit[]>;
}

interface Surroundings {
  readonly folder: string;
  readonly company: Authority;
  readonly stranger: Authority;
  /** The settings that trust the company's authority. */
  readonly trusting: Readonly<Record<string, string>>;
  front: (shows: Issued, wants?: string) => Promise<TlsFront>;
  keep: <T extends AsyncDisposable>(disposable: T) => T;
  write: (name: string, text: string) => Promise<string>;
}

const CELLS: Readonly<Record<string, Cell>> = {
  direct: {
    async visits({ front, company, trusting }, peer) {
      const { port } = await front(company.issue({ names: [PEERS[peer]] }));
      const gone = await front(company.issue({ names: [PEERS[peer]] }));
      await gone[Symbol.asyncDispose]();
      return [
        { what: 'as it is', environment: trusting, port, meets: 'ok' },
        {
          what: 'nobody there',
          environment: trusting,
          port: gone.port,
          meets: 'network.refused',
          says: /refused the connection/,
        },
      ];
    },
  },
  proxy: {
    async visits({ front, company, trusting, keep }, peer) {
      const { port } = await front(company.issue({ names: [PEERS[peer]] }));
      const proxy = keep(await ForwardProxy.start());
      const refusing = keep(await ForwardProxy.start({ answers: 'HTTP/1.1 403 No\r\n\r\n' }));
      const gone = await ForwardProxy.start();
      await gone[Symbol.asyncDispose]();
      const byStandard = { ...trusting, HTTPS_PROXY: proxy.url().href };
      return [
        { what: 'HTTPS_PROXY', environment: byStandard, port, meets: 'ok', proxied: proxy },
        {
          what: 'DELEGATE_PROXY_URL',
          environment: { ...trusting, HTTPS_PROXY: gone.url().href, DELEGATE_PROXY_URL: proxy.url().href },
          port,
          meets: 'ok',
          proxied: proxy,
        },
        { what: 'NO_PROXY', environment: { ...byStandard, NO_PROXY: 'a.example, .test' }, port, meets: 'ok' },
        {
          what: 'DELEGATE_NO_PROXY of another port',
          environment: { ...byStandard, DELEGATE_NO_PROXY: `${PEERS[peer]}:1` },
          port,
          meets: 'ok',
          proxied: proxy,
        },
        {
          what: 'refused',
          environment: { ...trusting, HTTPS_PROXY: refusing.url().href },
          port,
          meets: 'network.proxy-refused',
          says: /refused to open a tunnel to .* \(HTTP 403\)/,
          proxied: refusing,
        },
        {
          what: 'gone',
          environment: { ...trusting, HTTPS_PROXY: gone.url().href },
          port,
          meets: 'network.proxy-unreachable',
          says: /The proxy .* refused the connection/,
        },
      ];
    },
  },
  'proxy with password': {
    async visits({ front, company, trusting, keep, write }, peer) {
      const { port } = await front(company.issue({ names: [PEERS[peer]] }));
      const proxy = keep(await ForwardProxy.start({ wants: PROXY_PASSWORD }));
      const through = { ...trusting, DELEGATE_PROXY_URL: proxy.url().href };
      const right = await write('proxy-right', `${PROXY_PASSWORD}\n`);
      const wrong = await write('proxy-wrong', 'delegate:wrong');
      const inUrl = proxy.url();
      [inUrl.username = '', inUrl.password = ''] = PROXY_PASSWORD.split(':');
      return [
        {
          what: 'in a file',
          environment: { ...through, DELEGATE_PROXY_CREDENTIALS_FILE: right },
          port,
          meets: 'ok',
          proxied: proxy,
        },
        {
          what: 'in HTTPS_PROXY',
          environment: { ...trusting, HTTPS_PROXY: inUrl.href },
          port,
          meets: 'ok',
          proxied: proxy,
        },
        {
          what: 'none',
          environment: through,
          port,
          meets: 'network.proxy-credentials-missing',
          says: /wants credentials, and none are configured/,
          proxied: proxy,
        },
        {
          what: 'wrong',
          environment: { ...through, DELEGATE_PROXY_CREDENTIALS_FILE: wrong },
          port,
          meets: 'network.proxy-credentials-refused',
          says: /does not accept the configured credentials/,
          proxied: proxy,
        },
      ];
    },
  },
  'private CA': {
    async visits({ front, company, trusting }, peer) {
      const { port } = await front(company.issue({ names: [PEERS[peer]] }));
      return [
        { what: 'known', environment: trusting, port, meets: 'ok' },
        { what: 'unknown', environment: {}, port, meets: 'tls.untrusted', says: /DELEGATE_CA_FILE/ },
      ];
    },
  },
  mTLS: {
    async visits({ front, company, trusting, keep, write }, peer) {
      const { port } = await front(company.issue({ names: [PEERS[peer]] }), company.cert);
      const refusing = keep(await Listener.raw(UNKNOWN_CA, (socket) => socket.end()));
      const { cert, key } = company.issue({ commonName: 'delegate' });
      const files = { cert: await write('tls.crt', cert), key: await write('tls.key', key) };
      const shown = (to: number) => showing(peer, to, files, write);
      return [
        { what: 'shown', environment: { ...trusting, ...(await shown(port)) }, port, meets: 'ok' },
        {
          what: 'none',
          environment: trusting,
          port,
          meets: 'tls.client-certificate-required',
          says: /wants a TLS certificate of the delegate/,
        },
        {
          what: 'not accepted',
          environment: { ...trusting, ...(await shown(refusing.port)) },
          port: refusing.port,
          meets: 'tls.client-certificate-refused',
          says: /does not accept the TLS certificate/,
        },
      ];
    },
  },
  'wrong host name': {
    async visits({ front, company, trusting }) {
      const { port } = await front(company.issue({ names: ['other.test'] }));
      return [
        {
          what: 'directly',
          environment: trusting,
          port,
          meets: 'tls.host-mismatch',
          says: /for another host name/,
        },
      ];
    },
  },
  'expired certificate': {
    async visits({ front, company, trusting }, peer) {
      const { port } = await front(company.issue({ names: [PEERS[peer]], notAfter: anHourAgo() }));
      return [
        {
          what: 'directly',
          environment: trusting,
          port,
          meets: 'tls.certificate-expired',
          says: /has expired or is not valid yet/,
        },
      ];
    },
  },
};

describe('the way out', function () {
  this.timeout(20_000);
  const directory = tempDirs();
  const outcomes: Record<string, Record<string, string>> = {};
  let company: Authority;
  let stranger: Authority;
  let behind: Server;
  let webSockets: WebSocketServer;
  let behindPort: number;
  let kept: AsyncDisposable[];

  before(async () => {
    [company, stranger] = await Promise.all([Authority.create('company'), Authority.create('stranger')]);
  });

  after(() => {
    const rows = Object.entries(outcomes).map(([condition, cells]) => ({ condition, ...cells }));
    process.stdout.write(`${tableOf(rows)}\n`);
  });

  beforeEach(async () => {
    kept = [];
    behind = createServer((_request, response) => response.end('{}'));
    webSockets = new WebSocketServer({ server: behind, handleProtocols: () => SUBPROTOCOL });
    behindPort = await listenOnLoopback(behind);
  });

  afterEach(async () => {
    for (const disposable of kept.toReversed()) await disposable[Symbol.asyncDispose]();
    for (const socket of webSockets.clients) socket.terminate();
    behind.closeAllConnections();
    behind.close();
    await once(behind, 'close');
  });

  leavesNothingOpen();

  for (const [condition, cell] of Object.entries(CELLS)) {
    for (const peer of EVERY_PEER) {
      it(`${condition}, to the ${peer}`, async () => {
        const around = await surroundings();
        const told: string[] = [];
        for (const visit of await cell.visits(around, peer)) {
          const seenBefore = visit.proxied?.seen.length ?? 0;
          const failures = await visited(peer, visit);
          for (const failure of failures) expectMet(visit, failure);
          if (visit.proxied !== undefined) {
            expect(visit.proxied.seen.slice(seenBefore).map(({ target }) => target)).to.deep.equal(
              failures.map(() => `${PEERS[peer]}:${visit.port}`),
            );
            expect(visit.proxied.everything()).to.not.contain('hunter2-of-the-peer');
          }
          told.push(visit.meets);
        }
        const codes = [...new Set(told)].map((code) => code.replace(/^(network|tls)\./, ''));
        (outcomes[condition] ??= {})[peer] = codes.join(', ');
      });
    }
  }

  async function surroundings(): Promise<Surroundings> {
    const folder = await directory();
    const write = async (name: string, text: string): Promise<string> => {
      await writeFile(join(folder, name), text);
      return join(folder, name);
    };
    const keep = <T extends AsyncDisposable>(disposable: T): T => {
      kept.push(disposable);
      return disposable;
    };
    return {
      folder,
      company,
      stranger,
      trusting: { DELEGATE_CA_FILE: await write('ca.pem', company.cert) },
      front: async (shows, wants) => keep(await TlsFront.before(behindPort, { shows, wants })),
      keep,
      write,
    };
  }
});

/** Calls the peer in each way that the delegate does, as the operator has set it. */
async function visited(peer: Peer, { environment, port }: Visit): Promise<(DelegateError | undefined)[]> {
  const url = new URL(`https://${PEERS[peer]}:${port}`);
  const dialer = dialerFor(environment, url);
  if (peer !== 'manager') return [await sent(dialer, requestTo(peer, url))];
  return [await sent(dialer, requestTo(peer, url)), await dialled(dialer, url.origin)];
}

/** The real dialer of the real settings; names of the test lead to loopback where no proxy resolves them. */
function dialerFor(environment: Visit['environment'], url: URL): Pick<Dialer, 'open'> {
  const { configuration } = loadConfiguration({
    args: [],
    environment: { DELEGATE_MANAGER_URL: url.origin, ...environment },
  });
  const dialer = dialerOf({
    configuration,
    policy: defaultPolicy({ allowLoopback: true }),
    redactor: new Redactor(),
    clock: systemClock,
    log: pino({ level: 'silent' }),
  });
  return {
    open: (request) =>
      dialer.open({
        ...request,
        lookup: (_hostname, _options, done) => done(null, [{ address: '127.0.0.1', family: 4 }]),
      }),
  };
}

async function sent(dialer: Pick<Dialer, 'open'>, request: HttpRequest): Promise<DelegateError | undefined> {
  await using http = new HttpClient({
    dialer,
    guardUrl: () => {},
    guardRequest: () => {},
    guardAddress: () => {},
    userAgent: 'test/1',
  });
  return await failureOrNone(async () => {
    expect((await http.send(request)).status).to.equal(200);
  });
}

async function dialled(dialer: Pick<Dialer, 'open'>, managerUrl: string): Promise<DelegateError | undefined> {
  return await failureOrNone(() => dialOnce(dialer, managerUrl, 'hunter2-of-the-peer'));
}

function requestTo(peer: Peer, url: URL): HttpRequest {
  const signal = AbortSignal.timeout(10_000);
  const path = {
    manager: '/delegate/v1/enroll',
    'token server': '/oauth2/token',
    ServiceNow: '/api/now/table/change_request?sysparm_limit=1',
    Vault: '/v1/secret/data/servicenow',
  }[peer];
  const headers = { authorization: 'Bearer hunter2-of-the-peer' };
  const isPost = peer === 'manager' || peer === 'token server';
  return {
    method: isPost ? 'POST' : 'GET',
    url: new URL(path, url),
    headers,
    signal,
    ...(isPost ? { body: '{}' } : {}),
  };
}

async function failureOrNone(work: () => Promise<void>): Promise<DelegateError | undefined> {
  try {
    await work();
    return undefined;
  } catch (thrown) {
    if (thrown instanceof DelegateError) return thrown;
    throw thrown;
  }
}

function expectMet({ what, meets, says }: Visit, failure: DelegateError | undefined): void {
  const reason = failure?.code === 'manager-unreachable' ? failure.details?.['reason'] : failure?.code;
  expect(reason ?? 'ok', `${what}: ${failure?.message}`).to.equal(meets);
  if (failure === undefined || says === undefined) return;
  expect(`${failure.message} ${failure.hint}`).to.match(says);
  expect(JSON.stringify(failure.toWire())).to.not.contain('hunter2');
}

/** The settings that show this certificate to the peer, and to nobody else. */
async function showing(
  peer: Peer,
  port: number,
  files: Issued,
  write: Surroundings['write'],
): Promise<Record<string, string>> {
  if (peer === 'manager') {
    return { DELEGATE_MANAGER_CERTIFICATE_FILE: files.cert, DELEGATE_MANAGER_PRIVATE_KEY_FILE: files.key };
  }
  const origin = `https://${PEERS[peer]}:${port}`;
  const entry = { origin, certificateFile: files.cert, privateKeyFile: files.key };
  return {
    DELEGATE_CONFIG: await write(`delegate-${port}.yaml`, JSON.stringify({ clientCertificates: [entry] })),
  };
}

function tableOf(rows: readonly Record<string, string>[]): string {
  const columns = ['condition', ...EVERY_PEER];
  const lines = [Object.fromEntries(columns.map((name) => [name, name])), ...rows];
  const widths = columns.map((name) => Math.max(...lines.map((line) => (line[name] ?? '').length)));
  return lines
    .map((line) => columns.map((name, index) => (line[name] ?? '').padEnd(widths[index] ?? 0)).join('  '))
    .join('\n');
}
