import { expect } from 'chai';
import * as fc from 'fast-check';
import { describePlan, MAX_DELEGATES, planOf } from './plan.ts';

const SIZE = { tasks: 50, lastsMs: 240_000 };
const seeds = fc.integer({ min: 0, max: 2 ** 31 });

describe('the plan of a chaos run', () => {
  it('is the same for the same seed, and another for the next', () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        expect(planOf(seed, SIZE)).to.deep.equal(planOf(seed, SIZE));
        expect(describePlan(planOf(seed, SIZE))).not.to.equal(describePlan(planOf(seed + 1, SIZE)));
      }),
      { numRuns: 50 },
    );
  });

  it('ends every fault within its time, and begins none on a thing that still suffers another', () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        const { faults, delegates } = planOf(seed, SIZE);
        expect(delegates.length).to.be.within(2, MAX_DELEGATES);
        for (const on of ['manager', ...delegates.map(({ name }) => name)]) {
          for (const isLine of [true, false]) {
            const own = faults.filter((fault) => fault.on === on && 'toward' in fault === isLine);
            own.forEach(({ atMs, forMs }, index) => {
              expect(atMs + forMs).to.be.at.most(SIZE.lastsMs);
              const next = own[index + 1];
              if (next !== undefined) expect(next.atMs).to.be.above(atMs + forMs);
            });
          }
        }
      }),
      { numRuns: 50 },
    );
  });

  it('has every kind of fault and of task in some seed', () => {
    const plans = Array.from({ length: 50 }, (_, seed) => planOf(seed, SIZE));
    const faults = new Set(plans.flatMap((plan) => plan.faults.map(({ what }) => what)));
    expect(faults).to.have.lengthOf(13);
    const tasks = new Set(plans.flatMap((plan) => plan.tasks.map(({ work }) => `${work.name} ${work.end}`)));
    expect(tasks).to.have.lengthOf(6);
  });

  it('gives each task a key of its own', () => {
    const { tasks } = planOf(7, SIZE);
    expect(new Set(tasks.map(({ key }) => key))).to.have.lengthOf(SIZE.tasks);
  });
});
