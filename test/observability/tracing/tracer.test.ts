import { expect } from 'chai';
import { pino } from 'pino';
import { composeTracing, type TracingOptions } from '../../../src/compose/tracing.ts';
import type { TracesConfiguration } from '../../../src/config/traces.ts';
import { OAUTH } from '../../../src/dev/fake-servicenow/index.ts';
import type { JournalEntry } from '../../../src/dev/fake-servicenow/index.ts';
import { DelegateError } from '../../../src/kit/errors.ts';
import { Redactor } from '../../../src/kit/secret.ts';
import { systemClock } from '../../../src/kit/time.ts';
import { noMetrics } from '../../../src/observability/metrics.ts';
import { tracingOff, type TaskSpan, type TracedTask } from '../../../src/observability/tracing/tracer.ts';
import { findLeaks } from '../../support/canaries.ts';
import { dialerWith } from '../../support/dialer.ts';
import { leavesNothingOpen } from '../../support/open-handles.ts';
import { connectorTo, openBench, QUESTION, taskContext, type Bench } from '../../support/servicenow.ts';
import { KIND, STATUS, TraceCollector, treeOf, type CollectedSpan } from '../../support/trace-collector.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const PARENT = '00f067aa0ba902b7';

function tracesTo(url: string, more: Partial<TracesConfiguration> = {}): TracesConfiguration {
  const endpoint = `${url}/v1/traces`;
  return {
    endpoint,
    headersFile: undefined,
    sampleRatio: 1,
    serviceName: 'snow',
    attributes: { 'deployment.environment.name': 'test' },
    ...more,
  };
}

function tracingOptions(traces: TracesConfiguration, redactor = new Redactor()): TracingOptions {
  return {
    traces,
    name: 'eu-1',
    version: '1.2.3',
    dialer: dialerWith(),
    metrics: noMetrics,
    redactor,
    clock: systemClock,
    random: () => 0,
    log: pino({ level: 'silent' }),
  };
}

const task = (more: Partial<TracedTask> = {}): TracedTask => ({
  taskId: 'task-1',
  attempt: 2,
  name: 'servicenow.approval.check',
  ...more,
});

/** The headers of what ServiceNow was asked, by path. */
function traceparents(journal: readonly JournalEntry[]): [string, unknown][] {
  return journal.map(({ path, headers }) => [path, headers['traceparent']]);
}

describe('the trace of a task', function () {
  this.timeout(10_000);
  let bench: Bench;
  let collector: TraceCollector;

  beforeEach(async () => {
    [bench, collector] = await Promise.all([openBench(), TraceCollector.start()]);
  });
  afterEach(async () => {
    await bench[Symbol.asyncDispose]();
    await collector[Symbol.asyncDispose]();
  });
  leavesNothingOpen();

  /** What the collector has got when the tracer has ended. */
  async function traced(
    work: (span: TaskSpan) => Promise<void>,
    { asked = {}, traces = {} }: { asked?: Partial<TracedTask>; traces?: Partial<TracesConfiguration> } = {},
  ): Promise<CollectedSpan[]> {
    const options = tracingOptions(tracesTo(collector.url, traces), bench.surroundings.redactor);
    await using tracer = await composeTracing(options);
    await work(tracer.task(task(asked)));
    await tracer[Symbol.asyncDispose]();
    return collector.spans;
  }

  const checkApproval = async (span: TaskSpan): Promise<void> => {
    await bench.check(bench.byRefreshToken(), QUESTION, { context: { ...taskContext(), trace: span } });
    span.end({ outcome: 'succeeded' });
  };

  it('shows where the time of a look at an approval goes', async () => {
    const spans = await traced(checkApproval);
    expect(treeOf(spans)).to.deep.equal([
      'task servicenow.approval.check succeeded',
      '  secret.resolve',
      '  secret.resolve',
      '  secret.resolve',
      '  token.request 200',
      '  servicenow.request 200',
    ]);
    const root = spans.find(({ kind }) => kind === KIND.consumer);
    expect(root?.attributes).to.deep.equal({
      'delegate.task.id': 'task-1',
      'delegate.task.attempt': '2',
      'delegate.task.name': 'servicenow.approval.check',
      'delegate.task.outcome': 'succeeded',
    });
    expect(root?.status.code).to.equal(STATUS.unset);
    const request = spans.find(({ name }) => name === 'servicenow.request');
    expect(request?.kind).to.equal(KIND.client);
    expect(request?.attributes).to.deep.equal({
      'http.request.method': 'GET',
      'server.address': '127.0.0.1',
      'server.port': new URL(bench.instance.url).port,
      'http.response.status_code': '200',
    });
    expect(collector.requests.map(({ path }) => path)).to.deep.equal(['/v1/traces']);
    expect(collector.resources).to.deep.equal([
      {
        'deployment.environment.name': 'test',
        'service.name': 'snow',
        'service.version': '1.2.3',
        'service.instance.id': 'eu-1',
      },
    ]);
  });

  it('shows at which step a test of a connector fails', async () => {
    const auth = bench.byRefreshToken();
    bench.surroundings.secrets.set('refresh-token', 'wrong-refresh-token');
    const spans = await traced(
      async (span) => {
        const report = await bench.validate(auth, { context: { ...taskContext(), trace: span } });
        expect(report.status).to.equal('FAILURE');
        span.end({ outcome: 'failed', code: 'servicenow.ticket-not-found' });
      },
      { asked: { name: 'servicenow.connector.validate' } },
    );
    expect(treeOf(spans)).to.deep.equal([
      'task servicenow.connector.validate failed servicenow.ticket-not-found',
      '  secret.resolve',
      '  secret.resolve',
      '  secret.resolve',
      '  token.request 401 401',
    ]);
    expect(spans.map(({ status }) => status.code).filter((code) => code === STATUS.error)).to.have.length(2);
  });

  it('shows a secret that is not there, and a connection that is not made, by their codes', async () => {
    const spans = await traced(async (span) => {
      const context = { ...taskContext(), trace: span };
      const missing = connectorTo(bench.instance.url, {
        type: 'UsernamePassword',
        spec: { username: 'svc_deploy', passwordRef: 'test:nowhere' },
      });
      await bench.outcome(bench.tasks.check, { connector: missing, ...QUESTION }, context);
      await span
        .sending('token.request', () =>
          Promise.reject(new DelegateError('network.refused', 'no', { category: 'unavailable' })),
        )({
          method: 'GET',
          url: new URL('https://acme.example'),
          headers: {},
          signal: context.signal,
        })
        .catch(() => {});
      const gone = AbortSignal.abort(new Error('the task was cancelled'));
      await span
        .sending('servicenow.request', () => Promise.reject(new Error('the task was cancelled')))({
          method: 'GET',
          url: new URL('https://acme.example'),
          headers: {},
          signal: gone,
        })
        .catch(() => {});
      span.end(undefined);
    });
    expect(treeOf(spans)).to.deep.equal([
      'task servicenow.approval.check discarded',
      '  secret.resolve secret-not-found',
      '  token.request network.refused',
      '  servicenow.request aborted',
    ]);
  });

  it("goes on the manager's, and goes on in ServiceNow", async () => {
    const asked = { traceparent: `00-${TRACE}-${PARENT}-01` };
    const spans = await traced(checkApproval, { asked });
    expect(new Set(spans.map(({ traceId }) => traceId))).to.deep.equal(new Set([TRACE]));
    expect(spans.find(({ kind }) => kind === KIND.consumer)?.parentSpanId).to.equal(PARENT);
    const idOf = (step: string): string | undefined => spans.find(({ name }) => name === step)?.spanId;
    expect(traceparents(bench.instance.journal())).to.deep.equal([
      ['/oauth_token.do', `00-${TRACE}-${idOf('token.request')}-01`],
      ['/api/now/table/change_request', `00-${TRACE}-${idOf('servicenow.request')}-01`],
    ]);
  });

  it('begins anew where the manager says nothing that can be understood', async () => {
    const spans = await traced(checkApproval, { asked: { traceparent: 'ff-nonsense' } });
    expect(spans).to.have.length(6);
    expect(treeOf(spans)[0]).to.equal('task servicenow.approval.check succeeded');
  });

  it('is kept by nobody where the manager does not sample it, and is passed on so', async () => {
    const asked = { traceparent: `00-${TRACE}-${PARENT}-00` };
    expect(await traced(checkApproval, { asked })).to.deep.equal([]);
    expect(collector.requests).to.deep.equal([]);
    for (const [, traceparent] of traceparents(bench.instance.journal())) {
      expect(traceparent).to.match(new RegExp(`^00-${TRACE}-[0-9a-f]{16}-00$`));
    }
  });

  it('is not made of its own accord where the operator samples nothing, but is where the manager does', async () => {
    const traces = { sampleRatio: 0 };
    expect(await traced(checkApproval, { traces })).to.deep.equal([]);
    const asked = { traceparent: `00-${TRACE}-${PARENT}-01` };
    expect(await traced(checkApproval, { traces, asked })).not.to.deep.equal([]);
  });

  it('holds no secret and no word of a ticket, not even where a stranger repeats one', async () => {
    const canaries = new Map([
      ['client secret', OAUTH.clientSecret],
      ['refresh token', OAUTH.refreshToken],
    ]);
    await traced(
      async (span) => {
        await checkApproval(span);
        // A code that a library made of what it was given.
        await span
          .during('secret.resolve', () =>
            Promise.reject(new DelegateError(OAUTH.refreshToken, 'no', { category: 'secret' })),
          )
          .catch(() => {});
      },
      { asked: { taskId: OAUTH.clientSecret }, traces: { attributes: { team: OAUTH.clientSecret } } },
    );
    const outputs = collector.requests.map(({ body }) => ({ where: 'collector', text: body }));
    expect(outputs).not.to.deep.equal([]);
    expect(findLeaks(canaries, outputs)).to.deep.equal([]);
    expect(outputs[0]?.text).to.contain('[secret]');
    expect(outputs[0]?.text).not.to.contain('sysparm');
    expect(outputs[0]?.text).not.to.contain(QUESTION.ticket.number);
  });

  it('is of one parent where tasks share a request: of the one that began it', async () => {
    const options = tracingOptions(tracesTo(collector.url), bench.surroundings.redactor);
    await using tracer = await composeTracing(options);
    const auth = bench.asUser('svc_deploy');
    const look = async (taskId: string): Promise<void> => {
      const span = tracer.task(task({ taskId }));
      await bench.check(auth, QUESTION, { context: { ...taskContext(), trace: span } });
      span.end({ outcome: 'succeeded' });
    };
    await Promise.all([look('task-a'), look('task-b')]);
    await tracer[Symbol.asyncDispose]();
    const requests = collector.spans.filter(({ name }) => name === 'servicenow.request');
    expect(requests).to.have.length(1);
    const parent = collector.spans.find(({ spanId }) => spanId === requests[0]?.parentSpanId);
    expect(parent?.attributes['delegate.task.id']).to.be.oneOf(['task-a', 'task-b']);
  });
});

describe('without traces', () => {
  let bench: Bench;
  beforeEach(async () => {
    bench = await openBench();
  });
  afterEach(async () => await bench[Symbol.asyncDispose]());
  leavesNothingOpen();

  const look = async (asked: Partial<TracedTask>): Promise<[string, unknown][]> => {
    const context = { ...taskContext(), trace: tracingOff.task(task(asked)) };
    await bench.check(bench.byRefreshToken(), QUESTION, { context });
    return traceparents(bench.instance.journal());
  };

  it("the manager's own is passed on to token server and ServiceNow as it is", async () => {
    const traceparent = `00-${TRACE}-${PARENT}-01`;
    expect(await look({ traceparent })).to.deep.equal([
      ['/oauth_token.do', traceparent],
      ['/api/now/table/change_request', traceparent],
    ]);
  });

  it('nothing is passed on that is no traceparent', async () => {
    for (const [, traceparent] of await look({ traceparent: `00-${TRACE}-${PARENT}-01-more` })) {
      expect(traceparent).to.equal(undefined);
    }
  });

  it('a task costs nothing that the manager does not follow', () => {
    const span = tracingOff.task(task());
    const send = (): never => {
      throw new Error('not to be called');
    };
    expect(span.sending('servicenow.request', send)).to.equal(send);
    expect(span).to.equal(tracingOff.task(task({ traceparent: 'nonsense' })));
  });
});
