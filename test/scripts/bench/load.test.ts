import { expect } from 'chai';
import { measureLoad } from '../../../scripts/bench/load.ts';
import { turn } from '../../support/until.ts';

describe('the load of the bench', () => {
  it('keeps as many calls in flight as are asked for, and never more', async () => {
    let inFlight = 0;
    const seen = new Set<number>();
    const { tasks } = await measureLoad(
      async () => {
        inFlight += 1;
        seen.add(inFlight);
        await turn();
        inFlight -= 1;
      },
      { inFlight: 3, until: { tasks: 20 } },
    );
    expect(tasks).to.equal(20);
    expect(Math.max(...seen)).to.equal(3);
  });

  it('makes no call beyond those that are asked for, each with a number of its own', async () => {
    const called: number[] = [];
    await measureLoad(
      async (n) => {
        called.push(n);
        await turn();
      },
      { inFlight: 7, until: { tasks: 10 } },
    );
    expect(called).to.deep.equal(Array.from({ length: 10 }, (_, n) => n));
  });

  it('has something to say of whoever does not get through a call in the time', async () => {
    const { tasks, p50Ms, seconds } = await measureLoad(turn, { inFlight: 4, until: { ms: 0.000_1 } });
    expect(tasks).to.be.at.least(4);
    expect(p50Ms).to.be.greaterThan(0);
    expect(seconds).to.be.greaterThan(0);
  });

  it('fails as the first call that fails', async () => {
    const failing = measureLoad(
      async (n) => {
        await turn();
        if (n === 5) throw new Error('call 5');
      },
      { inFlight: 2, until: { tasks: 10 } },
    );
    const why = await failing.catch((error: unknown) => (error instanceof Error ? error.message : error));
    expect(why).to.equal('call 5');
  });
});
