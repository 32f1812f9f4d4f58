import { once } from 'node:events';
import { connect } from 'node:net';
import { expect } from 'chai';
import { failureOf } from '../support/failure.ts';
import { serveHealth, type HealthServer, type Readiness } from '../../src/observability/health.ts';
import { leavesNothingOpen } from '../support/open-handles.ts';

interface Told {
  status: number;
  headers: Headers;
  body: unknown;
}

async function ask(health: HealthServer, path: string, method = 'GET'): Promise<Told> {
  const response = await fetch(health.url + path, { method, headers: { connection: 'close' } });
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: text === '' ? '' : JSON.parse(text) };
}

describe('the health endpoints', () => {
  const waiting: Readiness = {
    ready: false,
    phase: 'connecting',
    reason: 'the manager refuses the connection',
  };
  const ready: Readiness = { ready: true, phase: 'ready' };
  let state: Readiness;
  let health: HealthServer;

  beforeEach(async () => {
    state = waiting;
    health = await serveHealth({ host: '127.0.0.1', port: 0, readiness: () => state });
  });

  afterEach(async () => {
    await health[Symbol.asyncDispose]();
  });

  leavesNothingOpen();

  it('say live, whatever the manager does', async () => {
    for (state of [waiting, ready]) {
      expect(await ask(health, '/livez')).to.deep.include({ status: 200, body: { live: true } });
    }
  });

  it('say ready, or what is missing, as it is at that moment', async () => {
    expect(await ask(health, '/readyz')).to.deep.include({ status: 503, body: waiting });
    state = ready;
    expect(await ask(health, '/readyz')).to.deep.include({ status: 200, body: ready });
    state = waiting;
    expect(await ask(health, '/readyz')).to.deep.include({ status: 503, body: waiting });
  });

  it('are JSON that nobody keeps', async () => {
    const { headers } = await ask(health, '/readyz');
    expect([headers.get('content-type'), headers.get('cache-control')]).to.deep.equal([
      'application/json',
      'no-store',
    ]);
  });

  it('answer HEAD with the status alone', async () => {
    expect(await ask(health, '/readyz', 'HEAD')).to.deep.include({ status: 503, body: '' });
    expect(await ask(health, '/livez', 'HEAD')).to.deep.include({ status: 200, body: '' });
  });

  it('know no other path', async () => {
    for (const path of ['/', '/livez/', '/metrics', '/readyzz']) {
      expect((await ask(health, path)).status, path).to.equal(404);
    }
  });

  it('take no other method, and say which they take', async () => {
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS']) {
      const { status, headers } = await ask(health, '/livez', method);
      expect([status, headers.get('allow')], method).to.deep.equal([405, 'GET, HEAD']);
    }
  });

  it('say so when their port is taken', async () => {
    const port = Number(new URL(health.url).port);
    const error = await failureOf(serveHealth({ host: '127.0.0.1', port, readiness: () => ready }));
    expect(error).to.include({ code: 'health-port-unavailable', category: 'invalid-input' });
    expect(error.message).to.contain(`127.0.0.1:${port} (EADDRINUSE)`);
    expect(error.hint).to.contain('DELEGATE_HTTP_PORT');
  });

  it('end with every connection, and may be ended twice', async () => {
    const { hostname, port } = new URL(health.url);
    const socket = connect(Number(port), hostname);
    await once(socket, 'connect');
    const closed = once(socket, 'close');
    socket.resume();
    await Promise.all([health[Symbol.asyncDispose](), health[Symbol.asyncDispose]()]);
    await closed;
    await health[Symbol.asyncDispose]();
    const refused = connect(Number(port), hostname);
    const [error]: unknown[] = await once(refused, 'error');
    expect(error).to.have.property('code', 'ECONNREFUSED');
  });

  it('write an IPv6 address as URLs have it', async () => {
    await using other = await serveHealth({ host: '::1', port: 0, readiness: () => ready });
    expect(other.url).to.match(/^http:\/\/\[::1\]:\d+$/);
  });
});
