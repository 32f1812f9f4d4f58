import { execFile } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { createServer } from 'node:https';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect } from 'chai';
import {
  createDevelopmentCertificate,
  type DevelopmentCertificate,
} from '../../src/dev/fake-identity/development-certificates.ts';
import { failureOf } from '../support/failure.ts';
import { leavesNothingOpen } from '../support/open-handles.ts';
import { client, get, Listener } from './support.ts';

const DAY_MS = 24 * 60 * 60 * 1_000;
const VISITOR = fileURLToPath(new URL('visitor.ts', import.meta.url));

describe('TLS', () => {
  const folder = mkdtempSync(join(tmpdir(), 'delegate-tls-'));
  const now = Date.now();
  let valid: DevelopmentCertificate;
  let expired: DevelopmentCertificate;
  let future: DevelopmentCertificate;
  let otherHost: DevelopmentCertificate;
  let nameless: DevelopmentCertificate;

  before(async () => {
    const altNames = ['localhost', '127.0.0.1', '::1'];
    [valid, expired, future, otherHost, nameless] = await Promise.all([
      createDevelopmentCertificate({ commonName: 'valid', altNames }),
      createDevelopmentCertificate({
        commonName: 'expired',
        altNames,
        notBefore: new Date(now - 2 * DAY_MS),
        notAfter: new Date(now - DAY_MS),
      }),
      createDevelopmentCertificate({ commonName: 'future', altNames, notBefore: new Date(now + DAY_MS) }),
      createDevelopmentCertificate({ commonName: 'other', altNames: ['other.example'] }),
      createDevelopmentCertificate({ commonName: '', altNames }),
    ]);
    const trusted = [valid, expired, future, otherHost, nameless].map(({ certificatePem }) => certificatePem);
    writeFileSync(join(folder, 'trusted.pem'), trusted.join(''));
  });

  after(() => {
    rmSync(folder, { recursive: true });
  });

  /** What a process that trusts all these certificates meets: trust is fixed when Node starts. */
  async function visit(
    what: 'send' | 'probe',
    url: URL,
    trust: Record<string, string> = { NODE_EXTRA_CA_CERTS: join(folder, 'trusted.pem') },
  ): Promise<unknown> {
    const { stdout } = await promisify(execFile)(
      process.execPath,
      ['--import', 'tsx', VISITOR, what, url.href],
      { env: { ...process.env, ...trust } },
    );
    return JSON.parse(stdout);
  }

  leavesNothingOpen();

  it('to a server that nobody here vouches for fails as untrusted, whatever is asked', async () => {
    await using server = await Listener.tls(valid);
    await using http = client();
    const url = server.url('/', 'https', 'localhost');
    const headers = { authorization: 'Bearer hunter2' };
    const works = [http.send(get(url, { headers })), http.probe(url, AbortSignal.timeout(5_000))];
    for (const error of await Promise.all(works.map(failureOf))) {
      expect(error).to.include({ code: 'tls.untrusted', retryable: false });
      expect(error.hint).to.contain('NODE_EXTRA_CA_CERTS');
    }
  });

  it("is verified whatever Node's own variable says", async () => {
    await using server = await Listener.tls(valid);
    const url = server.url('/', 'https', 'localhost');
    const met = await visit('send', url, { NODE_TLS_REJECT_UNAUTHORIZED: '0' });
    expect(met).to.include({ code: 'tls.untrusted' });
  });

  it("is of version 1.2 at least, whatever Node's own options say", async () => {
    const { certificatePem: cert, pkcs8Pem: key } = valid;
    const options = {
      cert,
      key,
      minVersion: 'TLSv1',
      maxVersion: 'TLSv1.1',
      ciphers: 'DEFAULT@SECLEVEL=0',
    } as const;
    await using server = await Listener.on(createServer(options, (_, response) => response.end('too old')));
    const met = await visit('send', server.url('/', 'https', 'localhost'), {
      NODE_EXTRA_CA_CERTS: join(folder, 'trusted.pem'),
      NODE_OPTIONS: '--tls-min-v1.0 --tls-cipher-list=DEFAULT@SECLEVEL=0',
    });
    expect(met).to.include({ code: 'tls.handshake' });
  });

  it('to a port that speaks plain HTTP fails as a handshake', async () => {
    await using server = await Listener.http((_, response) => response.end());
    await using http = client();
    expect(await failureOf(http.send(get(server.url('/', 'https'))))).to.include({ code: 'tls.handshake' });
  });

  it('is not spoken to by an http URL in vain', async () => {
    await using server = await Listener.tls(valid);
    await using http = client();
    expect((await failureOf(http.send(get(server.url())))).code).to.match(/^(http|network)\./);
  });

  it('works with a certificate that is trusted, for a name and for an address', async () => {
    await using server = await Listener.tls(valid);
    for (const host of ['localhost', '127.0.0.1']) {
      expect(await visit('send', server.url('/', 'https', host))).to.deep.include({ body: 'over TLS' });
    }
  });

  it('shows a probe who is there', async () => {
    await using server = await Listener.tls(valid);
    expect(await visit('probe', server.url('/', 'https', 'localhost'))).to.deep.equal({
      address: '127.0.0.1',
      tls: {
        protocol: 'TLSv1.3',
        subject: 'valid',
        issuer: 'valid',
        validTo: new Date(new X509Certificate(valid.certificatePem).validTo).toISOString(),
      },
    });
  });

  it('shows whose certificate it is where it has no common name, as many have none', async () => {
    await using server = await Listener.tls(nameless);
    const met = await visit('probe', server.url('/', 'https', 'localhost'));
    expect(met)
      .to.have.nested.property('tls.subject')
      .that.equals('localhost, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1');
    expect(met).to.have.nested.property('tls.issuer').that.equals('unnamed');
  });

  for (const [host, address, serverNames] of [
    ['localhost', '127.0.0.1', ['localhost', 'localhost']],
    ['127.0.0.1', '127.0.0.1', []],
    ['[::1]', '::1', []],
  ] as const) {
    it(`a probe of ${host} goes the way of a request: same address, same server name, whatever the path`, async () => {
      const { certificatePem: cert, pkcs8Pem: key } = valid;
      const named: string[] = [];
      const secured = createServer(
        {
          cert,
          key,
          SNICallback(name, done) {
            named.push(name);
            done(null);
          },
        },
        (_, response) => response.end('over TLS'),
      );
      await using server = await Listener.on(secured, address);
      const url = server.url('/context/path', 'https', host);
      expect(await visit('send', url)).to.deep.include({ body: 'over TLS' });
      expect(await visit('probe', url))
        .to.deep.include({ address })
        .and.to.have.nested.property('tls.subject', 'valid');
      expect([named, server.accepted]).to.deep.equal([serverNames, 2]);
    });
  }

  const refusals: [what: string, certificate: () => DevelopmentCertificate, code: string][] = [
    ['has expired', () => expired, 'tls.certificate-expired'],
    ['is not valid yet', () => future, 'tls.certificate-expired'],
    ['is for another host', () => otherHost, 'tls.host-mismatch'],
  ];
  for (const [what, certificate, code] of refusals) {
    it(`with a certificate that ${what} fails as ${code}, though its issuer is trusted`, async () => {
      await using server = await Listener.tls(certificate());
      expect(await visit('send', server.url('/', 'https', 'localhost'))).to.include({
        code,
        retryable: false,
      });
    });
  }
});
