import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { keyOf } from '../../src/protocol/messages.ts';
import type { TaskRecord } from '../../src/manager/manager.ts';
import { promisedLines, type Ended } from '../support/promised-lines.ts';
import type { FrameRow, Row } from './chronicle.ts';
import type { LedgerLine } from './ledger.ts';
import type { Plan, TaskPlan } from './plan.ts';

/** Something that must never happen, of one task. */
export interface Violation {
  readonly key: string;
  readonly what: string;
}

interface Evidence {
  readonly plan: Plan;
  readonly rows: readonly Row[];
  readonly ledger: readonly LedgerLine[];
}

/** What the chronicle tells of one task, in order. */
interface TaskStory {
  readonly key: string;
  readonly taskId: string;
  readonly rows: readonly (TaskRow | FrameRow)[];
}

interface TaskRow {
  readonly kind: 'put';
  readonly record: TaskRecord;
}

const inputSchema = z.object({ key: z.string() });

/** Judges a world after its end by what was written down while it lasted. Pure. */
export function judge(evidence: Evidence): Violation[] {
  const stories = storiesOf(evidence.rows);
  return evidence.plan.tasks.flatMap((task) => {
    const own = stories.filter(({ key }) => key === task.key);
    const [story] = own;
    const lines = evidence.ledger.filter(({ key }) => key === task.key).length;
    const complaints =
      story === undefined || own.length > 1
        ? [`the manager made ${own.length} tasks of one`]
        : [
            ...ofEnding(story),
            ...ofAcknowledgements(story),
            ...ofAttempts(task, story),
            ...ofMemory(story),
            ...ofLedger(task, story, lines),
          ];
    return complaints.map((what) => ({ key: task.key, what }));
  });
}

export function storiesOf(rows: readonly Row[]): TaskStory[] {
  const stories = new Map<string, { key: string; taskId: string; rows: (TaskRow | FrameRow)[] }>();
  for (const row of rows) {
    if (row.kind === 'frame') stories.get(row.taskId)?.rows.push(row);
    // A record that is deleted says nothing new: the manager keeps a bounded number of ended tasks.
    else if (row.in === 'tasks' && row.record !== null) {
      const { record, id: taskId } = row;
      const story = stories.get(taskId) ?? { key: inputSchema.parse(record.input).key, taskId, rows: [] };
      stories.set(taskId, story);
      story.rows.push({ kind: 'put', record });
    }
  }
  return [...stories.values()];
}

/** How the task ended; undefined if it has not. */
export function endingOf(story: TaskStory): Ended | undefined {
  const state = recordsOf(story).at(-1)?.state;
  return state?.at === 'ended' ? state : undefined;
}

function recordsOf(story: TaskStory): TaskRecord[] {
  return story.rows.flatMap((row) => (row.kind === 'put' ? [row.record] : []));
}

/** Exactly one ending, which nothing changes any more. */
function ofEnding(story: TaskStory): string[] {
  const states = recordsOf(story).map(({ state }) => state);
  const first = states.findIndex(({ at }) => at === 'ended');
  if (first < 0) return ['it has not ended'];
  const changed = states.slice(first + 1).filter((state) => !isDeepStrictEqual(state, states[first]));
  return changed.map(({ at }) => `it had ended, and became ${at} again`);
}

/**
 * When a result is acknowledged, the delegate forgets it. So the task has ended by then, or the result could not
 * count any more: it is of an attempt that was given up, and says nothing but that.
 */
function ofAcknowledgements(story: TaskStory): string[] {
  const complaints: string[] = [];
  const outcomes = new Map<string, string>();
  let record: TaskRecord | undefined;
  for (const row of story.rows) {
    if (row.kind === 'put') record = row.record;
    else if (row.type === 'task.result') outcomes.set(keyOf(row), row.outcome ?? '');
    else if (row.type === 'result.ack') {
      const attempt = record?.attempt ?? 0;
      const givenUp = record?.state.at === 'waiting' && outcomes.get(keyOf(row)) === 'cancelled';
      if (record?.state.at === 'ended' || attempt > row.attempt || givenUp) continue;
      complaints.push(`result ${keyOf(row)} was acknowledged and not kept`);
    }
  }
  const ending = endingOf(story);
  // Only a result has timing; the manager's own endings have none.
  if (ending !== undefined && ending.timing !== null) {
    const told = outcomes.get(keyOf({ taskId: story.taskId, attempt: record?.attempt ?? 0 }));
    if (told !== ending.outcome) complaints.push(`it ended ${ending.outcome}, and its result said ${told}`);
  }
  return complaints;
}

/** Attempts are counted one by one, and of work that may write the manager confirms one alone. */
function ofAttempts(task: TaskPlan, story: TaskStory): string[] {
  const complaints: string[] = [];
  let last = 0;
  for (const { attempt } of recordsOf(story)) {
    if (attempt !== last && attempt !== last + 1) complaints.push(`attempt ${attempt} came after ${last}`);
    last = attempt;
  }
  const confirmed = new Set([
    ...recordsOf(story).flatMap(({ history }) =>
      history.filter(({ what }) => what === 'accepted').map(({ attempt }) => attempt),
    ),
    ...story.rows.flatMap((row) => (row.kind === 'frame' && row.type === 'accept.ack' ? [row.attempt] : [])),
  ]);
  if (task.work.name === 'ledger.append' && confirmed.size > 1) {
    complaints.push(`attempts ${[...confirmed].join(' and ')} were both allowed to write`);
  }
  return complaints;
}

/**
 * The delegate that began a task always comes back, and its disk with it: it knows what became of the task, if only
 * that nobody can. A manager that ends it as `unknown` by itself was told nothing, so something was forgotten.
 */
function ofMemory(story: TaskStory): string[] {
  const ending = endingOf(story);
  if (ending?.outcome !== 'unknown' || ending.timing !== null) return [];
  return ['the manager had to guess'];
}

function ofLedger(task: TaskPlan, story: TaskStory, lines: number): string[] {
  if (task.work.name !== 'ledger.append') return [];
  if (lines > 1) return [`it was done ${lines} times`];
  const ending = endingOf(story);
  if (ending === undefined || promisedLines(ending).includes(lines)) return [];
  return [`it ended ${ending.outcome}, and was ${lines === 0 ? 'not done' : 'done'}`];
}

/** Everything that is known of a task, for whoever looks for the reason. */
export function tellStory(story: TaskStory): string {
  const lines = story.rows.map((row) => {
    if (row.kind === 'frame') {
      const { at, direction, type, attempt, sessionId, outcome = '' } = row;
      const arrow = direction === 'sent' ? '──►' : '◄──';
      return `${at}  ${arrow} ${type} #${attempt} ${outcome} (${sessionId.slice(0, 8)})`;
    }
    const { state, attempt, history } = row.record;
    const event = history.at(-1);
    const holder = event?.holder?.name ?? '';
    return `${event?.at ?? ''}  #${attempt} ${state.at}: ${event?.what ?? ''} ${holder} ${event?.detail ?? ''}`;
  });
  return [`task ${story.key} (${story.taskId})`, ...lines].join('\n');
}
