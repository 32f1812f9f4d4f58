import { createServer, type RequestListener } from 'node:http';
import { once } from 'node:events';
import { expect } from 'chai';
import { loadHttpAddress } from '../../src/config/http-address.ts';
import { runCli } from '../support/cli.ts';
import { listenOnLoopback } from '../support/listen.ts';
import { leavesNothingOpen } from '../support/open-handles.ts';

describe('the health check of a container', function () {
  this.timeout(60_000);
  leavesNothingOpen();

  async function checked(listener: RequestListener): Promise<{ code: number | null; stderr: string }> {
    const server = createServer(listener);
    const port = await listenOnLoopback(server);
    try {
      const { code, stderr } = await runCli(['healthcheck'], {
        // In a container it is every address; the check asks on loopback.
        DELEGATE_HTTP_HOST: '0.0.0.0',
        DELEGATE_HTTP_PORT: String(port),
      });
      return { code, stderr };
    } finally {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    }
  }

  it('says nothing of a delegate that is alive, whatever else is wrong with the settings', async () => {
    const asked: (string | undefined)[] = [];
    const alive: RequestListener = ({ url }, response) => {
      asked.push(url);
      response.end('{"live":true}');
    };
    expect(await checked(alive)).to.deep.equal({ code: 0, stderr: '' });
    expect(asked).to.deep.equal(['/livez']);
  });

  it('fails with 1 if the answer is another, never comes, or nobody is there', async () => {
    const sick = await checked((_request, response) => response.writeHead(503).end());
    expect(sick.code).to.equal(1);
    expect(sick.stderr).to.match(/livez answered 503/);
    const silent = await checked(() => {});
    expect(silent.code).to.equal(1);
    expect(silent.stderr).to.match(/gave no answer within 2500 ms/);
    const gone = await runCli(['healthcheck', '--http-port=1']);
    expect(gone.code).to.equal(1);
    expect(gone.stderr).to.match(/ECONNREFUSED/);
  });

  it('fails with 1, too, if it cannot know whom to ask: Docker keeps 2 for itself', async () => {
    for (const args of [['--http-port=0'], ['--http-port=none'], ['--nonsense']]) {
      const { code, stderr } = await runCli(['healthcheck', ...args]);
      expect(code, args.join()).to.equal(1);
      expect(stderr, args.join()).to.match(/not valid/);
    }
  });
});

describe('the address that a delegate answers at, seen from its own machine', () => {
  for (const [host, address] of [
    ['127.0.0.1', 'http://127.0.0.1:8080'],
    ['0.0.0.0', 'http://127.0.0.1:8080'],
    ['::', 'http://[::1]:8080'],
    ['10.1.2.3', 'http://10.1.2.3:8080'],
  ] as const) {
    it(`is ${address} where it listens on ${host}`, () => {
      expect(loadHttpAddress({ args: [], environment: { DELEGATE_HTTP_HOST: host } })).to.equal(address);
    });
  }
});
