import { writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { expect } from 'chai';
import type { ProxiesOptions } from '../../src/http/proxies.ts';
import { DelegateError } from '../../src/kit/errors.ts';
import { Redactor, Secret } from '../../src/kit/secret.ts';
import { anHourAgo, Authority } from '../support/authority.ts';
import { dialerWith } from '../support/dialer.ts';
import { failureOf } from '../support/failure.ts';
import { ForwardProxy, type ForwardProxyOptions } from '../support/forward-proxy.ts';
import { listenOnLoopback } from '../support/listen.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { leavesNothingOpen } from '../support/open-handles.ts';
import { tempDirs } from '../support/temp-dir.ts';
import { TlsFront } from '../support/tls-front.ts';
import { client, get, Listener } from './support.ts';

const PASSWORD = 'user:hunter2-proxy';

describe('a connection through a proxy', function () {
  this.timeout(20_000);
  const directory = tempDirs();
  let company: Authority;
  let stranger: Authority;
  let authorityFile: string;
  let server: Server;
  let front: TlsFront;
  let url: URL;

  before(async () => {
    [company, stranger] = await Promise.all([Authority.create('company'), Authority.create('stranger')]);
  });

  beforeEach(async () => {
    authorityFile = join(await directory(), 'ca.pem');
    await writeFile(authorityFile, company.cert);
    server = createServer((request, response) => {
      response.end(JSON.stringify({ headers: request.headers }));
    });
    const port = await listenOnLoopback(server);
    front = await TlsFront.before(port, { shows: company.issue({ names: ['acme.test'] }) });
    url = new URL(`https://acme.test:${front.port}/api?q=1`);
  });

  afterEach(async () => {
    await front[Symbol.asyncDispose]();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  leavesNothingOpen();

  function through(proxy: URL, options: Partial<ProxiesOptions> = {}) {
    return client({
      dialer: dialerWith({
        proxies: { https: { url: proxy, credentials: undefined }, ...options },
        trust: { authorityFiles: [authorityFile] },
      }),
    });
  }

  it('carries a request that only the host itself can read', async () => {
    await using proxy = await ForwardProxy.start();
    await using http = through(proxy.url());
    const answer = await http.send(get(url, { headers: { authorization: 'Bearer hunter2' } }));
    expect(answer.status).to.equal(200);
    expect(answer.body).to.contain('Bearer hunter2');
    expect(proxy.seen.map(({ target }) => target)).to.deep.equal([url.host]);
    expect(proxy.everything()).to.not.match(/hunter2|api/);
  });

  it('is kept for the next request to the same host', async () => {
    await using proxy = await ForwardProxy.start();
    await using http = through(proxy.url());
    for (let round = 0; round < 5; round += 1) await http.send(get(url));
    expect(proxy.seen.length).to.be.within(1, 2);
  });

  it('is told as such to whoever probes, because the proxy alone knows the address', async () => {
    await using proxy = await ForwardProxy.start();
    await using http = through(proxy.url());
    const facts = await http.probe(url, AbortSignal.timeout(5_000));
    expect(facts.address).to.equal(`proxy ${proxy.url().host}`);
    expect(facts.tls).to.include({ protocol: 'TLSv1.3', issuer: 'company' });
  });

  it('is made over TLS to the proxy too, where its address says https', async () => {
    await using proxy = await ForwardProxy.start({ tls: company.issue({ names: ['127.0.0.1'] }) });
    await using http = through(proxy.url());
    expect((await http.send(get(url))).status).to.equal(200);
  });

  it('shows the proxy its password, and nobody else', async () => {
    await using proxy = await ForwardProxy.start({ wants: PASSWORD });
    await using http = through(proxy.url(), {
      https: { url: proxy.url(), credentials: new Secret(PASSWORD) },
    });
    const answer = await http.send(get(url));
    expect(answer.body).to.not.match(/proxy-auth/i);
    expect(answer.body).to.not.contain(Buffer.from(PASSWORD).toString('base64'));
    expect(proxy.seen.map(({ authorization }) => authorization)).to.deep.equal([
      `Basic ${Buffer.from(PASSWORD).toString('base64')}`,
    ]);
  });

  it('takes the password from the file, anew when the proxy does not accept it any more', async () => {
    const credentialsFile = join(await directory(), 'proxy');
    await writeFile(credentialsFile, `${PASSWORD}\n`);
    await using proxy = await ForwardProxy.start({ wants: PASSWORD });
    // The clock stands still: without the refusal nobody would look at the file again.
    await using http = through(proxy.url(), { credentialsFile, clock: new ManualClock() });
    const look = () => http.probe(url, AbortSignal.timeout(5_000));
    await look();
    proxy.wants = 'user:another-hunter2';
    await writeFile(credentialsFile, proxy.wants);
    await look();
    const shown = proxy.seen.map(({ authorization = '' }) =>
      Buffer.from(authorization.slice('Basic '.length), 'base64').toString(),
    );
    expect(shown).to.deep.equal([PASSWORD, PASSWORD, 'user:another-hunter2']);
  });

  it('is refused once for a wrong password: the same one is not tried again', async () => {
    const credentialsFile = join(await directory(), 'proxy');
    await writeFile(credentialsFile, 'user:wrong-hunter2');
    await using proxy = await ForwardProxy.start({ wants: PASSWORD });
    await using http = through(proxy.url(), { credentialsFile });
    const error = await failureOf(http.send(get(url)));
    expect(error).to.include({ code: 'network.proxy-credentials-refused', status: 407 });
    expect(inspect(error, { depth: 9 })).to.not.contain('hunter2');
    expect(proxy.seen).to.have.length(1);
  });

  it('sends the password to no other proxy that a policy names', async () => {
    await using named = await ForwardProxy.start({ wants: PASSWORD });
    await using http = through(new URL('http://127.0.0.1:9'), {
      https: { url: new URL('http://127.0.0.1:9'), credentials: new Secret(PASSWORD) },
      proxyFor: () => named.url().href,
    });
    expect(await failureOf(http.send(get(url)))).to.include({ code: 'network.proxy-credentials-missing' });
    expect(named.seen.map(({ authorization }) => authorization)).to.deep.equal([undefined]);
  });

  it('registers the password for masking, whole and alone', async () => {
    const redactor = new Redactor();
    const credentialsFile = join(await directory(), 'proxy');
    await writeFile(credentialsFile, PASSWORD);
    await using proxy = await ForwardProxy.start({ wants: PASSWORD });
    const protect = (value: string, origins: readonly string[]) => redactor.register(value, { origins });
    await using http = through(proxy.url(), { credentialsFile, protect });
    await http.send(get(url));
    const basic = Buffer.from(PASSWORD).toString('base64');
    expect(redactor.scrub(`${basic} hunter2-proxy`)).to.not.match(/hunter2|dXNlcjpo/);
    expect(redactor.isBoundElsewhere(`Basic ${basic}`, url.origin)).to.equal(true);
  });

  it('never asks for an address that may not be called', async () => {
    await using proxy = await ForwardProxy.start();
    await using http = client({
      dialer: dialerWith({ proxies: { https: { url: proxy.url(), credentials: undefined } } }),
      guardAddress: (address) => {
        throw new DelegateError('policy.test', `${address} is refused`, { category: 'policy' });
      },
    });
    for (const host of ['10.9.9.9', '[2001:db8::9]', '169.254.169.254', '[fd00:ec2::254]']) {
      const error = await failureOf(http.send(get(new URL(`https://${host}/`))));
      expect(error).to.include({ code: 'policy.test' });
    }
    expect(proxy.seen).to.deep.equal([]);
  });

  it('is not made to loopback, nor to exceptions, nor where the policy says direct', async () => {
    await using proxy = await ForwardProxy.start();
    await using plain = await Listener.http((_, response) => response.end('here'));
    const http = { url: proxy.url(), credentials: undefined };
    await using byDefault = through(proxy.url(), { http });
    expect((await byDefault.send(get(plain.url()))).body).to.equal('here');
    const lookup = toLoopback;
    for (const options of [{ bypass: '.test' }, { proxyFor: () => 'direct' as const }]) {
      const dialer = dialerWith({
        proxies: { https: http, ...options },
        trust: { authorityFiles: [authorityFile] },
      });
      await using direct = client({ dialer, lookup });
      expect((await direct.send(get(url))).status).to.equal(200);
    }
    expect(proxy.seen).to.deep.equal([]);
  });

  it('is made where the policy names the proxy, exceptions and loopback notwithstanding', async () => {
    await using proxy = await ForwardProxy.start();
    await using plain = await Listener.http((_, response) => response.end('here'));
    const dialer = dialerWith({ proxies: { bypass: '*', proxyFor: () => proxy.url().href } });
    await using http = client({ dialer });
    expect((await http.send(get(plain.url()))).body).to.equal('here');
    expect(proxy.seen.map(({ target }) => target)).to.deep.equal([plain.url().host]);
  });

  const failures: [what: string, options: () => ForwardProxyOptions, code: string, message: RegExp][] = [
    [
      'wants a password',
      () => ({ wants: PASSWORD }),
      'network.proxy-credentials-missing',
      /none are configured/,
    ],
    [
      'says 403',
      () => ({ answers: 'HTTP/1.1 403 No\r\n\r\n' }),
      'network.proxy-refused',
      /refused to open .*acme\.test:\d+ \(HTTP 403\)/,
    ],
    [
      'says 503',
      () => ({ answers: 'HTTP/1.1 503 No\r\n\r\n' }),
      'network.proxy-refused',
      /could not open .* \(HTTP 503\)/,
    ],
    [
      'says what is no HTTP',
      () => ({ answers: 'SSH-2.0\r\n\r\n' }),
      'network.proxy-broken-answer',
      /no valid answer/,
    ],
    [
      'ends its answer in the middle',
      () => ({ answers: 'HTTP/1.1 200' }),
      'network.proxy-unreachable',
      /closed the connection/,
    ],
    [
      'answers without an end',
      () => ({ answers: `HTTP/1.1 200 OK\r\nX: ${'a'.repeat(20_000)}` }),
      'network.proxy-broken-answer',
      /no valid answer/,
    ],
    [
      'speaks for the host',
      () => ({ answers: 'HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n\r\n' }),
      'network.proxy-broken-answer',
      /no valid answer/,
    ],
    [
      'has a certificate of a stranger',
      () => ({ tls: stranger.issue({ names: ['127.0.0.1'] }) }),
      'tls.proxy-untrusted',
      /does not trust/,
    ],
    [
      'has a certificate for another name',
      () => ({ tls: company.issue({ names: ['other.test'] }) }),
      'tls.proxy-host-mismatch',
      /another host name/,
    ],
    [
      'has a certificate that has ended',
      () => ({ tls: company.issue({ names: ['127.0.0.1'], notAfter: anHourAgo() }) }),
      'tls.proxy-certificate-expired',
      /has expired/,
    ],
  ];
  for (const [what, options, code, message] of failures) {
    it(`fails as ${code} at a proxy that ${what}, for a request and for a probe`, async () => {
      await using proxy = await ForwardProxy.start(options());
      await using http = through(proxy.url());
      const works = [http.send(get(url)), http.probe(url, AbortSignal.timeout(5_000))];
      for (const error of await Promise.all(works.map(failureOf))) {
        expect(error.code).to.equal(code);
        expect(error.message)
          .to.match(/^The proxy 127\.0\.0\.1:\d+ /)
          .and.match(message);
        expect(error.hint).to.match(/\.$/);
        expect(error.details).to.include({ proxy: proxy.url().host });
      }
    });
  }

  it('fails as the handshake of the proxy where it speaks no TLS and its address says so', async () => {
    await using proxy = await ForwardProxy.start();
    await using http = through(new URL(proxy.url().href.replace('http:', 'https:')));
    expect(await failureOf(http.send(get(url)))).to.include({ code: 'tls.proxy-handshake' });
  });

  it('fails as unreachable where nobody listens, and as unknown where the name is', async () => {
    const gone = await ForwardProxy.start();
    await gone[Symbol.asyncDispose]();
    await using http = through(gone.url());
    expect(await failureOf(http.send(get(url)))).to.include({
      code: 'network.proxy-unreachable',
      message: `The proxy ${gone.url().host} refused the connection.`,
      retryable: true,
    });
    await using unknown = through(new URL('http://proxy.invalid:3128'));
    const error = await failureOf(unknown.send(get(url)));
    expect(error.code).to.equal('network.proxy-dns');
    expect(error.message).to.contain('proxy.invalid:3128');
  });

  for (const [what, options] of [
    ['never answers', { answers: '' }],
    ['never says hello', undefined],
  ] as const) {
    it(`is given up in time at a proxy that ${what}, and its socket is closed`, async () => {
      await using silent = await Listener.raw('');
      await using proxy = await ForwardProxy.start(options ?? {});
      const address = options === undefined ? silent.url('', 'https') : proxy.url();
      const dialer = dialerWith({ proxies: { https: { url: address, credentials: undefined } } });
      await using http = client({ dialer, connectTimeoutMs: 50 });
      const error = await failureOf(http.send(get(url)));
      expect(error.code).to.equal(options === undefined ? 'tls.proxy-handshake' : 'network.proxy-timeout');
      await silent.idle();
    });
  }

  it('that is aborted while the proxy thinks rejects with the reason', async () => {
    await using proxy = await ForwardProxy.start({ answers: '' });
    await using http = through(proxy.url());
    const controller = new AbortController();
    const reason = new Error('the lease was lost');
    const probing = http.probe(url, controller.signal).catch((error: unknown) => error);
    while (proxy.seen.length === 0) await new Promise((resolve) => setImmediate(resolve));
    controller.abort(reason);
    expect(await probing).to.equal(reason);
  });

  it('blames the host for what is the fault of the host', async () => {
    await using proxy = await ForwardProxy.start();
    await using other = await TlsFront.before(1, { shows: stranger.issue({ names: ['acme.test'] }) });
    await using http = through(proxy.url());
    const error = await failureOf(http.send(get(new URL(`https://acme.test:${other.port}/`))));
    expect(error).to.include({ code: 'tls.untrusted' });
    expect(error.message).to.match(/^acme\.test:\d+ has a TLS certificate/);
    expect(error.hint).to.contain('DELEGATE_CA_FILE');
  });
});

const toLoopback = (
  _hostname: string,
  _options: unknown,
  callback: (error: null, addresses: { address: string; family: number }[]) => void,
): void => callback(null, [{ address: '127.0.0.1', family: 4 }]);
