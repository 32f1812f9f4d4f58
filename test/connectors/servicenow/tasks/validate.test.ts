import { expect } from 'chai';
import { startFakeAdfs, type DevelopmentCertificate } from '../../../../src/dev/fake-identity/index.ts';
import type { FaultName } from '../../../../src/dev/fake-servicenow/index.ts';
import { ManualClock } from '../../../support/manual-clock.ts';
import {
  connectorTo,
  joinAdfs,
  listen,
  openBench,
  readReport,
  steps,
  tableCalls,
  taskContext,
  tasksOf,
  type Bench,
  type Report,
} from '../../../support/servicenow.ts';
import { leavesNothingOpen } from '../../../support/open-handles.ts';
import { until } from '../../../support/until.ts';
import { checkOf, expectFailure } from './report.ts';
import { certificatesFor } from '../../../support/certificates.ts';

/** Of a task that meets a request which is not answered, in the time of a manual clock. */
const HANGS_FOR_MS = 15_000;

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

    it('asks what the connection check asks, and which tickets are visible; nothing is written', async () => {
      await bench.validate(bench.asUser('svc_deploy'));
      expect(bench.instance.journal().map(({ method, target }) => `${method} ${target}`)).to.deep.equal([
        'GET /api/now/table/task?sysparm_limit=1',
        'GET /api/now/table/change_request?sysparm_fields=sys_id&sysparm_limit=5',
        'GET /api/now/table/incident?sysparm_fields=sys_id&sysparm_limit=5',
        'GET /api/now/table/problem?sysparm_fields=sys_id&sysparm_limit=5',
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
    const causes: readonly (readonly [fault: FaultName, code: string, summary: RegExp, category: string])[] =
      [
        ['hibernate-html', 'hibernating', /^Hibernation: .* asleep; wake it at /, 'not-servicenow'],
        ['hibernate-redirect', 'hibernating', /^Hibernation: .* asleep; wake it at /, 'not-servicenow'],
        ['sso-redirect', 'sign-on-page', /^Sign-on page: .* sign-on page; /, 'not-servicenow'],
        ['login-html', 'sign-on-page', /^Sign-on page: .* sign-on page; /, 'not-servicenow'],
        ['wrong-content-type', 'not-json', /^URL: .* text\/plain.*; check serviceNowUrl/, 'not-servicenow'],
        ['gateway-502', 'unavailable', /^Unavailable: .*\(HTTP 502\); /, 'unavailable'],
        ['gateway-503', 'unavailable', /^Unavailable: .*\(HTTP 503\); /, 'unavailable'],
        ['maintenance', 'unavailable', /^Unavailable: .*\(HTTP 503\); /, 'unavailable'],
        ['rate-limit', 'rate-limited', /^Throttling: .* rate limit rule.*; raise the/, 'throttled'],
        ['semaphore', 'busy', /^Throttling: .* API threads are busy; /, 'throttled'],
        ['server-error', 'server-error', /^Unavailable: .* failed while it handled/, 'unavailable'],
        ['forbidden-acl', 'forbidden', /^Permission: .* may not read .*; give the user a role/, 'permission'],
        ['ok-with-error', 'transaction-cancelled', /^Unavailable: .* cancelled the request/, 'unavailable'],
        ['truncate', 'broken-answer', /^Broken answer: .* not whole JSON/, 'bad-response'],
      ];
    for (const [fault, code, summary, category] of causes) {
      it(`${fault}: a failed connection is a succeeded task, with servicenow.${code}`, async () => {
        bench.instance.faults.add({ fault });
        // Too short for a pause after which it would be asked again.
        const context = taskContext({ timeMs: 2_900 });
        const report = await bench.validate(bench.asUser('svc_deploy'), { context });
        expect(expectFailure(report, `servicenow.${code}`)).to.match(summary);
        expect(report.errors[0]?.category).to.equal(category);
        expect(steps(report)).to.deep.equal([
          'secrets passed',
          'network passed',
          'api failed',
          'access skipped',
          // Whatever an answer says, it has a date.
          'clock passed',
        ]);
      });
    }

    it('wrong password: credentials, of the user by name', async () => {
      const auth = bench.asUser('svc_deploy');
      set('password-of-svc_deploy', 'not-the-password');
      const report = await bench.validate(auth);
      expect(expectFailure(report, 'servicenow.not-authenticated')).to.match(
        /^Credentials: .*user svc_deploy; /,
      );
      expect(report.errors[0]?.category).to.equal('credentials');
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
      expect(expectFailure(report, 'servicenow.unexpected-shape')).to.match(/^URL: /);
      expect(report.errors[0]?.hint).to.contain('serviceNowUrl');
    });
  });

  describe('api', () => {
    const answering = (serverTiming: string): ReturnType<typeof listen> =>
      listen((_request, response) => {
        response
          .writeHead(200, { 'content-type': 'application/json', 'server-timing': serverTiming })
          .end('{"result":[{"number":"1"}]}');
      });

    it('a long wait for an API thread is told, and warned of: the instance is busy', async () => {
      await using busy = await answering('t;desc="28be46b92f0b", sem_wait;dur=2340, sesh_wait;dur=0');
      const report = await bench.validate(bench.asUser('svc_deploy'), { url: busy.url });
      expect(report.status).to.equal('SUCCESS');
      expect(checkOf(report, 'api')).to.include({
        status: 'warned',
        detail: 'HTTP 200, waited 2.3 s for a free API thread',
      });
      expect(report.warnings).to.have.length(1);
      expect(report.warnings[0]).to.deep.include({
        code: 'servicenow.request-queued',
        message: `At ${new URL(busy.url).host} the request waited 2.3 s for a free API thread.`,
        category: 'throttled',
        details: { metric: 'sem_wait', waitMs: 2_340 },
      });
    });

    for (const [header, detail] of [
      [
        'sem_wait;dur=1000, sesh_wait;dur=120',
        'waited 1.0 s for a free API thread, waited 0.1 s for its session',
      ],
      ['sesh_wait;desc="x";dur=250.5', 'waited 0.3 s for its session'],
      ['sem_wait;dur=none, other;dur=9000', undefined],
      ['t;desc="sem_wait;dur=9000"', undefined],
    ] as const) {
      it(`${header}: passed`, async () => {
        await using quick = await answering(header);
        const report = await bench.validate(bench.asUser('svc_deploy'), { url: quick.url });
        expect(checkOf(report, 'api')).to.include({
          status: 'passed',
          detail: ['HTTP 200', ...(detail === undefined ? [] : [detail])].join(', '),
        });
        expect(report.warnings).to.deep.equal([]);
      });
    }
  });

  describe('access', () => {
    it('says which of the usual tables the user sees', async () => {
      const all = await bench.validate(bench.asUser('svc_deploy'));
      expect(checkOf(all, 'access')).to.include({
        status: 'passed',
        detail: 'sees change_request, incident, problem',
      });
      bench.instance.faults.add({ fault: 'forbidden-acl', match: { table: 'incident' } });
      const some = await bench.validate(bench.asUser('svc_deploy'));
      expect(checkOf(some, 'access')).to.include({
        status: 'passed',
        detail: 'sees change_request, problem; nothing of incident',
      });
      expect(some.warnings).to.deep.equal([]);
    });

    it('a user who sees no tasks is warned of, with the roles that are usually missing', async () => {
      const report = await bench.validate(bench.asUser('svc_none'));
      expect(report.status).to.equal('SUCCESS');
      expect(steps(report)).to.include('access warned');
      expect(report.warnings.map(({ code }) => code)).to.deep.equal(['servicenow.no-visible-tasks']);
      expect(report.warnings[0]?.message).to.equal(
        'The user is accepted, but sees nothing of change_request, incident, problem, and none of the first 100 tasks.',
      );
      expect(report.warnings[0]?.hint).to.match(/itil.*sn_change_read/);
    });

    it('a user who sees tasks of other tables alone is not', async () => {
      // The instance cuts the page before it looks at the rights, so the first task may be one that is hidden.
      for (const table of ['change_request', 'incident', 'problem']) {
        bench.instance.faults.add({ fault: 'row-hidden', match: { table } });
      }
      bench.instance.faults.add({ fault: 'row-hidden', match: { table: 'task' }, times: 1 });
      const report = await bench.validate(bench.asUser('svc_deploy'));
      expect(checkOf(report, 'access')).to.include({
        status: 'passed',
        detail: 'sees tasks, but nothing of change_request, incident, problem',
      });
      expect(report.warnings).to.deep.equal([]);
      expect(tableCalls(bench.instance).at(-1)?.query).to.deep.equal({
        sysparm_fields: 'sys_id',
        sysparm_limit: '100',
      });
    });

    it('never fails: what goes wrong in it is a warning, and the connection works', async () => {
      bench.instance.faults.add({ fault: 'server-error', match: { table: 'incident' } });
      const report = await bench.validate(bench.asUser('svc_deploy'));
      expect(report).to.deep.include({ status: 'SUCCESS', errors: [] });
      expect(report).not.to.have.property('errorSummary');
      expect(steps(report)).to.include('access warned');
      expect(report.warnings.map(({ code }) => code)).to.deep.equal(['servicenow.server-error']);
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
        const check = checkOf(report, 'clock');
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

    it('is compared although the answer refuses: a wrong clock is a reason for that', async () => {
      bench.instance.faults.add({ fault: 'clock-skew', ms: -600_000 });
      bench.instance.faults.add({ fault: 'forbidden-acl' });
      const report = await bench.validate(bench.asUser('svc_deploy'));
      expect(steps(report)).to.include.members(['api failed', 'clock warned']);
      expect(report.warnings.map(({ code }) => code)).to.deep.equal(['servicenow.clock-skew']);
    });

    describe('of the token server, which judges assertions and dates tokens', () => {
      /** A token server whose clock is off, milliseconds. */
      const tokenServer = (aheadMs: number, status: number, answer: object): ReturnType<typeof listen> =>
        listen((_request, response) => {
          const date = new Date(Date.now() + aheadMs).toUTCString();
          response
            .writeHead(status, { 'content-type': 'application/json', date })
            .end(JSON.stringify(answer));
        });
      const granted = { access_token: 'a-token-of-no-meaning', token_type: 'Bearer', expires_in: 3_600 };
      const refused = {
        error: 'invalid_client',
        error_description: 'MSIS9622: Client authentication failed.',
      };

      it('is compared as well, and each is named', async () => {
        await using server = await tokenServer(-120_000, 200, granted);
        const report = await bench.validate(bench.byRefreshToken({ tokenUrl: `${server.url}/token` }));
        expect(report.warnings.map(({ message }) => message).join()).to.match(
          /^The clock of this delegate is 1(19|20) s ahead of the token server's\.$/,
        );
        expect(checkOf(report, 'clock')?.detail).to.match(
          /^ServiceNow: no difference; the token server: 1(19|20) s apart$/,
        );
      });

      it('off, and the assertion refused: the clock is the likely cause, and the summary says so', async () => {
        await using server = await tokenServer(-600_000, 400, refused);
        await using adfs = await startFakeAdfs({ signing });
        const auth = joinAdfs(bench, adfs, own);
        const report = await bench.validate({ ...auth, spec: { ...auth.spec, adfsUrl: server.url } });
        expect(expectFailure(report, 'token.invalid-client')).to.match(
          new RegExp(
            `^Clock: The token endpoint ${server.url}/adfs/oauth2/token answered 400 invalid_client \\(MSIS9622\\), most ` +
              "likely because the clock of this delegate is (599|600) s ahead of the token server's; synchronise it \\(NTP\\)\\.$",
          ),
        );
        expect(steps(report)).to.include.members(['token failed', 'api skipped', 'clock warned']);
      });

      it('right, and the assertion refused: it is the credentials', async () => {
        await using server = await tokenServer(0, 400, refused);
        await using adfs = await startFakeAdfs({ signing });
        const auth = joinAdfs(bench, adfs, own);
        const report = await bench.validate({ ...auth, spec: { ...auth.spec, adfsUrl: server.url } });
        expect(expectFailure(report, 'token.invalid-client')).to.match(/^Credentials: /);
      });

      it('off, and a refresh token refused: it is the credentials, for no time is in those', async () => {
        await using server = await tokenServer(-600_000, 400, { error: 'invalid_grant' });
        const report = await bench.validate(bench.byRefreshToken({ tokenUrl: `${server.url}/token` }));
        expect(expectFailure(report, 'token.invalid-grant')).to.match(/^Credentials: /);
      });

      for (const [aheadMs, summary] of [
        [
          600_000,
          /^Clock: .*, most likely because the clocks of ServiceNow and the token server are (599|600) s apart; /,
        ],
        [200_000, /^Credentials: /],
      ] as const) {
        it(`${aheadMs / 1_000} s from ServiceNow's, which refuses its token: ${summary.source.slice(1, 7)}`, async () => {
          await using server = await tokenServer(aheadMs, 200, granted);
          const report = await bench.validate(bench.byRefreshToken({ tokenUrl: `${server.url}/token` }));
          expect(expectFailure(report, 'servicenow.not-authenticated')).to.match(summary);
        });
      }
    });

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

  describe('ends in time to tell', () => {
    /** Its time passes once a request hangs, and not while a busy machine is on its way there. */
    const untilItHangs = async (fault: Parameters<typeof bench.instance.faults.add>[0]): Promise<Report> => {
      const clock = new ManualClock();
      await using slow = await openBench({ clock });
      slow.instance.faults.add(fault);
      const context = taskContext({ clock, timeMs: HANGS_FOR_MS });
      const ended = slow.validate(slow.asUser('svc_deploy'), { context });
      await until('a request hangs', () => tableCalls(slow.instance).some((call) => call.faults.length > 0));
      await clock.advance(HANGS_FOR_MS);
      return await ended;
    };

    it('everything hangs: the check that did so has failed, and what needs it is skipped', async () => {
      const report = await untilItHangs({ fault: 'stall-headers' });
      expect(expectFailure(report, 'servicenow.test-out-of-time')).to.equal(
        'Timeout: The time was up before the check "Table API answers" was done; ServiceNow, the token server or the ' +
          'secret store is slow, or the network between: the checks before it tell how far it came.',
      );
      expect(steps(report)).to.deep.equal([
        'secrets passed',
        'network passed',
        'api failed',
        'access skipped',
        'clock skipped',
      ]);
    });

    it('a secret store that does not listen to its signal is left behind', async () => {
      const { deps } = bench.surroundings;
      const never = new Promise<never>(() => {});
      const { validate } = tasksOf({ ...deps, secrets: { ...deps.secrets, resolve: () => never } });
      const connector = connectorTo(bench.instance.url, bench.asUser('svc_deploy'));
      const report = readReport(await validate.prepare({ connector }).run(taskContext({ timeMs: 1_100 })));
      expectFailure(report, 'servicenow.test-out-of-time');
      expect(steps(report)).to.deep.equal([
        'secrets failed',
        'network skipped',
        'api skipped',
        'access skipped',
        'clock skipped',
      ]);
    });

    it('too late in what is only advice, it is a warning', async () => {
      const report = await untilItHangs({ fault: 'stall-headers', match: { table: 'change_request' } });
      expect(report.status).to.equal('SUCCESS');
      expect(steps(report)).to.include('access warned');
      expect(report.warnings.map(({ code }) => code)).to.deep.equal(['servicenow.test-out-of-time']);
    });

    it('leaves no timer behind', async () => {
      const clock = new ManualClock();
      await bench.validate(bench.asUser('svc_deploy'), { context: taskContext({ clock }) });
      expect(clock.pending).to.equal(0);
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

    for (const title of [
      'Secrets resolve',
      'Hosts can be reached',
      'Token is issued',
      'Table API answers',
      'User sees tasks',
      'Clocks agree',
    ]) {
      it(`cancelled during "${title}", and at once`, async () => {
        const stop = new AbortController();
        const reason = new Error('cancelled');
        const context = taskContext({ signal: stop.signal });
        const work = bench.validate(bench.byRefreshToken(), {
          context: { ...context, progress: (message) => void (message === title && stop.abort(reason)) },
        });
        expect(await work.catch((thrown: unknown) => thrown)).to.equal(reason);
      });
    }

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
