import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect } from 'chai';
import { pino } from 'pino';
import { z } from 'zod';
import {
  ADFS_CLIENT,
  CERTIFICATE_FILE,
  DEV_ENVIRONMENT_SECRETS,
  PRIVATE_KEY_FILE,
} from '../../src/dev/connectors.ts';
import { createDevelopmentCertificate, startFakeAdfs } from '../../src/dev/fake-identity/index.ts';
import {
  PASSWORDS,
  SEED,
  startFakeServiceNow,
  type FakeServiceNow,
} from '../../src/dev/fake-servicenow/index.ts';
import { lockState } from '../../src/delegate/state/state-lock.ts';
import { systemClock } from '../../src/kit/time.ts';
import { findLeaks } from '../support/canaries.ts';
import { exitOf } from '../support/child.ts';
import { CLI } from '../support/cli.ts';
import { leavesNothingOpen } from '../support/open-handles.ts';
import { startOidcProvider } from '../support/oidc-provider.ts';
import { readReport } from '../support/servicenow.ts';
import { tempDirs } from '../support/temp-dir.ts';
import { until } from '../support/until.ts';

const EXAMPLES = new URL('../../examples/', import.meta.url);

/** The provider's client id reads like a key of the report, which is masked with it. */
const tokenReport = z.object({
  checks: z.array(z.object({ id: z.string(), status: z.string() })),
  warnings: z.array(z.object({ code: z.string() })),
});

/** As a table of secrets would be: by the name behind `DELEGATE_SECRET_`. */
type Secrets = Readonly<Record<string, string>>;

interface Finished {
  code: number | string;
  stdout: string;
  stderr: string;
}

interface RunOptions {
  secrets?: Secrets;
  env?: Readonly<Record<string, string>>;
  input?: string;
  /** Whoever would read standard error has gone away. */
  isDeaf?: boolean;
  /** Called once the process runs; given what asks it to stop. */
  meanwhile?: (kill: (signal: NodeJS.Signals) => void) => Promise<void>;
}

describe('a connector and an approval without a manager', function () {
  this.timeout(60_000);
  const tempDir = tempDirs();
  let serviceNow: FakeServiceNow;
  let said: { where: string; text: string }[] = [];

  beforeEach(async () => {
    said = [];
    serviceNow = await startFakeServiceNow();
  });

  afterEach(async () => {
    await serviceNow.close();
    const canaries = new Map(Object.entries(DEV_ENVIRONMENT_SECRETS));
    // An identifier that AD FS and reports name, and no secret to anybody.
    canaries.delete('ADFS_RESOURCE');
    canaries.delete('ADFS_CLIENT_ID');
    canaries.delete('OIDC_CLIENT_ID');
    expect(findLeaks(canaries, said)).to.deep.equal([]);
  });

  leavesNothingOpen();

  async function run(args: readonly string[], options: RunOptions = {}): Promise<Finished> {
    const { secrets = DEV_ENVIRONMENT_SECRETS, env = {}, input = '', isDeaf = false, meanwhile } = options;
    const child = spawn(process.execPath, [CLI, ...args], {
      env: {
        PATH: process.env['PATH'] ?? '',
        DELEGATE_ALLOW_LOOPBACK: 'true',
        DELEGATE_STATE_DIR: '/no/such/folder',
        ...Object.fromEntries(
          Object.entries(secrets).map(([name, value]) => [`DELEGATE_SECRET_${name}`, value]),
        ),
        ...env,
      },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    if (isDeaf) child.stderr.destroy();
    else child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    // One that does not read its input may be gone before it is written.
    child.stdin.on('error', () => {});
    child.stdin.end(input);
    const ended = exitOf(child);
    await meanwhile?.((signal) => child.kill(signal));
    const code = await ended;
    said.push({ where: `stdout of ${args.join(' ')}`, text: stdout }, { where: 'stderr', text: stderr });
    return { code, stdout, stderr };
  }

  /** An example with the addresses of this test, beside the others. */
  async function example(name: string, addresses: Readonly<Record<string, string>> = {}): Promise<string> {
    const folder = await tempDir();
    for (const file of new Set([name, 'connector-password.yaml'])) {
      let text = await readFile(new URL(file, EXAMPLES), 'utf8');
      const all = { ...addresses, 'https://example.service-now.com': serviceNow.url };
      for (const [from, to] of Object.entries(all)) text = text.replaceAll(from, to);
      await writeFile(join(folder, file), text);
    }
    return join(folder, name);
  }

  const parsed = (stdout: string): unknown => JSON.parse(stdout);

  describe('validate', () => {
    it('ends with 0 and a readable report for a connector that works', async () => {
      const { code, stdout, stderr } = await run(['validate', await example('connector-password.yaml')]);
      expect({ code, stderr }, stdout).to.deep.equal({ code: 0, stderr: '' });
      expect(stdout)
        .to.match(/^✓ Secrets resolve/m)
        .and.match(/^SUCCESS: The connector works/m);
    });

    it('ends with 1 and the remedy for a wrong password, which nothing repeats', async () => {
      const secrets = { SNOW_PASSWORD: 'canary-of-a-wrong-password' };
      const { code, stdout, stderr } = await run(['validate', await example('connector-password.yaml')], {
        secrets,
      });
      expect(code).to.equal(1);
      expect(stdout)
        .to.match(/^✗ Table API answers/m)
        .and.match(/^FAILURE: /m)
        .and.contain('→ ');
      expect(stdout + stderr).to.not.contain(secrets.SNOW_PASSWORD);
    });

    it('answers --json with exactly what the task answers', async () => {
      const { code, stdout } = await run(['validate', await example('connector-password.yaml'), '--json']);
      expect(code).to.equal(0);
      const report = readReport(parsed(stdout));
      expect(report.status).to.equal('SUCCESS');
      expect(report.delegate).to.include({ id: 'local' });
    });

    it('takes the connector from standard input, as JSON too', async () => {
      const spec = { username: 'svc_deploy', passwordRef: 'env:SNOW_PASSWORD' };
      const auth = { type: 'UsernamePassword', spec };
      const connector = {
        name: 'By standard input',
        identifier: 'stdin',
        type: 'ServiceNow',
        spec: { serviceNowUrl: serviceNow.url, auth },
      };
      const { code, stdout } = await run(['validate', '-'], { input: JSON.stringify(connector) });
      expect(code, stdout).to.equal(0);
    });

    it('ends with 2, before anything is asked of anybody, for a field that is wrong', async () => {
      const path = join(await tempDir(), 'c.yaml');
      await writeFile(path, 'name: x\nidentifier: 1x\ntype: ServiceNow\nspec: {}\n');
      const { code, stdout, stderr } = await run(['validate', path]);
      expect({ code, stdout }).to.deep.equal({ code: 2, stdout: '' });
      expect(stderr)
        .to.contain('connector.identifier: must be letters')
        .and.contain('connector.spec.serviceNowUrl');
      const asJson = await run(['validate', path, '--json']);
      expect(asJson.code).to.equal(2);
      expect(parsed(asJson.stdout)).to.have.nested.property('error.code', 'invalid-input');
      expect(serviceNow.journal()).to.deep.equal([]);
    });

    it('ends with 2 where the operator does not allow the address', async () => {
      const env = { DELEGATE_ALLOW_LOOPBACK: 'false' };
      const { code, stderr } = await run(['validate', await example('connector-password.yaml')], { env });
      expect(code).to.equal(2);
      expect(stderr).to.contain('DELEGATE_ALLOW_LOOPBACK');
    });

    it('ends with 2 and every mistake of the command line, as JSON where that is wanted', async () => {
      const { code, stdout } = await run(['validate', '--json', '--timeout=0', '--colour']);
      expect(code).to.equal(2);
      expect(parsed(stdout)).to.have.nested.property('error.code', 'configuration-invalid');
      expect(stdout).to.contain('--timeout: must be').and.contain('--colour: there is no such flag');
    });

    it('ends with 1 and the step that hung if ServiceNow does not answer in time', async () => {
      serviceNow.faults.add({ fault: 'stall-headers' });
      const { code, stdout } = await run([
        'validate',
        await example('connector-password.yaml'),
        '--timeout=2',
      ]);
      expect(code, stdout).to.equal(1);
      expect(stdout)
        .to.match(/^✗ Table API answers/m)
        .and.match(/^FAILURE: Timeout: /m);
    });

    for (const [signal, code] of [
      ['SIGINT', 130],
      ['SIGTERM', 143],
    ] as const) {
      it(`ends at once with ${code} on ${signal}, in the middle of an answer that does not come`, async () => {
        serviceNow.faults.add({ fault: 'stall-headers' });
        const ended = await run(['validate', await example('connector-password.yaml')], {
          async meanwhile(kill) {
            await until('ServiceNow was asked', () => serviceNow.journal().length > 0, 20_000);
            kill(signal);
          },
        });
        expect(ended.code).to.equal(code);
        expect(ended.stdout).to.equal('');
        expect(ended.stderr).to.contain(`Stopping (${signal})`);
      });
    }

    it('says what it is doing, on standard error, where that is wanted', async () => {
      const { stderr } = await run(['validate', await example('connector-password.yaml'), '--verbose']);
      expect(stderr).to.match(/^… Secrets resolve$/m);
    });

    it('answers all the same when nobody reads any longer what it is doing', async () => {
      const path = await example('connector-password.yaml');
      const { code, stdout } = await run(['validate', path, '--verbose'], { isDeaf: true });
      expect(code, stdout).to.equal(0);
      expect(stdout).to.contain('SUCCESS');
    });

    it('explains itself', async () => {
      const { code, stdout } = await run(['validate', '--help']);
      expect(code).to.equal(0);
      expect(stdout)
        .to.match(/^servicenow-delegate validate FILE/)
        .and.contain('Exit codes\n  0   it works\n');
    });

    it('works with AD FS', async () => {
      await using adfs = await startFakeAdfs();
      const own = await createDevelopmentCertificate({ commonName: 'delegate' });
      adfs.registerClient({
        clientId: ADFS_CLIENT.clientId,
        certificatePem: own.certificatePem,
        permissions: [ADFS_CLIENT.resource],
        tokenClaims: { upn: 'svc_deploy' },
      });
      serviceNow.issuers.trust({
        issuer: adfs.issuer,
        jwks: `${adfs.url}/adfs/discovery/keys`,
        audience: ADFS_CLIENT.resource,
        userClaim: 'upn',
        userField: 'user_name',
      });
      const secretsDir = await tempDir();
      for (const [file, pem] of [
        [CERTIFICATE_FILE, own.certificatePem],
        [PRIVATE_KEY_FILE, own.pkcs8Pem],
      ] as const) {
        await mkdir(dirname(join(secretsDir, file)), { recursive: true });
        await writeFile(join(secretsDir, file), pem);
      }
      const path = await example('connector-adfs.yaml', { 'https://adfs.example.com': adfs.url });
      const { code, stdout } = await run(['validate', path, '--secrets-dir', secretsDir]);
      expect(code, stdout).to.equal(0);
      expect(stdout).to.match(/^✓ Key and certificate fit/m);
    });
  });

  describe('a refresh token', () => {
    it('is used where its successor can be kept, time after time', async () => {
      await using provider = await startOidcProvider({ rotation: true });
      const path = await example('connector-refresh-token.yaml', {
        'https://example.service-now.com/oauth_token.do': provider.tokenEndpoint.href,
      });
      const secrets = {
        OIDC_CLIENT_ID: provider.clientId,
        OIDC_CLIENT_SECRET: provider.clientSecret,
        OIDC_REFRESH_TOKEN: await provider.issueRefreshToken(),
      };
      const env = {
        DELEGATE_STATE_DIR: join(await tempDir(), 'state'),
        DELEGATE_STATE_KEY: randomBytes(32).toString('base64'),
      };
      for (let time = 1; time <= 3; time += 1) {
        const { stdout } = await run(['validate', path, '--json'], { secrets, env });
        const { checks, warnings } = tokenReport.parse(parsed(stdout));
        // The token itself: that this instance does not know its issuer is another matter.
        expect(checks.find(({ id }) => id === 'token')?.status, `time ${time}: ${stdout}`).to.not.equal(
          'failed',
        );
        expect(warnings.map(({ code }) => code)).to.include('token.stored-refresh-token-outdated');
      }
    });

    it('is not sent while a delegate runs on the state folder', async () => {
      const stateDir = await tempDir();
      await using _delegate = await lockState(stateDir, {
        clock: systemClock,
        log: pino({ enabled: false }),
      });
      const { code, stdout } = await run(['validate', await example('connector-refresh-token.yaml')], {
        env: { DELEGATE_STATE_DIR: stateDir },
      });
      expect(code).to.equal(3);
      expect(stdout)
        .to.contain('A delegate is running on the state folder')
        .and.contain('through its manager');
      expect(serviceNow.journal().filter(({ path }) => path.startsWith('/oauth_token.do'))).to.deep.equal([]);
    });

    it('is not sent where its successor would be lost', async () => {
      const { code, stdout } = await run(['validate', await example('connector-refresh-token.yaml')]);
      expect(code).to.equal(3);
      expect(stdout).to.contain('refresh-token-not-keepable').and.contain('DELEGATE_STATE_KEY');
      expect(serviceNow.journal().filter(({ path }) => path.startsWith('/oauth_token.do'))).to.deep.equal([]);
    });
  });

  describe('check', () => {
    for (const [decision, code, number] of [
      ['approved', 0, SEED.changes.implement],
      ['pending', 10, SEED.changes.scheduled],
      ['rejected', 11, SEED.changes.canceled],
    ] as const) {
      it(`ends with ${code} for a ticket that is ${decision}`, async () => {
        const path = await example('approval.yaml');
        const ended = await run(['check', path, `--ticket=${number}`]);
        expect({ code: ended.code, stderr: ended.stderr }, ended.stdout).to.deep.equal({ code, stderr: '' });
        expect(ended.stdout)
          .to.contain(`change_request ${number}`)
          .and.match(/^[✓✗] state /m);
        const asJson = await run(['check', path, `--ticket=${number}`, '--json']);
        expect(asJson.code).to.equal(code);
        expect(parsed(asJson.stdout))
          .to.include({ decision })
          .and.have.nested.property('ticket.number', number);
      });
    }

    it('ends with 1 for what waiting does not mend, even while it waits', async () => {
      const path = await example('approval.yaml');
      const ended = await run(['check', path, '--ticket=CHG9999999', '--wait=600', '--json']);
      expect(ended.code).to.equal(1);
      expect(parsed(ended.stdout)).to.have.nested.property('error.code', 'servicenow.ticket-not-found');
    });

    it('ends with 3 for what may pass by itself', async () => {
      serviceNow.faults.add({ fault: 'stall-headers' });
      const { code, stdout } = await run(['check', await example('approval.yaml'), '--timeout=2']);
      expect(code, stdout).to.equal(3);
      expect(stdout).to.contain('There is no decision').and.contain('may succeed later');
    });

    it('ends with 2 for a criterion that is wrong', async () => {
      const path = await example('approval.yaml', { equals: 'equalls' });
      const { code, stderr } = await run(['check', path]);
      expect(code).to.equal(2);
      expect(stderr)
        .to.contain('approvalCriteria.spec.conditions.0.operator')
        .and.contain('did you mean "equals"?');
    });

    it('ends with 130 on Ctrl+C while it waits', async () => {
      const path = await example('approval.yaml');
      const args = ['check', path, `--ticket=${SEED.changes.scheduled}`, '--wait=600', '--verbose'];
      const { code, stderr } = await run(args, {
        async meanwhile(kill) {
          await until('it has looked', () => serviceNow.journal().length > 0, 20_000);
          kill('SIGINT');
        },
      });
      expect(code, stderr).to.equal(130);
    });

    it('shows no secret that a ticket mirrors back', async () => {
      serviceNow.tickets.patch('change_request', SEED.changes.scheduled, {
        short_description: `the password is ${PASSWORDS.svc_deploy}`,
      });
      const path = await example('approval.yaml', { 'key: state': 'key: short_description' });
      const ended = await run(['check', path, `--ticket=${SEED.changes.scheduled}`]);
      expect(ended.code).to.equal(10);
      expect(ended.stdout).to.contain('the password is [secret]');
    });
  });
});
