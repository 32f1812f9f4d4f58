import { expect } from 'chai';
import { planOf } from '../chaos/plan.ts';
import { describeFailure, runSeed } from '../chaos/run-seed.ts';
import { ProcessPools } from '../chaos/world.ts';
import { leavesNothingOpen } from '../support/open-handles.ts';

/** The short version of `npm run test:chaos`: real processes under a schedule of faults. */
describe('chaos', function () {
  this.timeout(60_000);
  let pools: ProcessPools;
  before(async () => {
    pools = await ProcessPools.start();
  });
  after(() => pools[Symbol.asyncDispose]());
  leavesNothingOpen();

  for (const seed of [2, 17]) {
    it(`loses nothing and does nothing twice (seed ${seed})`, async () => {
      const report = await runSeed(planOf(seed, { tasks: 70, lastsMs: 60_000 }), pools);
      if (report.failure !== undefined) expect.fail(describeFailure(report));
      expect(report.counts['succeeded']).to.be.above(35);
    });
  }
});
