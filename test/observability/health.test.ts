import { once } from 'node:events';
import { connect } from 'node:net';
import { expect } from 'chai';
import { healthRoutes, type Readiness } from '../../src/observability/health.ts';
import { servePages, type PageServer } from '../../src/observability/http.ts';
import { failureOf } from '../support/failure.ts';
import { leavesNothingOpen } from '../support/open-handles.ts';
import { until } from '../support/until.ts';

interface Told {
  status: number;
  headers: Headers;
  body: unknown;
}

const LOOPBACK = '127.0.0.1';
const NOT_LATE = { meanMs: 0.2, p99Ms: 1, maxMs: 3 };
/** More than the system takes in the place of one who does not read. */
const LARGE = 'x'.repeat(16_777_216);
const LATE = { meanMs: 2_400, p99Ms: 2_600, maxMs: 2_600 };

async function ask(server: PageServer, path: string, method = 'GET'): Promise<Told> {
  const response = await fetch(server.url + path, { method, headers: { connection: 'close' } });
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: text === '' ? '' : JSON.parse(text) };
}

describe('the health endpoints', () => {
  const waiting: Readiness = {
    ready: false,
    phase: 'connecting',
    reason: 'the manager refuses the connection',
    checks: [{ name: 'connected', ok: false, detail: 'the manager refuses the connection' }],
  };
  const ready: Readiness = { ready: true, phase: 'ready', checks: [{ name: 'connected', ok: true }] };
  let state: Readiness;
  let loopDelay: { times: typeof LATE; isBlocked: boolean };
  let failures: unknown[];
  let server: PageServer;

  const serve = (host = LOOPBACK, port = 0): Promise<PageServer> =>
    servePages({
      host,
      port,
      routes: {
        ...healthRoutes({
          readiness: () => state,
          loopDelay: {
            get times() {
              return loopDelay.times;
            },
            get isBlocked() {
              return loopDelay.isBlocked;
            },
          },
        }),
        '/broken': () => Promise.reject(new Error('a defect')),
        '/large': () => ({ status: 200, contentType: 'text/plain', body: LARGE }),
      },
      onFailure: (error) => failures.push(error),
    });

  beforeEach(async () => {
    state = waiting;
    loopDelay = { times: NOT_LATE, isBlocked: false };
    failures = [];
    server = await serve();
  });

  afterEach(async () => {
    await server[Symbol.asyncDispose]();
  });

  leavesNothingOpen();

  it('say live, whatever the manager does', async () => {
    for (state of [waiting, ready]) {
      const body = { live: true, eventLoopDelay: NOT_LATE };
      expect(await ask(server, '/livez')).to.deep.include({ status: 200, body });
    }
  });

  it('say that an event loop which is blocked most of the time does not live, with the numbers', async () => {
    state = ready;
    loopDelay = { times: LATE, isBlocked: true };
    expect(await ask(server, '/livez')).to.deep.include({
      status: 503,
      body: {
        live: false,
        reason: 'the event loop is blocked most of the time',
        eventLoopDelay: LATE,
      },
    });
  });

  it('say ready, or what is missing, as it is at that moment', async () => {
    expect(await ask(server, '/readyz')).to.deep.include({ status: 503, body: waiting });
    state = ready;
    expect(await ask(server, '/readyz')).to.deep.include({ status: 200, body: ready });
    state = waiting;
    expect(await ask(server, '/readyz')).to.deep.include({ status: 503, body: waiting });
  });

  it('are JSON that nobody keeps, and that no browser takes for anything else', async () => {
    const { headers } = await ask(server, '/readyz');
    expect(
      ['content-type', 'cache-control', 'x-content-type-options'].map((name) => headers.get(name)),
    ).to.deep.equal(['application/json', 'no-store', 'nosniff']);
  });

  it('answer HEAD with the status alone', async () => {
    expect(await ask(server, '/readyz', 'HEAD')).to.deep.include({ status: 503, body: '' });
    expect(await ask(server, '/livez', 'HEAD')).to.deep.include({ status: 200, body: '' });
  });

  it('take no notice of a query', async () => {
    expect((await ask(server, '/livez?verbose')).status).to.equal(200);
  });

  it('know no other path, and name those that there are', async () => {
    for (const path of ['/', '/livez/', '/readyzz', '//livez', '/constructor', '/__proto__']) {
      const { status, body } = await ask(server, path);
      expect(status, path).to.equal(404);
      expect(body).to.deep.equal({ error: 'not found; there are /livez, /readyz, /broken, /large' });
    }
  });

  it('take no other method, and say which they take', async () => {
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS']) {
      const { status, headers } = await ask(server, '/livez', method);
      expect([status, headers.get('allow')], method).to.deep.equal([405, 'GET, HEAD']);
    }
  });

  it('answer a page that cannot be made with 500 and not with its error, and tell the log', async () => {
    expect(await ask(server, '/broken')).to.deep.include({
      status: 500,
      body: { error: 'the page could not be made; the log says why' },
    });
    expect(failures.map(String)).to.deep.equal(['Error: a defect']);
  });

  it('say so when their port is taken', async () => {
    const port = Number(new URL(server.url).port);
    const error = await failureOf(serve(LOOPBACK, port));
    expect(error).to.include({ code: 'health-port-unavailable', category: 'invalid-input' });
    expect(error.message).to.contain(`127.0.0.1:${port} (EADDRINUSE)`);
    expect(error.hint).to.contain('DELEGATE_HTTP_PORT');
  });

  it('answer probes while silent connections and half requests take up all that they can, and cut those', async function () {
    this.timeout(15_000);
    const { hostname, port } = new URL(server.url);
    const silent = Array.from({ length: 80 }, () => {
      const socket = connect(Number(port), hostname);
      // Beyond the most that are taken, the server resets.
      socket.on('error', () => {});
      socket.resume().write('GET /livez HTTP/1.1\r\nHost: slow\r\nX-Half: ');
      return new Promise((resolve) => {
        socket.once('close', resolve);
      });
    });
    await Promise.all(silent);
    expect((await ask(server, '/livez')).status).to.equal(200);
  });

  it('cut a connection that asks for a page and does not read it', async function () {
    this.timeout(20_000);
    const sockets = (): number =>
      process.getActiveResourcesInfo().filter((kind) => kind === 'TCPSocketWrap').length;
    const before = sockets();
    const { hostname, port } = new URL(server.url);
    const stalled = connect(Number(port), hostname);
    stalled.write('GET /large HTTP/1.1\r\nHost: stalled\r\n\r\n');
    await once(stalled, 'readable');
    expect(sockets()).to.equal(before + 2);
    await until('its other end is gone', () => sockets() === before + 1, 15_000);
    stalled.destroy();
    await once(stalled, 'close');
  });

  it('end with every connection, and may be ended twice', async () => {
    const { hostname, port } = new URL(server.url);
    const socket = connect(Number(port), hostname);
    await once(socket, 'connect');
    const closed = once(socket, 'close');
    socket.resume();
    await Promise.all([server[Symbol.asyncDispose](), server[Symbol.asyncDispose]()]);
    await closed;
    await server[Symbol.asyncDispose]();
    const refused = connect(Number(port), hostname);
    const [error]: unknown[] = await once(refused, 'error');
    expect(error).to.have.property('code', 'ECONNREFUSED');
  });

  it('write an IPv6 address as URLs have it', async () => {
    await using other = await serve('::1');
    expect(other.url).to.match(/^http:\/\/\[::1\]:\d+$/);
  });
});
