import { expect } from 'chai';
import { startFakeAdfs, type DevelopmentCertificate } from '../../../../src/dev/fake-identity/index.ts';
import type { FaultSpec } from '../../../../src/dev/fake-servicenow/index.ts';
import { ManualClock } from '../../../support/manual-clock.ts';
import {
  connectorTo,
  joinAdfs,
  listen,
  openBench,
  steps,
  tableCalls,
  taskContext,
  type Bench,
} from '../../../support/servicenow.ts';
import { leavesNothingOpen } from '../../../support/open-handles.ts';
import { expectFailure } from './report.ts';
import { certificatesFor } from '../../../support/certificates.ts';

describe('servicenow.connector.validate', () => {
  let own: DevelopmentCertificate;
  let signing: DevelopmentCertificate;
  let bench: Bench;

  before(async () => {
    [own, signing] = await certificatesFor('delegate', 'signing');
  });
  beforeEach(async () => {
    bench = await openBench();
  });
  afterEach(() => bench[Symbol.asyncDispose]());

  const set = (name: string, value: string): void => void bench.surroundings.secrets.set(name, value);

  leavesNothingOpen();

  describe('of a connection that works', () => {
    it('user name and password: every check in its order, and no token among them', async () => {
      const report = await bench.validate(bench.asUser('svc_deploy'));
      expect(steps(report)).to.deep.equal([
        'secrets passed',
        'network passed',
        'api passed',
        'access passed',
        'clock passed',
      ]);
      expect(report).to.deep.include({
        status: 'SUCCESS',
        errors: [],
        warnings: [],
        delegate: { id: 'delegate-1', name: 'test delegate', version: '1.2.3' },
      });
      expect(report).not.to.have.property('errorSummary');
    });

    it('AD FS: key material and token as well', async () => {
      await using adfs = await startFakeAdfs({ signing });
      const report = await bench.validate(joinAdfs(bench, adfs, own));
      expect(steps(report)).to.deep.equal([
        'secrets passed',
        'key-material passed',
        'network passed',
        'token passed',
        'api passed',
        'access passed',
        'clock passed',
      ]);
      expect(report.status).to.equal('SUCCESS');
    });

    it('refresh token: the token as well', async () => {
      const report = await bench.validate(bench.byRefreshToken());
      expect(steps(report)).to.deep.equal([
        'secrets passed',
        'network passed',
        'token passed',
        'api passed',
        'access passed',
        'clock passed',
      ]);
      expect(report.status).to.equal('SUCCESS');
    });

    it('asks what the connection check asks: one task, by GET, and nothing is written', async () => {
      await bench.validate(bench.asUser('svc_deploy'));
      expect(bench.instance.journal().map(({ method, target }) => `${method} ${target}`)).to.deep.equal([
        'GET /api/now/table/task?sysparm_limit=1',
      ]);
    });

    it('says when, on the wall clock', async () => {
      const clock = new ManualClock(Date.parse('2026-11-23T10:00:00Z'));
      const { testedAt } = await bench.validate(bench.asUser('svc_deploy'), {
        context: taskContext({ clock }),
      });
      expect(testedAt).to.equal('2026-11-23T10:00:00.000Z');
    });

    it('tells whoever waits what it is at', async () => {
      const context = taskContext();
      const { checks } = await bench.validate(bench.byRefreshToken(), { context });
      expect(context.progressed).to.deep.equal(checks.map(({ title }) => title));
    });
  });

  describe('says exactly what it was', () => {
    const causes: readonly (readonly [FaultSpec, code: string, summary: RegExp, category: string])[] = [
      [{ fault: 'hibernate-html' }, 'hibernating', /developer instance that is asleep/, 'not-servicenow'],
      [{ fault: 'hibernate-redirect' }, 'hibernating', /developer instance that is asleep/, 'not-servicenow'],
      [{ fault: 'sso-redirect' }, 'sign-on-page', /sign-on page/, 'not-servicenow'],
      [{ fault: 'login-html' }, 'sign-on-page', /sign-on page/, 'not-servicenow'],
      [{ fault: 'waking' }, 'html', /a web page instead of JSON/, 'not-servicenow'],
      [{ fault: 'wrong-content-type' }, 'not-json', /text\/plain instead of JSON/, 'not-servicenow'],
      [{ fault: 'gateway-502' }, 'unavailable', /not available \(HTTP 502\)/, 'unavailable'],
      [{ fault: 'gateway-503' }, 'unavailable', /not available \(HTTP 503\)/, 'unavailable'],
      [{ fault: 'maintenance' }, 'unavailable', /not available \(HTTP 503\)/, 'unavailable'],
      [{ fault: 'rate-limit' }, 'rate-limited', /rate limit rule/, 'throttled'],
      [{ fault: 'semaphore' }, 'busy', /API threads are busy/, 'throttled'],
      [{ fault: 'server-error' }, 'server-error', /failed while it handled/, 'unavailable'],
      [{ fault: 'forbidden-acl' }, 'forbidden', /may not read/, 'permission'],
      [{ fault: 'ok-with-error' }, 'transaction-cancelled', /cancelled the request halfway/, 'unavailable'],
      [{ fault: 'truncate' }, 'broken-answer', /not whole JSON/, 'bad-response'],
    ];
    for (const [spec, code, summary, category] of causes) {
      it(`${spec.fault}: a failed connection is a succeeded task, with servicenow.${code}`, async () => {
        bench.instance.faults.add(spec);
        const report = await bench.validate(bench.asUser('svc_deploy'));
        expect(expectFailure(report, `servicenow.${code}`)).to.match(summary);
        expect(report.errors[0]?.category).to.equal(category);
        expect(steps(report)).to.deep.equal([
          'secrets passed',
          'network passed',
          'api failed',
          'access skipped',
          'clock skipped',
        ]);
      });
    }

    it('wrong password: credentials, of the user by name', async () => {
      const auth = bench.asUser('svc_deploy');
      set('password-of-svc_deploy', 'not-the-password');
      const report = await bench.validate(auth);
      expect(expectFailure(report, 'servicenow.not-authenticated')).to.contain('user svc_deploy');
      expect(report.errors[0]?.category).to.equal('credentials');
    });

    it('the summary stays one line under 1,000 characters, however long the address', async () => {
      const report = await bench.validate(bench.asUser('svc_deploy'), {
        url: `http://127.0.0.1:9/${'long-path/'.repeat(150)}`,
      });
      expect(report.errors).to.have.length(1);
      expect(report.errorSummary).to.match(/^[^\r\n]{10,999}$/);
    });

    it('a second factor: as such', async () => {
      const report = await bench.validate(bench.asUser('svc_mfa'));
      expect(expectFailure(report, 'servicenow.mfa-required')).to.contain('second factor');
    });

    it('the address of something else that speaks JSON: not ServiceNow', async () => {
      await using other = await listen((_request, response) => {
        response.writeHead(200, { 'content-type': 'application/json' }).end('{"hello":"world"}');
      });
      const report = await bench.validate(bench.asUser('svc_deploy'), { url: other.url });
      expectFailure(report, 'servicenow.unexpected-shape');
      expect(report.errors[0]?.hint).to.contain('serviceNowUrl');
    });
  });

  describe('access', () => {
    it('a user who sees no tasks is warned of, with the roles that are usually missing', async () => {
      const report = await bench.validate(bench.asUser('svc_none'));
      expect(report.status).to.equal('SUCCESS');
      expect(steps(report)).to.include('access warned');
      expect(report.warnings.map(({ code }) => code)).to.deep.equal(['servicenow.no-visible-tasks']);
      expect(report.warnings[0]?.hint).to.match(/itil.*sn_change_read/);
    });

    it('a user who sees some is not, though the first task may be one that is hidden', async () => {
      // The instance cuts the page before it looks at the rights, and orders it as it likes.
      bench.instance.faults.add({ fault: 'row-hidden', times: 1 });
      const report = await bench.validate(bench.asUser('svc_read'));
      expect(steps(report)).to.include('access passed');
      expect(report.warnings).to.deep.equal([]);
      expect(tableCalls(bench.instance).map(({ query }) => query)).to.deep.equal([
        { sysparm_limit: '1' },
        { sysparm_fields: 'sys_id', sysparm_limit: '100' },
      ]);
    });
  });

  describe('clock', () => {
    for (const [ms, status, words] of [
      [20_000, 'passed', /^\d+ s apart$/],
      [600_000, 'warned', /^\d+ s apart$/],
      [-600_000, 'warned', /^\d+ s apart$/],
    ] as const) {
      it(`${ms / 1_000} s apart is ${status}`, async () => {
        bench.instance.faults.add({ fault: 'clock-skew', ms });
        const report = await bench.validate(bench.asUser('svc_deploy'));
        expect(report.status).to.equal('SUCCESS');
        const check = report.checks.find(({ id }) => id === 'clock');
        expect(check?.status).to.equal(status);
        expect(check?.detail).to.match(words);
        const side = ms > 0 ? 'behind' : 'ahead of';
        expect(report.warnings.map(({ message }) => message).join()).to.match(
          status === 'warned'
            ? new RegExp(`^The clock of this delegate is (59\\d|600) s ${side} ServiceNow's\\.$`)
            : /^$/,
        );
      });
    }

    it('an answer without a date says nothing about it', async () => {
      await using dateless = await listen((_request, response) => {
        response.sendDate = false;
        response.writeHead(200, { 'content-type': 'application/json' }).end('{"result":[{"number":"1"}]}');
      });
      const report = await bench.validate(bench.asUser('svc_deploy'), { url: dateless.url });
      expect(steps(report)).to.include('clock skipped');
      expect(report.status).to.equal('SUCCESS');
    });
  });

  describe('fails as a task only when the test could not be made', () => {
    it('cancelled before it began', async () => {
      const reason = new Error('cancelled');
      const work = bench.validate(bench.asUser('svc_deploy'), {
        context: taskContext({ signal: AbortSignal.abort(reason) }),
      });
      expect(await work.catch((thrown: unknown) => thrown)).to.equal(reason);
      expect(bench.instance.journal()).to.deep.equal([]);
    });

    it('stopped by its deadline in the middle of a check', async () => {
      const stop = new AbortController();
      const reason = new Error('deadline');
      bench.instance.faults.add({ fault: 'stall-headers' });
      const context = taskContext({ signal: stop.signal });
      const work = bench.validate(bench.asUser('svc_deploy'), {
        context: {
          ...context,
          // The request goes out right after this.
          progress: (message) =>
            void (message === 'Table API answers' && setImmediate(() => stop.abort(reason))),
        },
      });
      expect(await work.catch((thrown: unknown) => thrown)).to.equal(reason);
    });

    it('met by a defect of our own, which must not look like the customer’s', async () => {
      const defect = new TypeError('x is not a function');
      await using broken = await openBench({
        http: (real) => ({ send: real.send, probe: () => Promise.reject(defect) }),
      });
      const work = broken.validate(broken.asUser('svc_deploy'));
      expect(await work.catch((thrown: unknown) => thrown)).to.equal(defect);
    });

    it('given input that is none', () => {
      expect(() => bench.tasks.validate.prepare({})).to.throw(/connector: /);
      expect(() =>
        bench.tasks.validate.prepare({
          connector: connectorTo('http://example.com', bench.asUser('svc_deploy')),
        }),
      ).to.throw(/https/);
    });
  });
});
