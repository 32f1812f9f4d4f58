import { spawnSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { expect } from 'chai';
import { SESSION_ENDS } from '../../src/observability/metrics.ts';
import { asOpenMetrics, PrometheusMetrics } from '../../src/observability/prometheus.ts';
import { countsSchema, PHASES } from '../../src/observability/status.ts';
import { metricsIn, OBSERVED, samplesOf, type Sample } from './observed.ts';

const DOCUMENT = new URL('../../docs/observability.md', import.meta.url);
const TIMES = { queueMs: 3, runMs: 120 };

/** Of one metric with buckets. */
const SUFFIXES = /_(?:bucket|sum|count)$/;

function promtool(text: string): { status: number | null; said: string } {
  const { status, stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], {
    input: text,
    encoding: 'utf8',
    timeout: 10_000,
  });
  return { status, said: stdout + stderr };
}

describe('the metrics', () => {
  let observed = OBSERVED;
  let metrics: PrometheusMetrics;

  beforeEach(() => {
    observed = OBSERVED;
    metrics = new PrometheusMetrics({
      version: '26.11.90100',
      observe: () => observed,
      codes: new Set(['timeout', 'policy.instance', 'manager-unreachable', 'token.invalid-client']),
      taskNames: () => new Set(['servicenow.approval.check']),
    });
  });

  const sample = async (name: string, labels: Readonly<Record<string, string>> = {}): Promise<unknown> => {
    const all = samplesOf(await metrics.text());
    return all.find(
      (one) =>
        one.name === `servicenow_delegate_${name}` &&
        Object.entries(labels).every(([label, word]) => one.labels[label] === word),
    )?.value;
  };

  /** One of each event. */
  const everything = (): void => {
    metrics.sessionOpened();
    metrics.sessionEnded('overdue');
    metrics.connectFailed('manager-unreachable');
    metrics.heartbeatAcknowledged(15);
    metrics.taskEnded({
      task: 'servicenow.approval.check',
      outcome: 'failed',
      code: 'timeout',
      times: TIMES,
    });
    metrics.taskRejected('no-credit');
    metrics.leaseLost();
    metrics.resultAcknowledged(40);
    metrics.journalWritten(0.8);
    metrics.policyDenied('policy.instance');
    metrics.tokenRequested('refresh_token', 'token.invalid-client');
    metrics.instanceAnswered(250, 429);
    metrics.spansLost(9);
  };

  it('count and time each event under its labels, in seconds', async () => {
    everything();
    const task = 'servicenow.approval.check';
    expect(await sample('sessions_total')).to.equal(1);
    expect(await sample('session_ends_total', { reason: 'overdue' })).to.equal(1);
    expect(await sample('connect_failures_total', { code: 'manager-unreachable' })).to.equal(1);
    expect(await sample('heartbeat_rtt_seconds_sum')).to.equal(0.015);
    expect(await sample('task_results_total', { task, outcome: 'failed', code: 'timeout' })).to.equal(1);
    expect(await sample('task_queue_seconds_sum', { task, code: 'timeout' })).to.equal(0.003);
    expect(await sample('task_run_seconds_sum', { task, code: 'timeout' })).to.equal(0.12);
    expect(await sample('task_run_seconds_bucket', { task, code: 'timeout', le: '0.1' })).to.equal(0);
    expect(await sample('task_run_seconds_bucket', { task, code: 'timeout', le: '0.25' })).to.equal(1);
    expect(await sample('leases_lost_total')).to.equal(1);
    expect(await sample('result_ack_seconds_sum')).to.equal(0.04);
    expect(await sample('journal_write_seconds_sum')).to.equal(0.0008);
    expect(await sample('policy_denials_total', { code: 'policy.instance' })).to.equal(1);
    expect(
      await sample('token_requests_total', { grant: 'refresh_token', code: 'token.invalid-client' }),
    ).to.equal(1);
    expect(await sample('instance_request_seconds_sum', { status: '429' })).to.equal(0.25);
    expect(await sample('instance_throttled_total')).to.equal(1);
    expect(await sample('trace_spans_lost_total')).to.equal(9);
  });

  it('read off what is so at the moment that somebody looks', async () => {
    for (const phase of PHASES) {
      expect(await sample('connection_phase', { phase }), phase).to.equal(phase === 'ready' ? 1 : 0);
    }
    const expected = {
      ready: 1,
      session_age_seconds: 3_630,
      credit: 11,
      capacity: 16,
      tasks_running: 5,
      outbox_results: 2,
      outbox_bytes: 4_711,
      outbox_oldest_seconds: 30,
      journal_writable: 1,
      audit_writable: 0,
      instances_paused: 3,
      state_disk_free_bytes: 1_000_000,
      log_lines_lost_total: 7,
    };
    for (const [name, value] of Object.entries(expected)) expect(await sample(name), name).to.equal(value);
    expect(await sample('event_loop_delay_seconds', { stat: 'max' })).to.equal(0.02);
    const { state } = OBSERVED;
    observed = {
      ...OBSERVED,
      state: {
        ...state,
        readiness: { ...state.readiness, ready: false },
        manager: { ...state.manager, session: null },
        outbox: { ...state.outbox, oldestFinishedAt: null },
      },
      logLinesLost: 9,
    };
    expect(await sample('ready')).to.equal(0);
    expect(await sample('session_age_seconds')).to.equal(0);
    expect(await sample('outbox_oldest_seconds')).to.equal(0);
    expect(await sample('log_lines_lost_total')).to.equal(9);
  });

  it('leave out what nobody knows, since an alert would believe a 0', async () => {
    observed = { ...OBSERVED, stateDiskFreeBytes: undefined };
    expect(await sample('state_disk_free_bytes')).to.equal(undefined);
    observed = OBSERVED;
    expect(await sample('state_disk_free_bytes')).to.equal(1_000_000);
  });

  it('do not grow by words of strangers: a thousand of each are one more series', async () => {
    everything();
    const count = async (): Promise<number> => samplesOf(await metrics.text()).length;
    const feed = (word: string): void => {
      metrics.connectFailed(word);
      metrics.taskRejected(word);
      metrics.policyDenied(word);
      metrics.tokenRequested('client_credentials', word);
      metrics.taskEnded({ task: word, outcome: 'failed', code: word, times: TIMES });
    };
    feed('strange');
    metrics.instanceAnswered(1, undefined);
    for (let status = 0; status < 1_000; status += 1) metrics.instanceAnswered(1, status);
    const before = await count();
    for (let n = 0; n < 1_000; n += 1) {
      feed(`strange-${n} "\\\n{}`);
      metrics.instanceAnswered(1, n * 7);
    }
    expect(await count()).to.equal(before);
    expect(await sample('task_results_total', { task: 'other', code: 'other' })).to.equal(1_001);
  });

  it('have no label that could name a host, a person, a ticket or a secret', async () => {
    everything();
    const labels = new Set(samplesOf(await metrics.text()).flatMap((one) => Object.keys(one.labels)));
    expect([...labels].toSorted()).to.deep.equal([
      'code',
      'grant',
      'le',
      'node',
      'outcome',
      'phase',
      'reason',
      'stat',
      'status',
      'task',
      'version',
    ]);
  });

  it('show each way in which a session can end from the start, so that an alert sees the first', async () => {
    for (const reason of SESSION_ENDS) {
      expect(await sample('session_ends_total', { reason }), reason).to.equal(0);
    }
  });

  it('are told to people as counts of what has happened, and of nothing else', async () => {
    expect(countsSchema.parse(await metrics.counts())).to.deep.include({ sessions: 0, sessionEnds: [] });
    everything();
    expect(await metrics.counts()).to.deep.equal({
      sessions: 1,
      sessionEnds: [{ reason: 'overdue', count: 1 }],
      connectFailures: [{ code: 'manager-unreachable', count: 1 }],
      taskResults: [{ task: 'servicenow.approval.check', outcome: 'failed', code: 'timeout', count: 1 }],
      taskRejects: [{ code: 'other', count: 1 }],
      leasesLost: 1,
      policyDenials: [{ code: 'policy.instance', count: 1 }],
      tokenRequests: [{ grant: 'refresh_token', code: 'token.invalid-client', count: 1 }],
      instanceThrottled: 1,
    });
  });

  it('are what docs/observability.md says of them: names, types, labels and meaning', async () => {
    everything();
    const text = await metrics.text();
    const labelsOf = (metric: string, type: string): string => {
      const own = ({ name }: Sample): boolean =>
        (type === 'histogram' ? name.replace(SUFFIXES, '') : name) === metric;
      const names = new Set(
        samplesOf(text)
          .filter(own)
          .flatMap((one) => Object.keys(one.labels)),
      );
      names.delete('le');
      return [...names].map((name) => `\`${name}\``).join(', ');
    };
    const rows = Array.from(
      metricsIn(text),
      ([name, { type, help }]) => `| \`${name}\` | ${type} | ${labelsOf(name, type)} | ${help} |`,
    );
    const documented = (await readFile(DOCUMENT, 'utf8'))
      .split('\n')
      .filter((line) => /^\| `(?:servicenow_delegate|process|nodejs)_/.test(line))
      .map((line) => line.replaceAll(/ +/g, ' ').replaceAll('|  |', '| |'));
    expect(documented).to.deep.equal(rows.map((row) => row.replaceAll('|  |', '| |')));
  });

  it('are OpenMetrics for whoever asks for them', async () => {
    everything();
    const text = asOpenMetrics(await metrics.text());
    expect(text).to.contain('\n# TYPE servicenow_delegate_task_results counter\n');
    expect(text).to.contain('\nservicenow_delegate_task_results_total{');
    expect(text).to.contain('\n# TYPE servicenow_delegate_task_run_seconds histogram\n');
    expect(text).not.to.contain('\n\n');
    expect(text.endsWith('\n# EOF\n')).to.equal(true);
  });

  it('please promtool', async function () {
    everything();
    const { status, said } = promtool(await metrics.text());
    // Debian's prometheus package has it (2026-11-24); `.ci/run` installs that where it can.
    if (status === null) this.skip();
    expect(said).to.equal('');
    expect(status).to.equal(0);
  });
});
