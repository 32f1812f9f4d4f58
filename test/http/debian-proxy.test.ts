import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { expect } from 'chai';
import { WebSocketServer } from 'ws';
import { createServer as createHttpServer } from 'node:http';
import { Secret } from '../../src/kit/secret.ts';
import { SUBPROTOCOL } from '../../src/protocol/limits.ts';
import { Authority } from '../support/authority.ts';
import { dialerWith, dialOnce } from '../support/dialer.ts';
import { failureOf } from '../support/failure.ts';
import { listenOnLoopback } from '../support/listen.ts';
import { leavesNothingOpen } from '../support/open-handles.ts';
import { tempDirs } from '../support/temp-dir.ts';
import { TlsFront } from '../support/tls-front.ts';
import { turn, within } from '../support/until.ts';
import { client, get } from './support.ts';

const PASSWORD = 'delegate:hunter2proxy';

/** A proxy that others have written, as Debian packs it; `apt-get install tinyproxy` brings it. */
class Tinyproxy implements AsyncDisposable {
  readonly url: URL;
  readonly #process: ChildProcess;

  private constructor(url: URL, child: ChildProcess) {
    this.url = url;
    this.#process = child;
  }

  /** @param lines of its configuration, beside where it listens */
  static async start(folder: string, lines: readonly string[]): Promise<Tinyproxy> {
    const port = await freePort();
    const file = join(folder, 'tinyproxy.conf');
    const own = [`Port ${port}`, 'Listen 127.0.0.1', 'Allow 127.0.0.1', 'Timeout 20', 'LogLevel Critical'];
    await writeFile(file, [...own, ...lines, ''].join('\n'));
    const child = spawn('tinyproxy', ['-d', '-c', file], { stdio: 'ignore' });
    const proxy = new Tinyproxy(new URL(`http://127.0.0.1:${port}`), child);
    await within('tinyproxy to listen', untilOpen(port));
    return proxy;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#process.exitCode !== null) return;
    this.#process.kill('SIGKILL');
    await once(this.#process, 'close');
  }
}

describe("through Debian's tinyproxy", function () {
  this.timeout(20_000);
  const directory = tempDirs();
  let company: Authority;

  before(async function () {
    // 2026-11-23: not in every image. The proxy of our own in dialer.test.ts always runs.
    if (spawnSync('tinyproxy', ['-v']).status !== 0) this.skip();
    company = await Authority.create('company');
  });

  leavesNothingOpen();

  async function world(lines: readonly string[], credentials?: string) {
    const behind = createHttpServer((_request, response) => response.end('from the host'));
    const webSockets = new WebSocketServer({ server: behind, handleProtocols: () => SUBPROTOCOL });
    const port = await listenOnLoopback(behind);
    const front = await TlsFront.before(port, { shows: company.issue({ names: ['localhost'] }) });
    const folder = await directory();
    const authorityFile = join(folder, 'ca.pem');
    await writeFile(authorityFile, company.cert);
    const proxy = await Tinyproxy.start(folder, lines);
    const setting = {
      url: proxy.url,
      credentials: credentials === undefined ? undefined : new Secret(credentials),
    };
    const dialer = dialerWith({
      // tinyproxy resolves names by the system, so that the host is one of loopback.
      proxies: { https: setting, proxyFor: () => proxy.url.href },
      trust: { authorityFiles: [authorityFile] },
    });
    return {
      dialer,
      url: new URL(`https://localhost:${front.port}/`),
      async [Symbol.asyncDispose]() {
        for (const socket of webSockets.clients) socket.terminate();
        await front[Symbol.asyncDispose]();
        await proxy[Symbol.asyncDispose]();
        behind.closeAllConnections();
        behind.close();
        await once(behind, 'close');
      },
    };
  }

  for (const [what, lines, credentials] of [
    ['without a password', [], undefined],
    ['with a password', [`BasicAuth ${PASSWORD.replace(':', ' ')}`], PASSWORD],
  ] as const) {
    it(`${what}, a request, a probe and the WebSocket get to the host`, async () => {
      await using around = await world(lines, credentials);
      await using http = client({ dialer: around.dialer });
      expect((await http.send(get(around.url))).body).to.equal('from the host');
      expect((await http.probe(around.url, AbortSignal.timeout(5_000))).tls?.issuer).to.equal('company');
      await dialOnce(around.dialer, around.url.origin);
    });
  }

  for (const [what, lines, credentials, code] of [
    ['a password that is missing', ['BasicAuth a b'], undefined, 'network.proxy-credentials-missing'],
    ['a password that is wrong', ['BasicAuth a b'], PASSWORD, 'network.proxy-credentials-refused'],
    ['a port that is not allowed', ['ConnectPort 443'], undefined, 'network.proxy-refused'],
  ] as const) {
    it(`${what} is ${code}`, async () => {
      await using around = await world(lines, credentials);
      await using http = client({ dialer: around.dialer });
      expect(await failureOf(http.send(get(around.url)))).to.include({ code, retryable: false });
    });
  }

  it('a host that nobody listens at is told as what the proxy could not do, and may pass', async () => {
    await using around = await world([]);
    await using http = client({ dialer: around.dialer });
    const error = await failureOf(http.send(get(new URL(`https://localhost:${await freePort()}/`))));
    expect(error).to.include({ code: 'network.proxy-refused', retryable: true });
  });
});

/** Free at this moment; tinyproxy can't be told to take any. */
async function freePort(): Promise<number> {
  const server = createServer();
  const port = await listenOnLoopback(server);
  server.close();
  await once(server, 'close');
  return port;
}

async function untilOpen(port: number): Promise<void> {
  while (!(await isOpen(port))) await turn();
}

async function isOpen(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
