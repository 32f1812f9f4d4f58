import type { Simulation } from './world.ts';

const LAST_EVENTS = 80;

/** What a failed simulation has to say for itself: the seed, what was broken, how it came to that. */
export function explain({ seed, plan, history, violations }: Simulation): string {
  const [first] = violations;
  if (first === undefined) return `seed ${seed}: nothing went wrong`;
  const { what, at, task } = first;
  return [
    `seed ${seed}: ${what}`,
    `(npm run test:simulate -- --seed ${seed} --tasks ${plan.tasks.length} --verbose)`,
    `--- the last ${LAST_EVENTS} events before it was noticed`,
    ...history.last(LAST_EVENTS, at),
    ...(task === undefined ? [] : [`--- the story of ${task}`, ...history.storyOf(task)]),
  ].join('\n');
}
