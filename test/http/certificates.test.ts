import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { expect } from 'chai';
import { LOOK_EVERY_MS } from '../../src/http/fresh.ts';
import { Authority, type Issued } from '../support/authority.ts';
import { dialerWith } from '../support/dialer.ts';
import { failureOf } from '../support/failure.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { leavesNothingOpen } from '../support/open-handles.ts';
import { tempDirs } from '../support/temp-dir.ts';
import { TlsFront } from '../support/tls-front.ts';
import { client, get, Listener } from './support.ts';

describe('a server that asks who the delegate is', () => {
  leavesNothingOpen();

  for (const [alert, name, code] of [
    [42, 'bad_certificate', 'tls.client-certificate-refused'],
    [43, 'unsupported_certificate', 'tls.client-certificate-refused'],
    [44, 'certificate_revoked', 'tls.client-certificate-refused'],
    [45, 'certificate_expired', 'tls.client-certificate-refused'],
    [46, 'certificate_unknown', 'tls.client-certificate-refused'],
    [48, 'unknown_ca', 'tls.client-certificate-refused'],
    [116, 'certificate_required', 'tls.client-certificate-required'],
    [40, 'handshake_failure', 'tls.handshake'],
    [70, 'protocol_version', 'tls.handshake'],
  ] as const) {
    it(`and answers with the alert ${name} (${alert}) fails as ${code}`, async () => {
      // A TLS record with one fatal alert (RFC 8446, sections 5.1 and 6).
      const record = Buffer.from([21, 3, 3, 0, 2, 2, alert]);
      await using server = await Listener.raw(record, (socket) => socket.end());
      await using http = client();
      const error = await failureOf(http.send(get(server.url('/', 'https'))));
      expect(error).to.include({ code, retryable: false });
    });
  }
});

describe('certificates that change', function () {
  this.timeout(20_000);
  const directory = tempDirs();
  let company: Authority;
  let stranger: Authority;

  before(async () => {
    [company, stranger] = await Promise.all([Authority.create('company'), Authority.create('stranger')]);
  });

  leavesNothingOpen();

  async function world(shows: Issued, wants?: string) {
    const plain = await Listener.http((_, response) => response.end('ok'));
    const front = await TlsFront.before(plain.port, { shows, wants });
    const folder = await directory();
    const files = {
      authorityFiles: [join(folder, 'ca.pem')],
      certificateFile: join(folder, 'tls.crt'),
      privateKeyFile: join(folder, 'tls.key'),
      passphraseFile: undefined,
    };
    const clock = new ManualClock();
    const errors: unknown[] = [];
    const log = { info: () => {}, error: (fields: unknown) => void errors.push(fields) };
    const url = new URL(`https://localhost:${front.port}/`);
    const dialer = dialerWith({
      trust: {
        authorityFiles: files.authorityFiles,
        clientCertificates: wants === undefined ? [] : [{ origin: url.origin, ...files }],
        clock,
        log,
      },
    });
    const dial = () => client({ dialer });
    return {
      ...files,
      front,
      url,
      dial,
      clock,
      errors,
      writeCa: (pem: string) => writeFile(join(folder, 'ca.pem'), pem),
      writePair: async ({ cert, key }: Issued) => {
        await writeFile(files.certificateFile, cert);
        await writeFile(files.privateKeyFile, key);
      },
      async [Symbol.asyncDispose]() {
        await front[Symbol.asyncDispose]();
        await plain[Symbol.asyncDispose]();
      },
    };
  }

  it('an authority that is added counts for the next connection, and one that is broken takes nothing away', async () => {
    await using around = await world(company.issue({ names: ['localhost'] }));
    await around.writeCa(stranger.cert);
    await using http = around.dial();
    const look = () => http.probe(around.url, AbortSignal.timeout(5_000));
    expect(await failureOf(look())).to.include({ code: 'tls.untrusted' });
    await around.writeCa(stranger.cert + company.cert);
    await around.clock.advance(LOOK_EVERY_MS);
    expect((await look()).tls?.issuer).to.equal('company');
    await around.writeCa(company.cert.slice(0, 300));
    await around.clock.advance(LOOK_EVERY_MS);
    expect((await look()).tls?.issuer).to.equal('company');
    await around.clock.advance(LOOK_EVERY_MS);
    await look();
    expect(around.errors).to.have.length(1);
  });

  it('a client certificate that is replaced is the one of the next connection; the old one goes on with its own', async () => {
    await using around = await world(company.issue({ names: ['localhost'] }), company.cert);
    await around.writeCa(company.cert);
    await around.writePair(company.issue({ commonName: 'first' }));
    await using http = around.dial();
    await http.send(get(around.url));
    await around.writePair(company.issue({ commonName: 'second' }));
    await around.clock.advance(LOOK_EVERY_MS);
    await http.send(get(around.url));
    expect(around.front.clients).to.deep.equal(['first']);
    await using later = around.dial();
    await later.send(get(around.url));
    expect(around.front.clients).to.deep.equal(['first', 'second']);
  });

  it('a pair that does not belong together leaves the last good one in use, and is told once', async () => {
    await using around = await world(company.issue({ names: ['localhost'] }), company.cert);
    await around.writeCa(company.cert);
    await around.writePair(company.issue({ commonName: 'first' }));
    const visit = async (): Promise<void> => {
      await using http = around.dial();
      await http.send(get(around.url));
    };
    await visit();
    await writeFile(around.privateKeyFile, stranger.issue({}).key);
    for (let look = 0; look < 2; look += 1) {
      await around.clock.advance(LOOK_EVERY_MS);
      await visit();
    }
    expect(around.front.clients).to.deep.equal(['first', 'first', 'first']);
    expect(around.errors).to.have.length(1);
    expect(inspect(around.errors, { depth: 9 }))
      .to.contain('another certificate')
      .and.not.contain('PRIVATE');
  });
});
