import { expect } from 'chai';
import { leavesNothingOpen } from '../support/open-handles.ts';
import { explain } from './report.ts';
import { simulate } from './world.ts';

const SEEDS = 30;
const TASKS = 60;

describe('a simulated world', () => {
  leavesNothingOpen();

  it('replays one history, to the letter, for one seed', async () => {
    const once = await simulate({ seed: 4, tasks: TASKS });
    const again = await simulate({ seed: 4, tasks: TASKS });
    expect(once.history.length).to.be.greaterThan(500);
    expect(again.history.hash()).to.equal(once.history.hash());
    const another = await simulate({ seed: 5, tasks: TASKS });
    expect(another.history.hash()).to.not.equal(once.history.hash());
  });

  it(`loses nothing and does nothing twice, and comes to rest, in ${SEEDS} of them`, async function () {
    // Seconds of work, which on a busy machine may take many more.
    this.timeout(60_000);
    const outcomes = new Map<string, number>();
    for (let seed = 1; seed <= SEEDS; seed += 1) {
      const simulation = await simulate({ seed, tasks: TASKS });
      if (simulation.violations.length > 0) expect.fail(explain(simulation));
      for (const [outcome, count] of simulation.outcomes) {
        outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + count);
      }
    }
    // Worlds in which hardly anything comes to its end would show nothing.
    expect(outcomes.get('succeeded')).to.be.greaterThan((SEEDS * TASKS) / 4);
    expect([...outcomes.keys()]).to.have.members(['succeeded', 'failed', 'cancelled', 'unknown']);
  });
});
