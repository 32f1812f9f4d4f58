import type { Status } from '../../observability/status.ts';
import { bytesText, counted, durationText } from './amounts.ts';
import { hanging, padded, type Terminal } from './layout.ts';

const NAME_COLUMNS = 12;
/** Of the tasks that run, those that have run longest. */
const SHOWN_TASKS = 3;

/** One glance: whether it is ready or what keeps it from it, then what an operator asks next. */
export function statusReport(status: Status, terminal: Terminal): string {
  const { width, paint } = terminal;
  const { readiness, delegate } = status;
  const verdict = readiness.ready
    ? `${delegate.name} is ready`
    : `${delegate.name} is not ready: ${readiness.reason ?? status.phase.is}`;
  const [mark, tone] = readiness.ready ? (['✓', 'good'] as const) : (['✗', 'bad'] as const);
  const row = (name: string, text: string): string[] =>
    hanging(`  ${padded(name, NAME_COLUMNS)}`, text, width);
  return [
    ...hanging(`${mark} `, verdict, width).map((line) => paint(tone, line)),
    '',
    ...row('connection', connectionText(status)),
    ...row('tasks', tasksText(status)),
    ...longestTasks(status).flatMap((text) => row('', text)),
    ...row('results', resultsText(status)),
    ...row('machine', machineText(status)),
    ...row('policy', policyText(status)),
    ...row('version', versionText(status)),
    ...remarkLines(status, terminal),
    ...failureLines(status, terminal),
  ]
    .map((line) => `${line}\n`)
    .join('');
}

function connectionText({ at, phase, manager }: Status): string {
  const { origin, session, nextAttemptAt } = manager;
  if (session !== null) {
    const ping = session.heartbeatRttMs === null ? '' : `, heartbeat ${durationText(session.heartbeatRttMs)}`;
    const paused = session.paused ? ', paused by the manager' : '';
    return `with ${origin} for ${durationText(session.ageMs)}${ping}${paused}`;
  }
  const since = `${phase.is} for ${between(at, phase.since)}`;
  const next = nextAttemptAt === null ? '' : `, next attempt in ${between(nextAttemptAt, at)}`;
  return `none with ${origin}: ${since}${next}`;
}

/** What lies between, never less than nothing: clocks are set. */
function between(later: string, earlier: string): string {
  return durationText(Math.max(0, Date.parse(later) - Date.parse(earlier)));
}

function tasksText({ tasks, counts }: Status): string {
  const ended = counts.taskResults.reduce((sum, { count }) => sum + count, 0);
  const failed = counts.taskResults
    .filter(({ outcome }) => outcome !== 'succeeded')
    .reduce((sum, { count }) => sum + count, 0);
  const wanted = tasks.credit === 0 ? '' : `, ${tasks.credit} more may come`;
  return `${tasks.running} of ${tasks.capacity} running${wanted}; ${ended} ended since the start${failed === 0 ? '' : `, ${failed} of them not well`}`;
}

function longestTasks({ tasks }: Status): string[] {
  return tasks.list
    .slice(0, SHOWN_TASKS)
    .map(({ taskId, attempt, name, ageMs }) => `${name} ${taskId}/${attempt}, for ${durationText(ageMs)}`);
}

function resultsText({ at, outbox }: Status): string {
  const { results, bytes, oldestFinishedAt } = outbox;
  if (results === 0) return 'none waits for the manager';
  const oldest = oldestFinishedAt === null ? '' : `, the oldest for ${between(at, oldestFinishedAt)}`;
  return `${counted(results, 'result')} (${bytesText(bytes)}) not acknowledged by the manager${oldest}`;
}

function machineText({ process: { rssBytes, eventLoopDelay, stateDiskFreeBytes } }: Status): string {
  const disk =
    stateDiskFreeBytes === null ? '' : `, ${bytesText(stateDiskFreeBytes)} free for the state folder`;
  return `${bytesText(rssBytes)} of memory, event loop late by ${durationText(eventLoopDelay.p99Ms)} (p99)${disk}`;
}

function policyText({ policy: { source, hash, requireSignedTasks } }: Status): string {
  const which =
    source === 'default' ? 'by default: no policy file' : `of a file, ${hash ?? 'without a hash'}`;
  return `${which}${requireSignedTasks ? '; signed tasks alone' : ''}`;
}

function versionText({ delegate: { version, node, pid, uptimeMs } }: Status): string {
  return `${version} on Node ${node}, process ${pid}, up for ${durationText(uptimeMs)}`;
}

/** Beside the verdict's own: what else fails, and what is worth knowing although it is fine. */
function remarkLines({ readiness }: Status, { width, paint }: Terminal): string[] {
  const remarks = readiness.checks.filter(
    ({ ok, detail }) => detail !== undefined && (ok || detail !== readiness.reason),
  );
  if (remarks.length === 0) return [];
  const lines = remarks.flatMap(({ name, ok, detail = '' }) => {
    const [first = '', ...more] = hanging('  ', `${name}: ${detail}`, width);
    return [`${ok ? paint('warning', '!') : paint('bad', '✗')} ${first.trimStart()}`, ...more];
  });
  return ['', ...lines];
}

function failureLines({ at, manager: { lastFailure } }: Status, { width, paint }: Terminal): string[] {
  if (lastFailure === null) return [];
  const { at: failedAt, code, message, hint } = lastFailure;
  return [
    '',
    ...hanging('', `Last failure, ${between(at, failedAt)} ago: ${message}`, width),
    ...(hint === null ? [] : hanging('  → ', hint, width)),
    ...hanging('    ', code, width).map((line) => paint('faint', line)),
  ];
}
