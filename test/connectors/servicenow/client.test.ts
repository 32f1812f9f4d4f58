import { expect } from 'chai';
import type { Authentication, Authorization } from '../../../src/connectors/servicenow/auth/method.ts';
import { ServiceNowClient } from '../../../src/connectors/servicenow/client.ts';
import { CredentialGuard } from '../../../src/connectors/servicenow/credential-guard.ts';
import { Instances } from '../../../src/connectors/servicenow/instance.ts';
import { wrap } from '../../../src/kit/errors.ts';
import { deferred, type Deferred } from '../../../src/kit/flow.ts';
import type { HttpRequest, HttpResponse, HttpSend } from '../../../src/kit/http-exchange.ts';
import { Secret } from '../../../src/kit/secret.ts';
import { SEED, type FakeServiceNow } from '../../../src/dev/fake-servicenow/index.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import {
  failureOf,
  listen,
  openBench,
  tableCalls,
  taskContext,
  type Bench,
} from '../../support/servicenow.ts';
import { leavesNothingOpen } from '../../support/open-handles.ts';

const QUERY = { table: 'task', maxRows: 1, params: {} };
const LONG_MS = 3_600_000;

const answer = (status: number, value: unknown = { result: [] }, headers = {}): HttpResponse => ({
  status,
  headers: { 'content-type': 'application/json', ...headers },
  body: JSON.stringify(value),
});

/** A server in hand: each exchange waits until the test answers it. */
class Server {
  readonly requests: { request: HttpRequest; reply: Deferred<HttpResponse> }[] = [];
  readonly send: HttpSend = (request) => {
    const reply = deferred<HttpResponse>();
    this.requests.push({ request, reply });
    return reply.promise;
  };
  answerAll(response: HttpResponse): void {
    for (const { reply } of this.requests) reply.resolve(response);
  }
  authorizations(): (string | undefined)[] {
    return this.requests.map(({ request }) => request.headers['authorization']);
  }
}

/** Hands out `token-1`, and the next one after each that was refused. */
function numberedTokens(): Authentication & { refusals: string[] } {
  const refusals: string[] = [];
  return {
    refusals,
    user: undefined,
    identity: 'one connector',
    keyMaterial: undefined,
    authorize: () => {
      const token = new Secret(`token-${refusals.length + 1}`);
      const header = new Secret(`Bearer ${token.reveal()}`);
      return Promise.resolve({ header, bearer: token, accessToken: token });
    },
    refused: ({ accessToken }: Authorization) => {
      refusals.push(accessToken?.reveal() ?? '');
      return true;
    },
    warnings: () => [],
  };
}

describe('client of one instance', () => {
  leavesNothingOpen();

  describe('with a server in hand', () => {
    let server: Server;
    let clock: ManualClock;
    let instances: Instances;
    let guard: CredentialGuard;
    beforeEach(() => {
      server = new Server();
      clock = new ManualClock();
      instances = new Instances({ clock, random: () => 0 });
      guard = new CredentialGuard(clock);
    });

    const client = (auth: Authentication, baseUrl = 'https://example.service-now.com'): ServiceNowClient =>
      new ServiceNowClient({
        maxRows: 1_000,
        baseUrl,
        auth,
        send: server.send,
        scrub: (text) => text,
        instances,
        guard,
        random: () => 0,
      });

    it('asks below the context path, with every parameter encoded once', async () => {
      const reading = client(numberedTokens(), 'https://gateway.example.com/sn').readTable(
        { table: 'incident', maxRows: 2, params: { sysparm_query: 'number=a&b+c#d%e^ORDERBYsys_id' } },
        taskContext({ clock }),
      );
      await clock.settle();
      server.answerAll(answer(200));
      await reading;
      const { url, method } = server.requests[0]?.request ?? {};
      expect(method).to.equal('GET');
      expect(url?.pathname).to.equal('/sn/api/now/table/incident');
      expect(url?.searchParams.get('sysparm_limit')).to.equal('2');
      expect(url?.searchParams.get('sysparm_query')).to.equal('number=a&b+c#d%e^ORDERBYsys_id');
    });

    /** One answer of success: from then on requests with these credentials need not wait for each other. */
    const accepted = async (baseUrl?: string): Promise<void> => {
      const first = client(numberedTokens(), baseUrl).readTable(QUERY, taskContext({ clock }));
      await clock.settle();
      server.answerAll(answer(200));
      await first;
      server.requests.length = 0;
    };

    it('four requests at a time go to one instance, whatever connectors they come from', async () => {
      await accepted();
      const readings = Array.from({ length: 10 }, () =>
        client(numberedTokens()).readTable(QUERY, taskContext({ clock })),
      );
      await clock.settle();
      expect(server.requests).to.have.length(4);
      server.requests[0]?.reply.resolve(answer(200));
      await clock.settle();
      expect(server.requests).to.have.length(5);
      while (server.requests.length < 10) {
        server.answerAll(answer(200));
        await clock.settle();
      }
      server.answerAll(answer(200));
      await Promise.all(readings);
    });

    it('another instance does not wait for it', async () => {
      await accepted();
      const busy = Array.from({ length: 5 }, () =>
        client(numberedTokens()).readTable(QUERY, taskContext({ clock })),
      );
      const other = client(numberedTokens(), 'https://other.service-now.com').readTable(
        QUERY,
        taskContext({ clock }),
      );
      await clock.settle();
      expect(server.requests.map(({ request }) => request.url.host)).to.include('other.service-now.com');
      server.answerAll(answer(200));
      await clock.settle();
      server.answerAll(answer(200));
      await Promise.all([...busy, other]);
    });

    it('who waits for a turn leaves at once when aborted, and sends nothing', async () => {
      await accepted();
      const busy = Array.from({ length: 4 }, () =>
        client(numberedTokens()).readTable(QUERY, taskContext({ clock })),
      );
      const stop = new AbortController();
      const waiting = client(numberedTokens())
        .readTable(QUERY, taskContext({ clock, signal: stop.signal }))
        .catch((thrown: unknown) => thrown);
      await clock.settle();
      const reason = new Error('cancelled');
      stop.abort(reason);
      expect(await waiting).to.equal(reason);
      server.answerAll(answer(200));
      await Promise.all(busy);
      expect(server.requests).to.have.length(4);
    });

    it('who waits between two attempts keeps no turn', async () => {
      await accepted();
      const asleep = Array.from({ length: 4 }, () =>
        client(numberedTokens()).readTable(QUERY, taskContext({ clock, timeMs: LONG_MS })),
      );
      await clock.settle();
      server.answerAll(answer(500));
      const next = client(numberedTokens()).readTable(QUERY, taskContext({ clock }));
      await clock.settle();
      expect(server.requests).to.have.length(5);
      await clock.advance(500);
      server.answerAll(answer(200));
      await clock.settle();
      server.answerAll(answer(200));
      await Promise.all([...asleep, next]);
    });

    it('Retry-After stops every task of the instance until it is over, and none elsewhere', async () => {
      await accepted();
      const limited = client(numberedTokens()).readTable(QUERY, taskContext({ clock }));
      await clock.settle();
      server.requests[0]?.reply.resolve(answer(429, {}, { 'retry-after': '2' }));
      await clock.settle();
      const context = taskContext({ clock });
      const next = client(numberedTokens()).readTable(QUERY, context);
      const other = client(numberedTokens(), 'https://other.service-now.com').readTable(
        QUERY,
        taskContext({ clock }),
      );
      await clock.advance(1_999);
      expect(server.requests.map(({ request }) => request.url.host)).to.deep.equal([
        'example.service-now.com',
        'other.service-now.com',
      ]);
      expect(context.progressed).to.have.length(1);
      expect(context.progressed[0])
        .to.match(/^example\.service-now\.com: a rate limit rule stops this user/)
        .and.match(/Asking again in 2 s\.$/);
      await clock.advance(1);
      expect(server.requests).to.have.length(4);
      server.answerAll(answer(200));
      await Promise.all([limited, next, other]);
    });

    it('who waits for others to prove the credentials is told of a pause, each by its own deadline', async () => {
      const progressed: string[][] = [];
      const readings = [LONG_MS, LONG_MS, 10_000].map((timeMs) => {
        const context = taskContext({ clock, timeMs });
        progressed.push(context.progressed);
        return client(numberedTokens())
          .readTable(QUERY, context)
          .then(
            () => 'answered',
            (thrown: unknown) => wrap(thrown).code,
          );
      });
      await clock.settle();
      expect(server.requests).to.have.length(1);
      server.requests[0]?.reply.resolve(answer(429, {}, { 'retry-after': '60' }));
      await clock.settle();
      expect(await readings[2]).to.equal('servicenow.rate-limited');
      expect(progressed.map(({ length }) => length)).to.deep.equal([1, 1, 0]);
      await clock.advance(60_000);
      server.answerAll(answer(200));
      await clock.advance(60_000);
      server.answerAll(answer(200));
      expect(await Promise.all(readings.slice(0, 2))).to.deep.equal(['answered', 'answered']);
    });

    it('a pause that begins while credentials are being proven ends the turn of who proves them', async () => {
      const authorized = deferred<void>();
      const slow: Authentication = {
        ...numberedTokens(),
        authorize: async (signal) => {
          await authorized.promise;
          return await numberedTokens().authorize(signal);
        },
      };
      const prover = client(slow).readTable(QUERY, taskContext({ clock, timeMs: LONG_MS }));
      const context = taskContext({ clock, timeMs: 10_000 });
      const waiting = failureOf(() => client(slow).readTable(QUERY, context));
      const stranger = client({ ...numberedTokens(), identity: 'another' });
      const limited = failureOf(() => stranger.readTable(QUERY, taskContext({ clock, timeMs: 10_000 })));
      await clock.settle();
      server.requests[0]?.reply.resolve(answer(503, {}, { 'retry-after': '60' }));
      expect((await limited).code).to.equal('servicenow.unavailable');
      authorized.resolve();
      expect((await waiting).code).to.equal('servicenow.unavailable');
      await clock.advance(60_000);
      server.answerAll(answer(200));
      await prover;
      expect(server.requests).to.have.length(2);
    });

    it('a refused token is dropped, one new one obtained, and the request repeated once', async () => {
      const auth = numberedTokens();
      const reading = client(auth).readTable(QUERY, taskContext({ clock }));
      await clock.settle();
      server.requests[0]?.reply.resolve(answer(401));
      await clock.settle();
      server.requests[1]?.reply.resolve(answer(200));
      await reading;
      expect(auth.refusals).to.deep.equal(['token-1']);
      expect(server.authorizations()).to.deep.equal(['Bearer token-1', 'Bearer token-2']);
    });

    it('and not more than once', async () => {
      const auth = numberedTokens();
      const reading = failureOf(() => client(auth).readTable(QUERY, taskContext({ clock })));
      await clock.settle();
      server.requests[0]?.reply.resolve(answer(401));
      await clock.settle();
      server.requests[1]?.reply.resolve(answer(401));
      expect((await reading).code).to.equal('servicenow.not-authenticated');
      expect(server.requests).to.have.length(2);
      expect(auth.refusals).to.have.length(1);
    });

    it('a token that ended during a wait is replaced: each attempt asks for its header anew', async () => {
      const auth = numberedTokens();
      const reading = client(auth).readTable(QUERY, taskContext({ clock, timeMs: LONG_MS }));
      await clock.settle();
      server.requests[0]?.reply.resolve(answer(429, {}, { 'retry-after': '1800' }));
      await clock.settle();
      auth.refusals.push('ended meanwhile');
      await clock.advance(1_800_000);
      server.requests[1]?.reply.resolve(answer(200));
      await reading;
      expect(server.authorizations()).to.deep.equal(['Bearer token-1', 'Bearer token-2']);
    });

    it('what is logged of a retry is its code and its wait, and progress names both for people', async () => {
      const context = taskContext({ clock, timeMs: LONG_MS });
      const reading = client(numberedTokens()).readTable(QUERY, context);
      await clock.settle();
      server.requests[0]?.reply.resolve(answer(503, { secret: 'field value' }, { 'retry-after': '60' }));
      await clock.advance(60_000);
      server.requests[1]?.reply.resolve(answer(200));
      await reading;
      expect(context.logged.map(({ fields }) => fields)).to.deep.equal([
        { code: 'servicenow.unavailable', waitMs: 60_000 },
      ]);
      expect(context.progressed).to.deep.equal([
        'example.service-now.com is not available (HTTP 503). Asking again in 60 s.',
      ]);
    });

    it('remembers 200 instances at most, and never drops one at work', async () => {
      const readings = [client(numberedTokens()).readTable(QUERY, taskContext({ clock }))];
      await clock.settle();
      const first = instances.of('https://example.service-now.com');
      for (let index = 0; index < 500; index += 1) instances.of(`https://i${index}.service-now.com`);
      expect(instances.of('https://example.service-now.com')).to.equal(first);
      const idle = instances.of('https://i0.service-now.com');
      expect(instances.of('https://i0.service-now.com')).to.equal(idle);
      server.answerAll(answer(200));
      await Promise.all(readings);
    });
  });

  describe('against the fake instance', () => {
    let bench: Bench;
    let instance: FakeServiceNow;
    beforeEach(async () => {
      bench = await openBench();
      ({ instance } = bench);
    });
    afterEach(() => bench[Symbol.asyncDispose]());

    const question = {
      ticket: { type: 'change_request', number: SEED.changes.implement },
      approvalCriteria: {
        type: 'KeyValues',
        spec: { conditions: [{ key: 'state', operator: 'equals', value: 'Implement' }] },
      },
    };
    const check = async (): Promise<string> =>
      (await bench.check(bench.asUser('svc_deploy'), question)).decision;

    for (const fault of [
      'gateway-502',
      'gateway-503',
      'gateway-504',
      'server-error',
      'reset-before-headers',
      'reset-after-headers',
      'reset-mid-body',
      'gzip-corrupted',
      'maintenance',
    ] as const) {
      it(`${fault} twice is asked again, and the task does not notice`, async () => {
        instance.faults.add({ fault, times: 2 });
        expect(await check()).to.equal('approved');
        expect(tableCalls(instance)).to.have.length(3);
      });
    }

    for (const fault of ['ok-with-error', 'glued-error', 'truncate', 'semaphore'] as const) {
      it(`${fault} once is asked again, and the task does not notice`, async () => {
        instance.faults.add({ fault, times: 1 });
        expect(await check()).to.equal('approved');
        expect(tableCalls(instance)).to.have.length(2);
      });
    }

    for (const [fault, code] of [
      ['hibernate-html', 'hibernating'],
      ['hibernate-redirect', 'hibernating'],
      ['sso-redirect', 'sign-on-page'],
      ['login-html', 'sign-on-page'],
      ['tomcat-400', 'request-too-long'],
      ['wrong-content-type', 'not-json'],
      ['forbidden-acl', 'forbidden'],
    ] as const) {
      it(`${fault} is servicenow.${code}, asked once`, async () => {
        instance.faults.add({ fault });
        expect((await failureOf(check)).code).to.equal(`servicenow.${code}`);
        expect(tableCalls(instance)).to.have.length(1);
      });
    }

    for (const fault of ['split-utf8', 'slow', 'duplicate-set-cookie', 'clock-skew'] as const) {
      it(`${fault} does no harm`, async () => {
        instance.faults.add({ fault, ...(fault === 'slow' ? { ms: 70 } : {}) });
        expect(await check()).to.equal('approved');
        expect(tableCalls(instance)).to.have.length(1);
      });
    }

    it('characters of several bytes arrive whole, however they are cut on the way', async () => {
      instance.faults.add({ fault: 'split-utf8' });
      const answered = await bench.check(bench.asUser('svc_deploy'), {
        ticket: { type: 'change_request', number: SEED.changes.unicode },
        approvalCriteria: {
          type: 'KeyValues',
          spec: { conditions: [{ key: 'short_description', operator: 'contains', value: '東京' }] },
        },
      });
      expect(answered.ticket.fields['short_description']?.value).to.equal(
        instance.tickets.get('change_request', SEED.changes.unicode)['short_description'],
      );
    });

    it('a rate limit that outlasts the task ends it at once, as one', async () => {
      instance.faults.add({ fault: 'rate-limit', seconds: 1_800 });
      const error = await failureOf(check);
      expect(error).to.include({ code: 'servicenow.rate-limited', retryable: true });
      expect(error.details).to.include({ retryAfterMs: 1_800_000 });
      expect(tableCalls(instance)).to.have.length(1);
    });

    it('says who it is by User-Agent, and what it wants by Accept', async () => {
      await check();
      expect(tableCalls(instance)[0]?.headers).to.include({
        'user-agent': 'servicenow-delegate/1.2.3',
        accept: 'application/json',
      });
    });

    it('no cookie is ever sent back: a session would answer as whoever opened it', async () => {
      await check();
      await check();
      await bench.validate(bench.asUser('svc_read'));
      await bench.validate(bench.byRefreshToken());
      const journal = instance.journal();
      expect(journal.length).to.be.greaterThan(4);
      for (const { headers, cookies } of journal) {
        expect(headers).not.to.have.property('cookie');
        expect(cookies).to.deep.equal({});
      }
    });

    it('two connectors of different users are answered each as its own user', async () => {
      await Promise.all(
        Array.from({ length: 6 }, (_, index) =>
          bench.check(bench.asUser(index % 2 === 0 ? 'svc_deploy' : 'svc_read'), question),
        ),
      );
      expect(tableCalls(instance).map(({ user }) => user)).to.have.members(['svc_deploy', 'svc_read']);
    });
  });

  describe('redirected to another server', () => {
    for (const status of [301, 302, 303, 307, 308]) {
      it(`a ${status} is not followed: the other server sees nothing, least of all the credentials`, async () => {
        const seen: string[] = [];
        await using thief = await listen((request, response) => {
          seen.push(request.url ?? '');
          response.end();
        });
        await using front = await listen((request, response) => {
          response.writeHead(status, { location: thief.url + (request.url ?? '') }).end();
        });
        await using bench = await openBench();
        const report = await bench.validate(bench.asUser('svc_deploy'), { url: front.url });
        expect(report.errors[0]).to.include({ code: 'servicenow.redirected' });
        expect(seen).to.deep.equal([]);
      });
    }
  });
});
