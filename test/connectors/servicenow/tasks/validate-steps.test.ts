import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect } from 'chai';
import {
  createDevelopmentCertificate,
  startFakeAdfs,
  type DevelopmentCertificate,
} from '../../../../src/dev/fake-identity/index.ts';
import { startFakeServiceNow } from '../../../../src/dev/fake-servicenow/index.ts';
import { transportError } from '../../../../src/http/transport-error.ts';
import { ManualClock } from '../../../support/manual-clock.ts';
import {
  joinAdfs,
  listen,
  openBench,
  readReport,
  steps,
  tableCalls,
  tokenCalls,
  type Bench,
  type Report,
} from '../../../support/servicenow.ts';
import { leavesNothingOpen } from '../../../support/open-handles.ts';
import { checkOf, expectFailure } from './report.ts';
import { certificatesFor } from '../../../support/certificates.ts';

const DAY_MS = 24 * 60 * 60 * 1_000;

/** In a process of its own: Node reads what it shall trust as it starts. */
async function validateInProcess(url: string, trustedPem: string): Promise<Report> {
  const directory = await mkdtemp(join(tmpdir(), 'validate-'));
  try {
    const trusted = join(directory, 'trusted.pem');
    await writeFile(trusted, trustedPem);
    const script = fileURLToPath(new URL('validate-over-tls.ts', import.meta.url));
    const { stdout } = await promisify(execFile)(process.execPath, ['--import', 'tsx', script, url], {
      env: { ...process.env, NODE_EXTRA_CA_CERTS: trusted },
    });
    return readReport(JSON.parse(stdout));
  } finally {
    await rm(directory, { recursive: true });
  }
}

describe('servicenow.connector.validate, before the API is called', () => {
  let own: DevelopmentCertificate;
  let stranger: DevelopmentCertificate;
  let signing: DevelopmentCertificate;
  let bench: Bench;

  before(async () => {
    [own, stranger, signing] = await certificatesFor('delegate', 'stranger', 'signing');
  });
  beforeEach(async () => {
    bench = await openBench();
  });
  afterEach(() => bench[Symbol.asyncDispose]());

  const set = (name: string, value: string): void => void bench.surroundings.secrets.set(name, value);

  leavesNothingOpen();

  describe('secrets', () => {
    it('one that does not resolve is named by its field; what needs it is skipped, the network is not', async () => {
      const auth = bench.asUser('svc_deploy');
      bench.surroundings.secrets.clear();
      const report = await bench.validate(auth);
      const summary = expectFailure(report, 'secret-not-found');
      expect(summary).to.match(/^Secret: auth\.spec\.passwordRef: .*; set it\.$/);
      expect(steps(report)).to.deep.equal([
        'secrets failed',
        'network passed',
        'api skipped',
        'access skipped',
        'clock skipped',
      ]);
      expect(tableCalls(bench.instance)).to.deep.equal([]);
    });

    it('each one that does not resolve is an error of its own, and none shows a value', async () => {
      const auth = bench.byRefreshToken({ clientSecretRef: 'Sommer 2026!' });
      bench.surroundings.secrets.delete('refresh-token');
      const report = await bench.validate(auth);
      expect(report.errors.map(({ code, details }) => [code, details?.['field']])).to.deep.equal([
        ['secret-reference-invalid', 'auth.spec.clientSecretRef'],
        ['secret-not-found', 'auth.spec.refreshTokenRef'],
      ]);
      expect(report.errorSummary).to.match(/^Secret: auth\.spec\.clientSecretRef: .* \(and 1 more\)\.$/);
      expect(checkOf(report, 'secrets')?.detail)
        .to.contain('auth.spec.clientSecretRef: ')
        .and.contain('auth.spec.refreshTokenRef: ');
      expect(JSON.stringify(report)).not.to.match(/Sommer|client-secret-of/);
    });

    it('with AD FS, key material and token are skipped too', async () => {
      await using adfs = await startFakeAdfs({ signing });
      const auth = joinAdfs(bench, adfs, own);
      bench.surroundings.secrets.delete('private-key');
      const report = await bench.validate(auth);
      expect(expectFailure(report, 'secret-not-found')).to.contain('auth.spec.privateKeyRef');
      expect(steps(report)).to.deep.equal([
        'secrets failed',
        'key-material skipped',
        'network passed',
        'token skipped',
        'api skipped',
        'access skipped',
        'clock skipped',
      ]);
      expect(adfs.journal()).to.deep.equal([]);
    });

    it('its check counts the references', async () => {
      const { checks } = await bench.validate(bench.byRefreshToken());
      expect(checks[0]?.detail).to.equal('3 of 3');
    });
  });

  describe('key material', () => {
    it('shows whose certificate it is and until when', async () => {
      await using adfs = await startFakeAdfs({ signing });
      const { checks } = await bench.validate(joinAdfs(bench, adfs, own));
      expect(checks[1]?.detail).to.match(/^CN=delegate, valid until \d{4}-\d\d-\d\d$/);
    });

    it('of another key: nothing is sent, and all but the network is skipped', async () => {
      await using adfs = await startFakeAdfs({ signing });
      const auth = joinAdfs(bench, adfs, own);
      set('private-key', stranger.pkcs8Pem);
      const report = await bench.validate(auth);
      expectFailure(report, 'key-material.certificate-key-mismatch');
      expect(steps(report)).to.deep.equal([
        'secrets passed',
        'key-material failed',
        'network passed',
        'token skipped',
        'api skipped',
        'access skipped',
        'clock skipped',
      ]);
      expect(adfs.journal()).to.deep.equal([]);
    });

    it('that has ended: named with its end, and no request made', async () => {
      const clock = new ManualClock(Date.now() + 366 * DAY_MS);
      await using later = await openBench({ clock });
      await using adfs = await startFakeAdfs({ signing });
      const report = await later.validate(joinAdfs(later, adfs, own));
      expect(expectFailure(report, 'key-material.certificate-expired')).to.contain('ended at');
      expect(adfs.journal()).to.deep.equal([]);
    });

    it('that ends in twenty days: warned, once', async () => {
      const clock = new ManualClock(Date.now() + 345 * DAY_MS);
      await using later = await openBench({ clock });
      await using adfs = await startFakeAdfs({ signing, clock });
      const report = await later.validate(joinAdfs(later, adfs, own));
      expect(report.status).to.equal('SUCCESS');
      expect(steps(report)).to.include('key-material warned');
      expect(
        report.warnings.map(({ code }) => code).filter((code) => code.startsWith('key-material')),
      ).to.deep.equal(['key-material.certificate-expires-soon']);
    });
  });

  describe('network', () => {
    it('reaches ServiceNow and the token server, and says over what', async () => {
      await using adfs = await startFakeAdfs({ signing });
      const { checks } = await bench.validate(joinAdfs(bench, adfs, own));
      const detail = checks.find(({ id }) => id === 'network')?.detail;
      expect(detail).to.equal(
        [bench.instance.url, adfs.url].map((url) => `${new URL(url).host} at 127.0.0.1, no TLS`).join('; '),
      );
    });

    it('a token server on the same origin is looked at once', async () => {
      const { checks } = await bench.validate(bench.byRefreshToken());
      const { host } = new URL(bench.instance.url);
      expect(checks.find(({ id }) => id === 'network')?.detail).to.equal(`${host} at 127.0.0.1, no TLS`);
    });

    it('neither is reached: both are named, each by an error of its own', async () => {
      const [instance, tokens] = [await listen(() => undefined), await listen(() => undefined)];
      await instance[Symbol.asyncDispose]();
      await tokens[Symbol.asyncDispose]();
      const auth = bench.byRefreshToken({ tokenUrl: `${tokens.url}/token` });
      const report = await bench.validate(auth, { url: instance.url });
      const hosts = [instance, tokens].map(({ url }) => new URL(url).host);
      expect(report.errors.map(({ code, details }) => [code, details?.['host']])).to.deep.equal(
        hosts.map((host) => ['network.refused', host]),
      );
      expect(checkOf(report, 'network')?.detail).to.equal(
        hosts.map((host) => `${host} refused the connection`).join('; '),
      );
      expect(report.errorSummary).to.match(
        new RegExp(`^Network: ${hosts[0]} refused the connection; .* \\(and 1 more\\)\\.$`),
      );
    });

    it('ServiceNow is not reached: the token is asked for all the same, and what works is told', async () => {
      const gone = await listen(() => undefined);
      await gone[Symbol.asyncDispose]();
      const report = await bench.validate(bench.byRefreshToken(), { url: gone.url });
      expectFailure(report, 'network.refused');
      expect(checkOf(report, 'network')?.detail).to.contain(
        `${new URL(bench.instance.url).host} at 127.0.0.1, no TLS`,
      );
      expect(steps(report)).to.include.members(['network failed', 'token passed', 'api skipped']);
    });

    for (const [days, status, codes] of [
      [29, 'warned', ['network.certificate-expires-soon']],
      [31, 'passed', []],
    ] as const) {
      it(`a server's certificate that ends in ${days} days: ${status}`, async () => {
        const validTo = new Date(Date.now() + days * DAY_MS).toISOString();
        await using secured = await openBench({
          http: (real) => ({
            send: real.send,
            probe: () =>
              Promise.resolve({
                address: '192.0.2.7',
                tls: { protocol: 'TLSv1.3', subject: 'a', issuer: 'b', validTo },
              }),
          }),
        });
        const { host } = new URL(secured.instance.url);
        const report = await secured.validate(secured.asUser('svc_deploy'));
        expect(report.status).to.equal('SUCCESS');
        expect(checkOf(report, 'network')?.status).to.equal(status);
        expect(report.warnings.map(({ code }) => code)).to.deep.equal(codes);
        if (status === 'passed') return;
        expect(report.warnings[0]).to.deep.include({
          message: `The TLS certificate of ${host} ends on ${validTo.slice(0, 10)}.`,
          details: { host, validTo },
        });
      });
    }

    it('a port that speaks no TLS is told apart from one that does not answer', async () => {
      const url = bench.instance.url.replace('http:', 'https:');
      const report = await bench.validate(bench.asUser('svc_deploy'), { url });
      expect(expectFailure(report, 'tls.handshake')).to.match(/^Network: .*TLS.*; /);
    });

    it('over TLS the detail has protocol, subject, issuer and end of the certificate', async () => {
      await using secured = await openBench({
        http: (real) => ({
          send: real.send,
          probe: () =>
            Promise.resolve({
              address: '192.0.2.7',
              tls: {
                protocol: 'TLSv1.3',
                subject: '*.service-now.com',
                issuer: 'Entrust',
                validTo: '2027-03-01T00:00:00.000Z',
              },
            }),
        }),
      });
      const { checks } = await secured.validate(secured.asUser('svc_deploy'));
      expect(checks.find(({ id }) => id === 'network')?.detail).to.equal(
        `${new URL(secured.instance.url).host} at 192.0.2.7, TLSv1.3, certificate of *.service-now.com by Entrust until 2027-03-01`,
      );
    });

    it('shows those of the real certificate, where the machine trusts it', async () => {
      const server = await createDevelopmentCertificate({
        commonName: 'instance of the test',
        altNames: ['127.0.0.1'],
      });
      await using secured = await startFakeServiceNow({
        tls: { key: server.pkcs8Pem, cert: server.certificatePem },
      });
      const report = await validateInProcess(secured.url, server.certificatePem);
      expect(report.status).to.equal('SUCCESS');
      expect(report.checks.find(({ id }) => id === 'network')?.detail).to.match(
        /^127\.0\.0\.1:\d+ at 127\.0\.0\.1, TLSv1\.3, certificate of instance of the test by instance of the test until \d{4}-\d\d-\d\d$/,
      );
    });

    it('a certificate that this machine does not trust is that, not "unreachable"', async () => {
      await using impostor = await startFakeServiceNow({
        tls: { key: stranger.pkcs8Pem, cert: stranger.certificatePem },
      });
      const report = await bench.validate(bench.asUser('svc_deploy'), { url: impostor.url });
      expect(expectFailure(report, 'tls.untrusted')).to.match(/^Certificate: .* does not trust; /);
      expect(report.errors[0]?.hint).to.contain('NODE_EXTRA_CA_CERTS');
      expect(impostor.journal()).to.deep.equal([]);
    });

    it('nobody listens: what needs it is skipped', async () => {
      const auth = bench.asUser('svc_deploy');
      await bench.instance.close();
      const report = await bench.validate(auth);
      expect(expectFailure(report, 'network.refused')).to.contain(new URL(bench.instance.url).host);
      expect(steps(report)).to.deep.equal([
        'secrets passed',
        'network failed',
        'api skipped',
        'access skipped',
        'clock skipped',
      ]);
    });

    it('nobody listens in the place of the token server: its host is the one named', async () => {
      const gone = await listen(() => undefined);
      await gone[Symbol.asyncDispose]();
      const report = await bench.validate(bench.byRefreshToken({ tokenUrl: `${gone.url}/token` }));
      expect(expectFailure(report, 'network.refused')).to.contain(new URL(gone.url).host);
      expect(steps(report)).to.include.members(['network failed', 'token skipped', 'api skipped']);
    });

    for (const [systemCode, code] of [
      ['ENOTFOUND', 'network.dns'],
      ['ETIMEDOUT', 'network.connect-timeout'],
      ['EHOSTUNREACH', 'network.unreachable'],
      ['CERT_HAS_EXPIRED', 'tls.certificate-expired'],
      ['ERR_TLS_CERT_ALTNAME_INVALID', 'tls.host-mismatch'],
      ['EPROTO', 'tls.handshake'],
    ] as const) {
      it(`${systemCode} is told as ${code}`, async () => {
        await using cut = await openBench({
          http: (real) => ({
            send: real.send,
            probe: (url) =>
              Promise.reject(transportError(Object.assign(new Error('x'), { code: systemCode }), url)),
          }),
        });
        expectFailure(await cut.validate(cut.asUser('svc_deploy')), code);
      });
    }
  });

  describe('token', () => {
    it('a JWT shows iss, aud, exp and who it stands for, and neither itself nor another secret', async () => {
      await using adfs = await startFakeAdfs({ signing });
      const report = await bench.validate(joinAdfs(bench, adfs, own));
      const detail = report.checks.find(({ id }) => id === 'token')?.detail;
      expect(detail).to.match(
        new RegExp(
          `^iss ${adfs.issuer}, aud \\[secret\\], exp \\d{4}-\\d\\d-\\d\\dT[\\d:.]+Z, upn svc_deploy, appid \\[secret\\]$`,
        ),
      );
      const bearer = tableCalls(bench.instance)[0]?.headers.authorization?.slice('Bearer '.length);
      expect(bearer).to.have.length.greaterThan(100);
      expect(JSON.stringify(report)).not.to.contain(bearer);
    });

    it('an opaque one is called that', async () => {
      const { checks } = await bench.validate(bench.byRefreshToken());
      expect(checks.find(({ id }) => id === 'token')?.detail).to.equal('opaque token');
    });

    it('is asked for anew: what was got before proves nothing of today', async () => {
      const auth = bench.byRefreshToken();
      await bench.validate(auth);
      await bench.validate(auth);
      expect(tokenCalls(bench.instance)).to.have.length(2);
    });

    it('refused by its server: what needs it is skipped', async () => {
      await using adfs = await startFakeAdfs({ signing });
      const auth = joinAdfs(bench, adfs, own);
      set('adfs-client-id', 'nobody');
      const report = await bench.validate(auth);
      expect(expectFailure(report, 'token.invalid-client')).to.contain('MSIS9607');
      expect(steps(report)).to.deep.equal([
        'secrets passed',
        'key-material passed',
        'network passed',
        'token failed',
        'api skipped',
        'access skipped',
        // The token server's answer has a date as well.
        'clock passed',
      ]);
      expect(tableCalls(bench.instance)).to.deep.equal([]);
    });

    it('a refresh token refused: credentials', async () => {
      const auth = bench.byRefreshToken();
      set('refresh-token', 'an-old-refresh-token');
      const report = await bench.validate(auth);
      expectFailure(report, 'token.denied');
      expect(report.errors[0]?.category).to.equal('credentials');
      expect(tokenCalls(bench.instance)).to.have.length(1);
    });

    it('granted, but refused by ServiceNow: the claims stand beside the settings to compare them with', async () => {
      await using adfs = await startFakeAdfs({ signing });
      const auth = joinAdfs(bench, adfs, own);
      bench.instance.users.update('svc_deploy', { active: false });
      const report = await bench.validate(auth);
      expectFailure(report, 'servicenow.not-authenticated');
      expect(report.errors[0]?.hint).to.match(/issuer.*audience.*user claim/i);
      expect(steps(report)).to.include.members(['token passed', 'api failed', 'access skipped']);
      expect(report.checks.find(({ id }) => id === 'token')?.detail).to.contain('upn svc_deploy');
    });
  });
});
