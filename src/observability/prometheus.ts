import Counter from 'prom-client/lib/counter.js';
import Histogram from 'prom-client/lib/histogram.js';
import Registry from 'prom-client/lib/registry.js';
import {
  OTHER,
  SESSION_ENDS,
  SUCCEEDED,
  type Metrics,
  type SessionEnd,
  type TaskEnd,
  type TokenGrant,
} from './metrics.ts';
import { observedGauges, PREFIX, type Observed } from './observed-gauges.ts';
import { processGauges } from './process-gauges.ts';
import { countsSchema, type Counts } from './status.ts';

const MS_PER_S = 1_000;

/** Seconds, from what a memory answers to what only a person waits for. */
const TASK_BUCKETS_S = [0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];
const QUEUE_BUCKETS_S = [0.001, 0.005, 0.025, 0.1, 0.5, 1, 5, 30, 60, 300];
const NETWORK_BUCKETS_S = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
const DISK_BUCKETS_S = [0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5, 10];

/** Statuses of ServiceNow that mean something of their own; others are counted by their hundred. */
const TOLD_STATUSES: ReadonlySet<number> = new Set([200, 400, 401, 403, 404, 429, 500, 502, 503, 504]);

export interface PrometheusOptions {
  readonly version: string;
  /** Asked when somebody looks, and no more often. */
  readonly observe: () => Observed;
  /** Codes, of errors and of rejects, that may be a label; each other one is counted as `other`. */
  readonly codes: ReadonlySet<string>;
  /** Likewise the names of tasks. */
  readonly taskNames: () => ReadonlySet<string>;
}

/** Counters and histograms in memory, and what is read off, as Prometheus wants them. */
export class PrometheusMetrics implements Metrics {
  readonly #options: PrometheusOptions;
  readonly #registry = new Registry();
  readonly #observe: (observed: Observed) => void;
  readonly #observeProcess: () => void;
  readonly #sessions = this.#counter('sessions_total', 'Sessions that the manager has welcomed.');
  readonly #sessionEnds = this.#counter('session_ends_total', 'Sessions that have ended, by how.', 'reason');
  readonly #connectFailures = this.#counter(
    'connect_failures_total',
    'Attempts to enrol or to open a session that failed, by error code.',
    'code',
  );
  readonly #heartbeatRtt = this.#histogram(
    'heartbeat_rtt_seconds',
    'From a heartbeat to its acknowledgement.',
    NETWORK_BUCKETS_S,
  );
  readonly #taskResults = this.#counter(
    'task_results_total',
    'Tasks that have ended.',
    'task',
    'outcome',
    'code',
  );
  readonly #taskQueue = this.#histogram(
    'task_queue_seconds',
    'From the arrival of a task to the beginning of its work.',
    QUEUE_BUCKETS_S,
    'task',
    'code',
  );
  readonly #taskRun = this.#histogram(
    'task_run_seconds',
    'From the beginning of the work of a task to its end.',
    TASK_BUCKETS_S,
    'task',
    'code',
  );
  readonly #taskRejects = this.#counter('task_rejects_total', 'Tasks that were not taken.', 'code');
  readonly #leasesLost = this.#counter(
    'leases_lost_total',
    'Tasks given up because the manager could not be reached for as long as their lease.',
  );
  readonly #resultAck = this.#histogram(
    'result_ack_seconds',
    'From a result that is ready to its acknowledgement by the manager.',
    TASK_BUCKETS_S,
  );
  readonly #journalWrite = this.#histogram(
    'journal_write_seconds',
    'Until a group of records of tasks is safe on the disk.',
    DISK_BUCKETS_S,
  );
  readonly #policyDenials = this.#counter('policy_denials_total', 'What the policy has denied.', 'code');
  readonly #tokenRequests = this.#counter(
    'token_requests_total',
    'Exchanges with token servers.',
    'grant',
    'code',
  );
  readonly #instanceRequests = this.#histogram(
    'instance_request_seconds',
    'Requests to ServiceNow, by the status of the answer.',
    NETWORK_BUCKETS_S,
    'status',
  );
  readonly #instanceThrottled = this.#counter(
    'instance_throttled_total',
    'Answers of ServiceNow that ask for fewer requests (HTTP 429).',
  );

  readonly #spansLost = this.#counter(
    'trace_spans_lost_total',
    'Spans of traces that the collector has not taken.',
  );

  constructor(options: PrometheusOptions) {
    this.#options = options;
    // A rate over what has never happened is nothing to an alert, and 0 only if the series is there.
    for (const reason of SESSION_ENDS) this.#sessionEnds.inc({ reason }, 0);
    this.#observe = observedGauges(this.#registry, options.version);
    this.#observeProcess = processGauges(this.#registry);
  }

  // --- what happens -----------------------------------------------------------------------------------------

  sessionOpened(): void {
    this.#sessions.inc();
  }

  sessionEnded(reason: SessionEnd): void {
    this.#sessionEnds.inc({ reason });
  }

  connectFailed(code: string): void {
    this.#connectFailures.inc({ code: this.#known(code) });
  }

  heartbeatAcknowledged(roundTripMs: number): void {
    this.#heartbeatRtt.observe(roundTripMs / MS_PER_S);
  }

  taskEnded({ task: name, outcome, code: anyCode, times }: TaskEnd): void {
    const task = this.#options.taskNames().has(name) ? name : OTHER;
    const code = this.#known(anyCode);
    this.#taskResults.inc({ task, outcome, code });
    if (times === undefined) return;
    this.#taskQueue.observe({ task, code }, times.queueMs / MS_PER_S);
    this.#taskRun.observe({ task, code }, times.runMs / MS_PER_S);
  }

  taskRejected(code: string): void {
    this.#taskRejects.inc({ code: this.#known(code) });
  }

  leaseLost(): void {
    this.#leasesLost.inc();
  }

  resultAcknowledged(waitedMs: number): void {
    this.#resultAck.observe(waitedMs / MS_PER_S);
  }

  journalWritten(tookMs: number): void {
    this.#journalWrite.observe(tookMs / MS_PER_S);
  }

  policyDenied(code: string): void {
    this.#policyDenials.inc({ code: this.#known(code) });
  }

  tokenRequested(grant: TokenGrant, code: string): void {
    this.#tokenRequests.inc({ grant, code: this.#known(code) });
  }

  instanceAnswered(tookMs: number, status: number | undefined): void {
    this.#instanceRequests.observe({ status: statusLabel(status) }, tookMs / MS_PER_S);
    if (status === 429) this.#instanceThrottled.inc();
  }

  spansLost(spans: number): void {
    this.#spansLost.inc(spans);
  }

  // --- who looks --------------------------------------------------------------------------------------------

  /** In the text format of Prometheus. */
  async text(): Promise<string> {
    this.#observe(this.#options.observe());
    this.#observeProcess();
    return await this.#registry.metrics();
  }

  /** What was counted, for people. */
  async counts(): Promise<Counts> {
    const total = async (counter: Counter): Promise<number> => (await counter.get()).values[0]?.value ?? 0;
    const rows = async (counter: Counter): Promise<unknown[]> =>
      (await counter.get()).values
        .filter(({ value }) => value > 0)
        .map(({ labels, value }) => ({ ...labels, count: value }));
    return countsSchema.parse({
      sessions: await total(this.#sessions),
      sessionEnds: await rows(this.#sessionEnds),
      connectFailures: await rows(this.#connectFailures),
      taskResults: await rows(this.#taskResults),
      taskRejects: await rows(this.#taskRejects),
      leasesLost: await total(this.#leasesLost),
      policyDenials: await rows(this.#policyDenials),
      tokenRequests: await rows(this.#tokenRequests),
      instanceThrottled: await total(this.#instanceThrottled),
    });
  }

  #known(code: string): string {
    return code === SUCCEEDED || this.#options.codes.has(code) ? code : OTHER;
  }

  #counter(name: string, help: string, ...labelNames: string[]): Counter {
    return new Counter({ name: PREFIX + name, help, labelNames, registers: [this.#registry] });
  }

  #histogram(name: string, help: string, buckets: number[], ...labelNames: string[]): Histogram {
    return new Histogram({ name: PREFIX + name, help, buckets, labelNames, registers: [this.#registry] });
  }
}

function statusLabel(status: number | undefined): string {
  if (status === undefined) return 'failed';
  if (TOLD_STATUSES.has(status)) return String(status);
  return status >= 200 && status < 600 ? `${Math.floor(status / 100)}xx` : OTHER;
}

/**
 * The same as OpenMetrics 1.0, for whoever asks for it: a counter is named there without its `_total`, no line is empty,
 * and the end is said. prom-client does this itself only by renaming the counters for good.
 */
export function asOpenMetrics(text: string): string {
  const lines = text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => line.replace(/^(# (?:HELP|TYPE) \S+)_total /, '$1 '));
  return `${lines.join('\n')}\n# EOF\n`;
}
