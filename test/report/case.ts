import { z } from 'zod';
import type { FaultSpec } from '../../src/dev/fake-servicenow/faults/faults.ts';
import { HttpClient } from '../../src/http/client.ts';
import { wrap } from '../../src/kit/errors.ts';
import { wireErrorSchema } from '../../src/protocol/messages.ts';
import {
  connectorTo,
  openBench,
  QUESTION,
  readReport,
  taskContext,
  type AuthInput,
  type Bench,
} from '../support/servicenow.ts';
import { dialerWith } from '../support/dialer.ts';
import { lookOverTls } from './look-over-tls.ts';

/**
 * The table of cases: what ServiceNow, AD FS, a token server or the network does, and what a user then reads. Each is a
 * real run of a task against the fakes.
 */

type TaskName = 'check' | 'validate';

/** What is looked at, and how; everything has a usual value. */
export interface Look {
  auth?: AuthInput;
  url?: string;
  /** Ticket, criteria and window; a change in Implement that is to be in Implement unless given. */
  question?: Readonly<Record<string, unknown>>;
  /** What another task asks at the same moment. */
  beside?: Readonly<Record<string, unknown>>;
}

export interface Scene {
  readonly bench: Bench;
  /** Ends when the case does. */
  readonly keep: <T extends AsyncDisposable>(resource: T) => T;
}

export interface ReportCase {
  /** Section and number of the case. */
  readonly id: string;
  readonly title: string;
  /** What the other side does. */
  readonly server: string;
  /** The code of the error, or the decision, or `SUCCESS`; after a plus the codes of warnings. */
  readonly expected: string;
  /** Which tasks come to it; the first is told in the table. Both unless given, and the check alone if it succeeds. */
  readonly tasks?: readonly TaskName[];
  /** Time for the task, milliseconds, where a second attempt would only take time. */
  readonly timeMs?: number;
  /** Shorter than the product's, milliseconds. */
  readonly timeouts?: { readonly connectTimeoutMs?: number; readonly answerTimeoutMs?: number };
  /** Certificate that the process of the look trusts, PEM; such a look is one of its own. */
  readonly trusting?: () => Promise<string>;
  arrange(scene: Scene): Look | Promise<Look>;
}

/** An error as the manager reads it. */
type ToldError = z.infer<typeof wireErrorSchema>;

/** How a run ended. */
export interface Ending {
  /** As in `expected`. */
  readonly came: string;
  readonly error: ToldError | undefined;
  /** What the user reads. */
  readonly sentence: string;
}

/** Too short for a long pause after which it would be asked again; long enough for repetitions at once. */
const TASK_TIME_MS = 2_900;
/** A look that waits for a time-out takes so long as it is: undici's timers have a grain of half a second and more. */
export const ONE_ATTEMPT_MS = 1_000;

export function tasksOf({ tasks, expected }: ReportCase): readonly TaskName[] {
  return tasks ?? (expected.includes('.') && !expected.includes('+') ? ['check', 'validate'] : ['check']);
}

/** A case in which the instance does one thing to every request for a table. */
export function faultCase(
  id: string,
  title: string,
  server: string,
  fault: FaultSpec['fault'] | FaultSpec,
  expected: string,
  more: Partial<ReportCase> = {},
): ReportCase {
  return {
    id,
    title,
    server,
    expected,
    arrange({ bench }) {
      bench.instance.faults.add({
        match: { route: 'table' },
        ...(typeof fault === 'string' ? { fault } : fault),
      });
      return {};
    },
    ...more,
  };
}

/** Never rejects for what the task rejects with. */
export async function run(reportCase: ReportCase, task: TaskName): Promise<Ending> {
  const kept: AsyncDisposable[] = [];
  const { timeouts, trusting } = reportCase;
  const keep = <T extends AsyncDisposable>(resource: T): T => {
    kept.push(resource);
    return resource;
  };
  await using bench = await openBench(
    timeouts === undefined ? {} : { http: () => keep(impatientClient(timeouts)) },
  );
  try {
    const look = await reportCase.arrange({ bench, keep });
    const { auth = bench.asUser('svc_deploy'), url = bench.instance.url, question = QUESTION, beside } = look;
    if (trusting !== undefined) return endingOf(task, await lookOverTls(task, url, await trusting()));
    const connector = connectorTo(url, auth);
    const [outcome] = await Promise.all(
      [question, ...(beside === undefined ? [] : [beside])].map((asked) =>
        outcomeOf(bench, task, { connector, ...(task === 'check' ? asked : {}) }, reportCase.timeMs),
      ),
    );
    return endingOf(task, outcome);
  } finally {
    for (const resource of kept.toReversed()) await resource[Symbol.asyncDispose]();
  }
}

function impatientClient(timeouts: NonNullable<ReportCase['timeouts']>): HttpClient {
  return new HttpClient({
    dialer: dialerWith(),
    guardUrl: () => {},
    guardRequest: () => {},
    guardAddress: () => {},
    userAgent: 'servicenow-delegate/1.2.3',
    ...timeouts,
  });
}

/** An input that is refused ends a task before it begins. */
async function outcomeOf(
  bench: Bench,
  task: TaskName,
  input: unknown,
  timeMs = TASK_TIME_MS,
): Promise<unknown> {
  try {
    return await bench.outcome(bench.tasks[task], input, taskContext({ timeMs }));
  } catch (thrown) {
    return { error: wrap(thrown).toWire() };
  }
}

const outcomeSchema = z.union([z.object({ output: z.unknown() }), z.object({ error: wireErrorSchema })]);
const answerSchema = z.object({
  decision: z.string(),
  reason: z.string(),
  warnings: z.array(wireErrorSchema),
});

function endingOf(task: TaskName, raw: unknown): Ending {
  const outcome = outcomeSchema.parse(raw);
  if ('error' in outcome) {
    const { error } = outcome;
    return { came: error.code, error, sentence: [error.message, error.hint].filter(Boolean).join(' ') };
  }
  if (task === 'check') {
    const { decision, reason, warnings } = answerSchema.parse(outcome.output);
    return good(decision, reason, warnings);
  }
  const { status, errors, errorSummary = '', warnings } = readReport(outcome.output);
  if (status === 'SUCCESS') return good('SUCCESS', 'The connection works.', warnings);
  return { came: errors.map(({ code }) => code).join(', '), error: errors[0], sentence: errorSummary };
}

function good(came: string, said: string, warnings: readonly ToldError[]): Ending {
  const warned = warnings.map(({ message, hint }) => ['Warning:', message, hint].filter(Boolean).join(' '));
  return {
    came: [came, ...warnings.map(({ code }) => code)].join(' + '),
    error: undefined,
    sentence: [said, ...warned].join('. '),
  };
}
