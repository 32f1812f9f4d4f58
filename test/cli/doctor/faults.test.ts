import { execFile } from 'node:child_process';
import { chmod, chown, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { exitCodeOf } from '../../../src/cli/doctor/run-checks.ts';
import type { Status } from '../../../src/cli/doctor/finding.ts';
import { lockState } from '../../../src/delegate/state/state-lock.ts';
import { DEV_USER } from '../../../src/dev/connectors.ts';
import {
  PASSWORDS,
  startFakeServiceNow,
  type FakeServiceNow,
} from '../../../src/dev/fake-servicenow/index.ts';
import { systemClock } from '../../../src/kit/time.ts';
import { startManager, type Manager } from '../../../src/manager/manager.ts';
import { anHourAgo, Authority } from '../../support/authority.ts';
import { ForwardProxy } from '../../support/forward-proxy.ts';
import { listenOnLoopback } from '../../support/listen.ts';
import { leavesNothingOpen } from '../../support/open-handles.ts';
import { ScriptedManager } from '../../support/scripted-manager.ts';
import { tempDirs } from '../../support/temp-dir.ts';
import { TlsFront } from '../../support/tls-front.ts';
import { Listener } from '../../http/support.ts';
import { enrolInto, examined, silent, type Examined } from './examined.ts';

const PROXY_PASSWORD = 'delegate:hunter2-proxy';
const HOUR_MS = 3_600_000;

/** Each fault is a real one: a server, a file or a certificate that is wrong in just this way. */
describe('doctor, with a fault', function () {
  this.timeout(20_000);
  const directory = tempDirs();
  let company: Authority;
  let manager: Manager;
  let folder: string;
  let stateDir: string;

  before(async () => {
    company = await Authority.create('Company Root CA');
  });

  beforeEach(async () => {
    folder = await directory();
    stateDir = join(folder, 'state');
    manager = await startManager();
  });

  afterEach(async () => {
    await manager.close();
  });
  leavesNothingOpen();

  function settings(more: Readonly<Record<string, string>> = {}): Record<string, string> {
    return {
      DELEGATE_MANAGER_URL: manager.url,
      DELEGATE_STATE_DIR: stateDir,
      DELEGATE_HTTP_PORT: '0',
      DELEGATE_ENROLMENT_TOKEN: 'token-that-nobody-uses',
      DELEGATE_ALLOW_LOOPBACK: 'true',
      ...more,
    };
  }

  async function file(name: string, text: string): Promise<string> {
    await writeFile(join(folder, name), text);
    return join(folder, name);
  }

  function expectCheck(report: Examined, id: string, status: Status, code?: string): string {
    const result = report.of(id);
    expect(result, JSON.stringify(report.results, null, 1)).to.deep.include({
      status,
      ...(code === undefined ? {} : { code }),
    });
    expect(result.summary).to.match(/\S[.:)!]$|\S$/);
    return `${result.summary} ${result.action ?? ''}`;
  }

  /** What a person is told to do about it; the summary does not count. */
  function expectAction(report: Examined, id: string, wanted: RegExp): void {
    expect(report.of(id).action, id).to.match(wanted);
  }

  it('and without one, nothing fails, and nothing is written', async () => {
    const report = await examined(settings());
    expect(report.results.filter(({ status }) => status === 'FAIL')).to.deep.equal([]);
    expectCheck(report, 'manager', 'PASS');
    expectCheck(report, 'clock', 'PASS');
    expect(expectCheck(report, 'enrolment', 'PASS')).to.match(/Not enrolled yet.*was not used/);
    expect(exitCodeOf(report.results)).to.equal(0);
    expect(await readdir(folder)).to.deep.equal([]);
  });

  it('1: a manager whose name nobody knows is a matter of dns, and the rest waits for it', async () => {
    const report = await examined(settings({ DELEGATE_MANAGER_URL: 'https://manager.invalid' }));
    expectCheck(report, 'dns', 'FAIL', 'network.dns');
    expectAction(report, 'dns', /^Check the host name in DELEGATE_MANAGER_URL/);
    for (const id of ['ip', 'tls', 'manager', 'clock']) expectCheck(report, id, 'SKIP');
    expect(exitCodeOf(report.results)).to.equal(1);
  });

  it('2: a port where nobody listens is a matter of ip', async () => {
    const report = await examined(settings({ DELEGATE_MANAGER_URL: 'http://127.0.0.1:1' }));
    expectCheck(report, 'ip', 'FAIL');
    expectAction(report, 'ip', /^Open the way from here to 127\.0\.0\.1:1 /);
    expect(report.of('ip').details?.[0]).to.match(/^IPv4 127\.0\.0\.1: ECONNREFUSED after \d+ ms$/);
    expectCheck(report, 'manager', 'SKIP');
  });

  describe('of TLS', () => {
    async function behind(
      shows: { names?: readonly string[]; notAfter?: Date },
      more: Record<string, string> = {},
    ) {
      await using front = await TlsFront.before(Number(new URL(manager.url).port), {
        shows: company.issue(shows),
      });
      return await examined(settings({ DELEGATE_MANAGER_URL: `https://localhost:${front.port}`, ...more }));
    }

    it('3: an authority that is not known here is named, with where it belongs', async () => {
      const report = await behind({ names: ['localhost'] });
      expectCheck(report, 'tls', 'FAIL', 'tls.untrusted');
      expectAction(report, 'tls', /"Company Root CA".*DELEGATE_CA_FILE/);
      expect(report.of('tls').details?.[0]).to.match(/for localhost, by "Company Root CA", from \S+ to \S+$/);
    });

    it('4: a certificate that has ended', async () => {
      const report = await behind(
        { names: ['localhost'], notAfter: anHourAgo() },
        { DELEGATE_CA_FILE: await file('ca.pem', company.cert) },
      );
      expectCheck(report, 'tls', 'FAIL', 'tls.certificate-expired');
      expectAction(report, 'tls', /Renew/);
    });

    it('5: a certificate for another name says for which', async () => {
      const report = await behind(
        { names: ['manager.example'] },
        { DELEGATE_CA_FILE: await file('ca.pem', company.cert) },
      );
      expectCheck(report, 'tls', 'FAIL', 'tls.host-mismatch');
      expectAction(report, 'tls', /^Call the manager by a name of its certificate .*: manager\.example\.$/);
    });

    it('6: one who opens TLS on the way with an authority that the settings add is warned of', async () => {
      const report = await behind(
        { names: ['localhost'] },
        { DELEGATE_CA_FILE: await file('ca.pem', company.cert) },
      );
      expect(report.of('tls').summary).to.match(/"Company Root CA", which is no public authority/);
      expect(report.of('tls').details?.[0]).to.match(/ends in 0 days/);
      expectCheck(report, 'tls', 'WARN');
      expectAction(report, 'tls', /ask the owners of the network.*renewed/);
      expectCheck(report, 'manager', 'PASS');
    });
  });

  it('7: a proxy that wants a password says which file it is to be in', async () => {
    await using proxy = await ForwardProxy.start({ wants: PROXY_PASSWORD });
    await using front = await TlsFront.before(Number(new URL(manager.url).port), {
      shows: company.issue({ names: ['manager.test'] }),
    });
    const env = settings({
      DELEGATE_MANAGER_URL: `https://manager.test:${front.port}`,
      DELEGATE_CA_FILE: await file('ca.pem', company.cert),
      HTTPS_PROXY: proxy.url().href,
    });
    const closed = await examined(env);
    expectCheck(closed, 'proxy', 'FAIL', 'network.proxy-credentials-missing');
    expectAction(closed, 'proxy', /DELEGATE_PROXY_CREDENTIALS_FILE/);
    expect(closed.of('proxy').details?.[0]).to.match(
      /by http:\/\/127.*because DELEGATE_PROXY_URL or HTTPS_PROXY/,
    );
    expectCheck(closed, 'tls', 'SKIP');
    const open = await examined({
      ...env,
      DELEGATE_PROXY_CREDENTIALS_FILE: await file('proxy', PROXY_PASSWORD),
    });
    expectCheck(open, 'proxy', 'PASS');
    expectCheck(open, 'manager', 'PASS');
    expect(JSON.stringify(open.results)).to.not.contain('hunter2');
  });

  it('a way that cuts every connection at the first word is a matter of manager', async () => {
    await using cutter = await Listener.raw('', (socket) => socket.resetAndDestroy());
    const report = await examined(settings({ DELEGATE_MANAGER_URL: cutter.url('', 'https').origin }));
    expectCheck(report, 'ip', 'PASS');
    expectCheck(report, 'manager', 'FAIL', 'network.reset');
    expect(expectCheck(report, 'tls', 'SKIP')).to.contain('"manager"');
  });

  it('says by which way the manager is called, and why', async () => {
    const proxied = { HTTPS_PROXY: 'http://127.0.0.1:1', DELEGATE_MANAGER_URL: 'https://manager.invalid' };
    const excepted = await examined(settings({ ...proxied, NO_PROXY: '.invalid' }));
    expect(expectCheck(excepted, 'proxy', 'PASS')).to.contain('NO_PROXY makes an exception');
    const misread = await examined(settings({ ...proxied, NO_PROXY: '.invalid,10.0.0.0/99' }));
    expect(expectCheck(misread, 'proxy', 'WARN')).to.contain('10.0.0.0/99');
    const dead = await examined(settings(proxied));
    expectCheck(dead, 'proxy', 'FAIL', 'network.proxy-unreachable');
    expect(expectCheck(dead, 'ip', 'FAIL')).to.contain('proxy 127.0.0.1:1');
    const nearby = await examined(settings({ HTTP_PROXY: 'http://127.0.0.1:1' }));
    expect(expectCheck(nearby, 'proxy', 'PASS')).to.contain('always called directly');
  });

  it('a proxy that takes the connection and says nothing is named, and the rest waits for it', async () => {
    await using mute = await Listener.raw('');
    const env = { DELEGATE_MANAGER_URL: 'https://manager.test', HTTPS_PROXY: mute.url().origin };
    const report = await examined(settings(env), { withinMs: 2_000 });
    expectCheck(report, 'ip', 'PASS');
    expectCheck(report, 'proxy', 'FAIL', 'network.proxy-timeout');
    expectAction(report, 'proxy', /proxy/);
    for (const id of ['tls', 'manager', 'clock']) expectCheck(report, id, 'SKIP');
  });

  it('8: a clock that is an hour off says by how much, and in which direction', async () => {
    const date = new Date(Date.now() - HOUR_MS).toUTCString();
    await using slow = await ScriptedManager.start({ upgrade: { status: 401, headers: { date } } });
    const report = await examined(settings({ DELEGATE_MANAGER_URL: slow.url }));
    expect(expectCheck(report, 'clock', 'FAIL')).to.match(/3[56]\d\d s ahead of the manager's/);
    expectAction(report, 'clock', /set right \(NTP\)/);
  });

  it('9: a page of a load balancer in the place of an upgrade says where to look', async () => {
    const upgrade = {
      status: 502,
      headers: { 'content-type': 'text/html' },
      body: '<html>Bad Gateway</html>',
    };
    await using balancer = await ScriptedManager.start({ upgrade });
    const report = await examined(settings({ DELEGATE_MANAGER_URL: balancer.url }));
    expectCheck(report, 'manager', 'FAIL', 'upgrade-refused');
    expectAction(report, 'manager', /^HTTP 502 .*load balancer/);
    expectCheck(report, 'clock', 'SKIP');
  });

  it('10: who opens a WebSocket to anybody is no manager', async () => {
    await using anybody = await ScriptedManager.start();
    const report = await examined(settings({ DELEGATE_MANAGER_URL: anybody.url }));
    expect(expectCheck(report, 'manager', 'FAIL')).to.contain('without a key');
    expectAction(report, 'manager', /^Check DELEGATE_MANAGER_URL/);
    expect(anybody.connectTokens).to.deep.equal(['doctor']);
  });

  it('11: a secret that is not there has its own line', async () => {
    const config = await file(
      'delegate.yaml',
      'secretNames: { snow.password: "env:GONE", snow.user: "env:USER_NAME" }',
    );
    const report = await examined(
      settings({ DELEGATE_CONFIG: config, DELEGATE_SECRET_USER_NAME: 'svc_deploy_user' }),
    );
    expectCheck(report, 'secrets.snow.password', 'FAIL', 'secret-not-found');
    expectAction(report, 'secrets.snow.password', /DELEGATE_SECRET_GONE/);
    expectCheck(report, 'secrets.snow.user', 'PASS');
  });

  describe('of a connector', () => {
    let serviceNow: FakeServiceNow;
    beforeEach(async () => {
      serviceNow = await startFakeServiceNow();
    });
    afterEach(async () => {
      await serviceNow.close();
    });

    const connector = (auth: object): string =>
      JSON.stringify({
        name: 'A',
        identifier: 'a',
        type: 'ServiceNow',
        spec: { serviceNowUrl: serviceNow.url, auth },
      });

    it('12: a wrong password is told with what to do, and the right one passes', async () => {
      const path = await file(
        'connector.json',
        connector({ type: 'UsernamePassword', spec: { username: DEV_USER, passwordRef: 'env:PW' } }),
      );
      const wrong = await examined(settings({ DELEGATE_SECRET_PW: 'not-the-password' }), { args: [path] });
      expectCheck(wrong, `connector.${path}`, 'FAIL', 'servicenow.not-authenticated');
      expectAction(wrong, `connector.${path}`, /password/);
      expectCheck(wrong, 'secrets.env:PW', 'PASS');
      expect(wrong.of('proxy').details?.join()).to.contain(serviceNow.url);
      const right = await examined(settings({ DELEGATE_SECRET_PW: PASSWORDS[DEV_USER] }), { args: [path] });
      expectCheck(right, `connector.${path}`, 'PASS');
      expect(await readdir(folder)).to.deep.equal(['connector.json']);
    });

    it('a refresh token is not used: its successor could not be kept', async () => {
      const path = await file(
        'connector.json',
        connector({
          type: 'RefreshTokenGrantType',
          spec: {
            clientIdRef: 'env:ID',
            refreshTokenRef: 'env:RT',
            tokenUrl: `${serviceNow.url}/oauth_token.do`,
          },
        }),
      );
      const report = await examined(
        settings({ DELEGATE_SECRET_ID: 'a-client-id', DELEGATE_SECRET_RT: 'a-refresh-token' }),
        { args: [path] },
      );
      expect(expectCheck(report, `connector.${path}`, 'SKIP')).to.contain('servicenow-delegate validate');
    });

    it('a file that is none fails, and says so', async () => {
      const report = await examined(settings(), { args: [join(folder, 'gone.yaml')] });
      expectCheck(report, `connector.${join(folder, 'gone.yaml')}`, 'FAIL', 'input-file-unusable');
    });
  });

  it('13: a state folder of another user', async function () {
    if (process.getuid?.() !== 0) this.skip(); // 2026-11-24: only root can give a file away.
    await enrolInto(stateDir, manager);
    await chown(join(stateDir, 'identity.json'), 1234, 1234);
    const report = await examined(settings());
    expectCheck(report, 'state', 'FAIL');
    expectAction(report, 'state', /user id 1234/);
  });

  it('a state folder that is a file, and one that others may read', async () => {
    const notFolder = await examined(settings({ DELEGATE_STATE_DIR: await file('state-file', '') }));
    expectCheck(notFolder, 'state', 'FAIL');
    await mkdir(stateDir);
    await chmod(stateDir, 0o755);
    const open = await examined(settings());
    expect(expectCheck(open, 'state', 'WARN')).to.contain('chmod 0700');
  });

  it("a volume that is this user's by its group, as Kubernetes gives it, is in order; one that is open to all is not", async function () {
    if (process.getuid?.() !== 0) this.skip(); // 2026-11-24: only root can give a folder away.
    await mkdir(stateDir);
    await chown(stateDir, 1234, process.getgid?.() ?? 0);
    await chmod(stateDir, 0o2770);
    expectCheck(await examined(settings()), 'state', 'PASS');
    await chmod(stateDir, 0o2777);
    expectCheck(await examined(settings()), 'state', 'WARN');
  });

  it('14: a disk that is full', async function () {
    await mkdir(stateDir);
    try {
      await promisify(execFile)('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', stateDir]);
    } catch {
      this.skip(); // 2026-11-24: a file system of one's own takes root and the right to mount.
    }
    try {
      const report = await examined(settings());
      expect(expectCheck(report, 'disk', 'FAIL')).to.match(/Only [0-4] MiB /);
      expectAction(report, 'disk', /^Make room/);
    } finally {
      await promisify(execFile)('umount', [stateDir]);
    }
  });

  it('15: a policy with mistakes is told line by line, and nothing is called by it', async () => {
    const policyFile = await file('policy.yaml', 'version: 1\ninstances: nobody\nfoo: 1\n');
    const report = await examined(settings({ DELEGATE_POLICY_FILE: policyFile }));
    expectCheck(report, 'policy', 'FAIL');
    expectAction(report, 'policy', /^Correct each line/);
    expect(report.of('policy').details).to.have.length.above(1);
    expectCheck(report, 'manager', 'SKIP');
    expect(exitCodeOf(report.results)).to.equal(2);
  });

  it('16: settings with mistakes are told all at once', async () => {
    const report = await examined({ DELEGATE_MANAGER_URL: 'nowhere', DELEGATE_CAPACITY: 'many' });
    expectCheck(report, 'config', 'FAIL', 'configuration-invalid');
    expectAction(report, 'config', /config --help/);
    expect(report.of('config').details).to.have.length(2);
    expect(exitCodeOf(report.results)).to.equal(2);
    const odd = await examined(settings({ DELEGATE_CAPASITY: '5' }));
    expectCheck(odd, 'config', 'WARN');
    expect(odd.of('config').details?.[0]).to.contain('DELEGATE_CAPASITY');
  });

  it('17: a delegate that was revoked learns it, and one that is known passes; nothing of either changes', async () => {
    const delegateId = await enrolInto(stateDir, manager);
    const stamps = async () =>
      await Promise.all(
        (await readdir(stateDir)).map(async (name) => [name, (await stat(join(stateDir, name))).mtimeMs]),
      );
    const before = await stamps();
    const known = await examined(settings());
    expect(expectCheck(known, 'enrolment', 'PASS')).to.match(/Enrolled as .* the manager accepts its key/);
    expect(manager.sessions).to.deep.equal([]);
    manager.revoke(delegateId);
    const revoked = await examined(settings());
    expectCheck(revoked, 'enrolment', 'FAIL', 'revoked');
    expectAction(revoked, 'enrolment', /^Ask the owner of the manager/);
    expect(await stamps()).to.deep.equal(before);
  });

  it('18: a port that another program has', async () => {
    await using taken = await Listener.http((_, response) => response.end('hello'));
    const report = await examined(settings({ DELEGATE_HTTP_PORT: String(taken.port) }));
    expectCheck(report, 'port', 'FAIL');
    expectAction(report, 'port', /^Set DELEGATE_HTTP_PORT/);
  });

  it('19: no token and no enrolment, with the file that is missing', async () => {
    const { DELEGATE_ENROLMENT_TOKEN: _, ...bare } = settings();
    const none = await examined(bare);
    expectCheck(none, 'enrolment', 'FAIL', 'enrolment-token-missing');
    expectAction(none, 'enrolment', /DELEGATE_ENROLMENT_TOKEN_FILE/);
    const gone = await examined({ ...bare, DELEGATE_ENROLMENT_TOKEN_FILE: join(folder, 'token') });
    expect(expectCheck(gone, 'enrolment', 'FAIL')).to.contain(join(folder, 'token'));
  });

  it('20: what never answers is said so when its time is over, and holds up nobody', async () => {
    await using deaf = await ScriptedManager.start({ upgrade: 'never' });
    const report = await examined(settings({ DELEGATE_MANAGER_URL: deaf.url }), { withinMs: 2_000 });
    expect(expectCheck(report, 'manager', 'FAIL')).to.contain('no answer within 2 s');
    expectAction(report, 'manager', /--timeout/);
    expectCheck(report, 'ip', 'PASS');
  });

  it('21: a journal that is damaged, or of another key', async () => {
    await enrolInto(stateDir, manager);
    await writeFile(join(stateDir, 'journal-0000000001.log'), 'x'.repeat(200));
    const report = await examined(settings());
    expect(expectCheck(report, 'journal', 'FAIL')).to.match(/cannot be read/);
    expectAction(report, 'journal', /state key|disk/);
  });

  it('beside a delegate that runs, its lock is seen and left alone, and its key is not used', async () => {
    await enrolInto(stateDir, manager);
    await using lock = await lockState(stateDir, { clock: systemClock, log: silent });
    const text = await readFile(join(stateDir, 'delegate.lock'), 'utf8');
    const report = await examined(settings());
    expect(expectCheck(report, 'running', 'PASS')).to.contain(`process ${process.pid}`);
    expectCheck(report, 'enrolment', 'PASS');
    expect(lock.held).to.equal(true);
    expect(await readFile(join(stateDir, 'delegate.lock'), 'utf8')).to.equal(text);
  });

  it('a delegate that runs and is not ready says why', async () => {
    await enrolInto(stateDir, manager);
    await using _lock = await lockState(stateDir, { clock: systemClock, log: silent });
    const health = createServer((_, response) => {
      response.setHeader('connection', 'close');
      response.end(JSON.stringify({ live: true, ready: false, phase: 'connecting', reason: 'no manager' }));
    });
    const port = await listenOnLoopback(health);
    try {
      const report = await examined(settings({ DELEGATE_HTTP_PORT: String(port) }));
      expect(expectCheck(report, 'enrolment', 'WARN')).to.contain('connecting, no manager');
      expectCheck(report, 'port', 'PASS');
    } finally {
      health.closeAllConnections();
      health.close();
    }
  });
});
