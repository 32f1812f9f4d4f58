import { parseArgs } from 'node:util';
import { describePlan, planOf } from '../test/chaos/plan.ts';
import { describeFailure, runSeed, type SeedReport } from '../test/chaos/run-seed.ts';
import { ProcessPools } from '../test/chaos/world.ts';
import { say, wholeNumber } from './arguments.ts';

/**
 * Real processes, real signals, real sockets: for each seed a manager and two or three delegates live through a
 * schedule of faults, and are judged by what they have written down.
 *
 *     npm run test:chaos -- --seeds 50
 *     npm run test:chaos -- --seed 17 --tasks 400
 *     npm run test:chaos -- --minutes 60
 *
 * Tasks and faults follow from the seed alone. When exactly a fault meets a step of a process does not, because the
 * processes are real: a failure may need its seed more than once to show again. Exit code 1 after the first failure,
 * with the seed, its schedule, and the story of each task that went wrong.
 */

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    seeds: { type: 'string', default: '50' },
    tasks: { type: 'string', default: '210' },
    minutes: { type: 'string', default: '0' },
  },
});
/** How long the faults of a seed go on, of the world's time. */
const LASTS_MS = 240_000;
/** The manager keeps no more ended tasks than these, and a restarted one must know every task that it was given. */
const MAX_TASKS = 1_000;
const MS_PER_MINUTE = 60_000;

const tasks = wholeNumber('tasks', values.tasks, { most: MAX_TASKS });
const minutes = wholeNumber('minutes', values.minutes);
const seeds = wholeNumber('seeds', values.seeds);
const startedAt = performance.now();
const reports: SeedReport[] = [];

await using pools = await ProcessPools.start();
// Frozen processes would outlive this one.
process.once('SIGINT', () => void pools[Symbol.asyncDispose]().finally(() => process.exit(130)));

for (const seed of wantedSeeds()) {
  const plan = planOf(seed, { tasks, lastsMs: LASTS_MS });
  if (values.seed !== undefined) say(describePlan(plan));
  const seedStartedAt = performance.now();
  const report = await runSeed(plan, pools);
  reports.push(report);
  const seconds = ((performance.now() - seedStartedAt) / 1_000).toFixed(1);
  say(
    `seed ${seed}: ${seconds} s, ${plan.faults.length} faults, ${report.assigns} assigns; ${counted([report])}`,
  );
  if (report.failure === undefined) continue;
  say(describeFailure(report));
  process.exitCode = 1;
  break;
}
const taskCount = reports.reduce((sum, { plan }) => sum + plan.tasks.length, 0);
say(`${reports.length} seeds, ${taskCount} tasks: ${counted(reports)}`);

function* wantedSeeds(): Generator<number> {
  if (values.seed !== undefined) {
    yield wholeNumber('seed', values.seed);
    return;
  }
  const isTimeLeft = (): boolean => performance.now() - startedAt < minutes * MS_PER_MINUTE;
  for (let seed = 1; seed <= seeds || isTimeLeft(); seed += 1) yield seed;
}

function counted(of: readonly SeedReport[]): string {
  const sums: Record<string, number> = {};
  for (const { counts } of of) {
    for (const [what, count] of Object.entries(counts)) sums[what] = (sums[what] ?? 0) + count;
  }
  return Object.entries(sums)
    .toSorted(([a], [b]) => a.localeCompare(b))
    .map(([what, count]) => `${what} ${count}`)
    .join(', ');
}
