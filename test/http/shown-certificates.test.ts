import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createServer, type SecureVersion } from 'node:tls';
import { expect } from 'chai';
import { anHourAgo, Authority, type Issued } from '../support/authority.ts';
import { dialerWith } from '../support/dialer.ts';
import { rejectionOf } from '../support/failure.ts';
import { ForwardProxy } from '../support/forward-proxy.ts';
import { leavesNothingOpen } from '../support/open-handles.ts';
import { tempDirs } from '../support/temp-dir.ts';
import { until } from '../support/until.ts';
import { Listener } from './support.ts';

/** One who wants to know all of whoever comes: asks for a certificate and takes any, or none. */
async function nosy(shows: Issued, version: SecureVersion) {
  const seen = { certificates: 0, bytes: 0 };
  const server = createServer({
    ...shows,
    requestCert: true,
    rejectUnauthorized: false,
    minVersion: version,
    maxVersion: version,
  });
  server.on('secureConnection', (socket) => {
    if (Object.keys(socket.getPeerCertificate()).length > 0) seen.certificates += 1;
    socket.on('data', (bytes: Buffer) => (seen.bytes += bytes.length));
    socket.on('error', () => {});
  });
  return { listener: await Listener.on(server), seen };
}

describe('a look at certificates', function () {
  this.timeout(20_000);
  const directory = tempDirs();
  let company: Authority;
  let stranger: Authority;

  before(async () => {
    [company, stranger] = await Promise.all([Authority.create('company'), Authority.create('stranger')]);
  });
  leavesNothingOpen();

  /** A dialer that has a certificate for the very origin that is looked at. */
  async function dialerFor(url: URL, proxy?: URL) {
    const folder = await directory();
    const { cert, key } = company.issue({ commonName: 'the delegate' });
    const [certificateFile, privateKeyFile, authorityFile] = [
      join(folder, 'tls.crt'),
      join(folder, 'tls.key'),
      join(folder, 'ca.pem'),
    ];
    await Promise.all([
      writeFile(certificateFile, cert),
      writeFile(privateKeyFile, key),
      writeFile(authorityFile, company.cert),
    ]);
    return dialerWith({
      proxies: { https: proxy === undefined ? undefined : { url: proxy, credentials: undefined } },
      trust: {
        authorityFiles: [authorityFile],
        clientCertificates: [
          { origin: url.origin, certificateFile, privateKeyFile, passphraseFile: undefined },
        ],
      },
    });
  }

  const request = (url: URL) => ({ url, guardAddress: () => {}, signal: AbortSignal.timeout(15_000) });

  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    it(`sends nothing and shows no certificate, whoever it is (${version})`, async () => {
      const { listener, seen } = await nosy(
        stranger.issue({ commonName: 'nobody', names: ['another.test'], notAfter: anHourAgo() }),
        version,
      );
      await using _server = listener;
      const url = listener.url('', 'https', 'localhost');
      const dialer = await dialerFor(url);
      const { chain, protocol } = await dialer.lookAtCertificates(request(url));
      expect(protocol).to.equal(version);
      expect(chain.map(({ subjectAltName }) => subjectAltName)).to.deep.equal(['DNS:another.test']);
      await until('it has gone', () => listener.sockets.size === 0);
      expect(seen).to.deep.equal({ certificates: 0, bytes: 0 });
    });

    it(`shows none either to one who is trusted, and to whom the delegate does show it (${version})`, async () => {
      const { listener, seen } = await nosy(company.issue({ names: ['localhost'] }), version);
      await using _server = listener;
      const url = listener.url('', 'https', 'localhost');
      const dialer = await dialerFor(url);
      // The connection of the delegate itself: else the rest would be true of a dialer that has no certificate.
      const { socket } = await dialer.open(request(url));
      await until('it has shown it', () => seen.certificates === 1);
      socket.destroy();
      await dialer.lookAtCertificates(request(url));
      await until('both have gone', () => listener.sockets.size === 0);
      expect(listener.accepted).to.equal(2);
      expect(seen).to.deep.equal({ certificates: 1, bytes: 0 });
    });
  }

  it('goes the way of the delegate, and says to the proxy where to alone', async () => {
    const { listener, seen } = await nosy(stranger.issue({ names: ['acme.test'] }), 'TLSv1.3');
    await using _server = listener;
    await using proxy = await ForwardProxy.start();
    const url = listener.url('/a-path', 'https', 'acme.test');
    const dialer = await dialerFor(url, proxy.url());
    expect((await dialer.lookAtCertificates(request(url))).chain).to.have.length(1);
    expect(proxy.seen.map(({ target }) => target)).to.deep.equal([url.host]);
    expect(proxy.everything()).to.not.contain('a-path');
    await until('it has gone', () => listener.sockets.size === 0);
    expect(seen).to.deep.equal({ certificates: 0, bytes: 0 });
  });

  it('ends with its signal, and leaves no connection behind', async () => {
    await using mute = await Listener.raw('');
    const url = mute.url('', 'https');
    const dialer = await dialerFor(url);
    const stop = new AbortController();
    const looking = rejectionOf(dialer.lookAtCertificates({ ...request(url), signal: stop.signal }));
    await until('it has come', () => mute.accepted === 1);
    stop.abort(new Error('enough'));
    expect(await looking).to.include({ message: 'enough' });
    await until('it has gone', () => mute.sockets.size === 0);
  });
});
