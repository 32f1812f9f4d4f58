import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bundle, type NumberedMutant } from './bundle.ts';
import { WorkerProcess } from './worker-process.ts';

export interface MutationRun {
  /** Absolute paths. */
  readonly sources: readonly string[];
  /** Absolute paths. */
  readonly tests: readonly string[];
  /** Processes at a time. */
  readonly workers: number;
  readonly isWanted?: (mutant: NumberedMutant) => boolean;
  readonly onResult?: (result: MutantResult) => void;
  /** Added to the time that a mutant may take. */
  readonly slackMs?: number;
}

export interface MutantResult {
  readonly mutant: NumberedMutant;
  /**
   * Killed: a test failed. Stuck: the tests did not end in time. Broken: they took their process down. Unreached:
   * no test gets there, which is a survivor too.
   */
  readonly fate: 'killed' | 'stuck' | 'broken' | 'survived' | 'unreached';
  /** The first test that failed. */
  readonly by: string | null;
}

/** Bound on the run without mutants, which starts a process and compiles the script besides. */
const FIRST_RUN_MS = 120_000;

/** A mutant may make its tests this much slower, and take a little more, before it counts as endless. */
const SLOWNESS = 5;

/** Enough for a process to start. */
const SLACK_MS = 5_000;

/** Whether the tests let it through. */
export function isSurvivor({ fate }: MutantResult): boolean {
  return fate === 'survived' || fate === 'unreached';
}

/**
 * Runs the tests once for each mutant and tells which mutants no test noticed.
 *
 * @throws Error if a test fails without any mutant
 */
export async function mutate({ sources, tests, workers, ...options }: MutationRun): Promise<MutantResult[]> {
  const { isWanted = () => true, onResult = () => undefined, slackMs = SLACK_MS } = options;
  const { script, mutants } = await bundle({ sources, tests });
  const folder = await mkdtemp(join(tmpdir(), 'mutants-'));
  try {
    const scriptPath = join(folder, 'tests.cjs');
    await writeFile(scriptPath, script);
    const coverage = await cover(scriptPath);
    const waiting = mutants.filter(isWanted).values();
    const results: MutantResult[] = [];
    await Promise.all(
      Array.from({ length: workers }, async () => {
        await using worker = new WorkerProcess(scriptPath);
        // One iterator for all: whoever is free takes the next.
        for (const mutant of waiting) {
          const result = await challenge(mutant, coverage, worker, slackMs);
          results.push(result);
          onResult(result);
        }
      }),
    );
    return results.sort((a, b) => a.mutant.number - b.mutant.number);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

interface Coverage {
  readonly tests: readonly {
    readonly title: string;
    readonly reached: ReadonlySet<number>;
    readonly durationMs: number;
  }[];
  readonly atLoad: ReadonlySet<number>;
}

/** A test that takes as long is run for those mutants alone that all quicker tests let through. */
const SLOW_TEST_MS = 20;

async function cover(scriptPath: string): Promise<Coverage> {
  await using worker = new WorkerProcess(scriptPath);
  const answer = await worker.run({ task: 'cover' }, FIRST_RUN_MS);
  if (typeof answer === 'string') throw new Error(`without any mutant, the tests are ${answer}`);
  if (answer.failure !== null) throw new Error(`without any mutant, a test fails: ${answer.failure}`);
  const tests = Object.entries(answer.tests).map(([title, test]) => ({
    title,
    reached: new Set(test.reached),
    durationMs: test.durationMs,
  }));
  return { tests, atLoad: new Set(answer.atLoad) };
}

async function challenge(
  mutant: NumberedMutant,
  { tests, atLoad }: Coverage,
  worker: WorkerProcess,
  slackMs: number,
): Promise<MutantResult> {
  const { number } = mutant;
  // What a module's constant decides may show in any test.
  const reaching = tests.filter(({ reached }) => atLoad.has(number) || reached.has(number));
  if (reaching.length === 0) return { mutant, fate: 'unreached', by: null };
  const isSlow = ({ durationMs }: { durationMs: number }): boolean => durationMs >= SLOW_TEST_MS;
  for (const group of [reaching.filter((test) => !isSlow(test)), reaching.filter(isSlow)]) {
    if (group.length === 0) continue;
    const skip = tests.filter((test) => !group.includes(test)).map(({ title }) => title);
    const durationMs = group.reduce((sum, test) => sum + test.durationMs, 0);
    const limitMs = Math.ceil(SLOWNESS * durationMs) + slackMs;
    const answer = await worker.run({ task: 'challenge', mutant: number, skip }, limitMs);
    if (typeof answer === 'string') return { mutant, fate: answer, by: null };
    if (answer.failure !== null) return { mutant, fate: 'killed', by: answer.failure };
  }
  return { mutant, fate: 'survived', by: null };
}
