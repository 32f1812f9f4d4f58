import type { Registry } from 'prom-client';
import Counter from 'prom-client/lib/counter.js';
import Gauge from 'prom-client/lib/gauge.js';
import { PHASES, type DelegateState, type LoopDelayTimes } from './status.ts';

export const PREFIX = 'servicenow_delegate_';
const MS_PER_S = 1_000;

/** What can be read off at any moment. */
export interface Observed {
  /** Milliseconds since the epoch. */
  readonly now: number;
  readonly state: Omit<DelegateState, 'enrolment'>;
  readonly loopDelay: LoopDelayTimes;
  /** Instances of ServiceNow that are left alone at present. */
  readonly instancesPaused: number;
  /** Undefined where the system does not say. */
  readonly stateDiskFreeBytes: number | undefined;
  readonly logLinesLost: number;
}

/** Registers what is read off when somebody looks, and returns what takes a look. */
export function observedGauges(registry: Registry, version: string): (observed: Observed) => void {
  const registers = [registry];
  const gauge = (name: string, help: string, ...labelNames: string[]): Gauge =>
    new Gauge({ name: PREFIX + name, help, labelNames, registers });

  gauge('build_info', 'Always 1; the labels say what runs.', 'version', 'node').set(
    { version, node: process.versions.node },
    1,
  );
  const phase = gauge('connection_phase', 'Whether the delegate is in this phase.', 'phase');
  const ready = gauge('ready', 'Whether every check of /readyz passes.');
  const sessionAge = gauge('session_age_seconds', 'Age of the open session; 0 without one.');
  const credit = gauge('credit', 'Tasks that the manager may send at once: granted, and not used.');
  const capacity = gauge('capacity', 'Tasks that may run at once.');
  const running = gauge('tasks_running', 'Tasks that were taken and have not ended.');
  const results = gauge('outbox_results', 'Results that wait for their acknowledgement.');
  const bytes = gauge('outbox_bytes', 'Size of the results that wait.');
  const oldest = gauge('outbox_oldest_seconds', 'Age of the oldest result that waits; 0 without one.');
  const journal = gauge('journal_writable', 'Whether tasks can be recorded.');
  const audit = gauge('audit_writable', 'Whether the audit log can be written; 1 where it is switched off.');
  const paused = gauge('instances_paused', 'Instances of ServiceNow that are left alone at present.');
  const loopDelay = gauge(
    'event_loop_delay_seconds',
    'How late the event loop was within the last whole window of a few seconds.',
    'stat',
  );
  const diskFree = gauge('state_disk_free_bytes', 'Free on the file system of the state folder.');
  const logLinesLost = new Counter({
    name: `${PREFIX}log_lines_lost_total`,
    help: 'Lines of the log that its output did not take.',
    registers,
  });

  return (observed) => {
    const { state, now } = observed;
    const { session } = state.manager;
    const { oldestFinishedAt } = state.outbox;
    for (const each of PHASES) phase.set({ phase: each }, Number(each === state.phase.is));
    ready.set(Number(state.readiness.ready));
    sessionAge.set((session?.ageMs ?? 0) / MS_PER_S);
    credit.set(state.tasks.credit);
    capacity.set(state.tasks.capacity);
    running.set(state.tasks.running);
    results.set(state.outbox.results);
    bytes.set(state.outbox.bytes);
    oldest.set(oldestFinishedAt === null ? 0 : Math.max(0, (now - Date.parse(oldestFinishedAt)) / MS_PER_S));
    journal.set(Number(state.journal.writable));
    audit.set(Number(state.audit.writable));
    paused.set(observed.instancesPaused);
    loopDelay.set({ stat: 'mean' }, observed.loopDelay.meanMs / MS_PER_S);
    loopDelay.set({ stat: 'p99' }, observed.loopDelay.p99Ms / MS_PER_S);
    loopDelay.set({ stat: 'max' }, observed.loopDelay.maxMs / MS_PER_S);
    setIfKnown(diskFree, observed.stateDiskFreeBytes);
    setTotal(logLinesLost, observed.logLinesLost);
  };
}

/** No number is better than a wrong one, which an alert would believe. */
export function setIfKnown(gauge: Gauge, value: number | undefined): void {
  if (value === undefined) gauge.remove();
  else gauge.set(value);
}

/** For a total that is counted elsewhere. */
export function setTotal(counter: Counter, total: number): void {
  counter.reset();
  counter.inc(total);
}
