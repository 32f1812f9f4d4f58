import { parseArgs } from 'node:util';
import { explain } from '../test/simulation/report.ts';
import { simulate } from '../test/simulation/world.ts';
import { say, wholeNumber } from './arguments.ts';

/**
 * Lives through simulated worlds, one seed each: delegates, their journals and a manager, on a network, disks and a
 * clock that do what a seed makes them do.
 *
 *     npm run test:simulate -- --seeds 500                  500 worlds, from seed 1 on
 *     npm run test:simulate -- --seed 31 --verbose          the whole history of one world
 *     npm run test:simulate -- --seed 1000 --seeds 200 --tasks 100
 *
 * The same seed and number of tasks give the same history, to the letter, for as long as the code is the same.
 * Exit code 1, with the seed and the story of what went wrong, at the first world in which something does.
 */

const { values } = parseArgs({
  options: {
    seeds: { type: 'string' },
    seed: { type: 'string', default: '1' },
    tasks: { type: 'string', default: '60' },
    verbose: { type: 'boolean', default: false },
  },
});
const firstSeed = wholeNumber('seed', values.seed);
const tasks = wholeNumber('tasks', values.tasks);
const { verbose } = values;
const seeds = wholeNumber('seeds', values.seeds ?? '1');

const startedAt = performance.now();
const outcomes = new Map<string, number>();
let simulatedMs = 0;
for (let seed = firstSeed; seed < firstSeed + seeds; seed += 1) {
  const onLine = verbose ? say : undefined;
  const simulation = await simulate({ seed, tasks, onLine });
  if (simulation.violations.length > 0) {
    process.stderr.write(`${explain(simulation)}\n`);
    process.exitCode = 1;
    break;
  }
  simulatedMs += simulation.durationMs;
  for (const [outcome, count] of simulation.outcomes) {
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + count);
  }
}

const seconds = ((performance.now() - startedAt) / 1_000).toFixed(1);
const ends = Array.from(outcomes, ([outcome, count]) => `${outcome} × ${count}`).join(', ');
say(`${Math.round(simulatedMs / 60_000)} simulated minutes in ${seconds} s; tasks that went right: ${ends}`);
