import { expect } from 'chai';
import * as fc from 'fast-check';
import { seededRandom } from './random.ts';

describe('seeded chance', () => {
  it('draws the same again from the same seed, and something else from its neighbour', () => {
    const draw = (seed: number): number[] => {
      const random = seededRandom(seed);
      return Array.from({ length: 10 }, () => random.int(1_000_000));
    };
    expect(draw(7)).to.deep.equal(draw(7));
    expect(draw(7)).not.to.deep.equal(draw(8));
    expect(draw(7).slice(0, 3)).to.deep.equal([23_419, 663_489, 693_112]);
  });

  it('stays within what was asked for', () => {
    fc.assert(
      fc.property(fc.integer(), fc.integer({ min: 1, max: 1_000 }), (seed, n) => {
        const random = seededRandom(seed);
        for (let drawn = 0; drawn < 100; drawn += 1) {
          expect(random.random()).to.be.within(0, 1 - Number.EPSILON / 2);
          expect(random.int(n)).to.be.within(0, n - 1);
          expect(random.between(-n, n)).to.be.within(-n, n);
          expect(random.pick([1, 2, 3])).to.be.within(1, 3);
        }
        expect([random.chance(0), random.chance(1)]).to.deep.equal([false, true]);
      }),
    );
  });

  it('reaches every part of the range about equally often', () => {
    const random = seededRandom(1);
    const buckets = Array.from({ length: 10 }, () => 0);
    for (let drawn = 0; drawn < 10_000; drawn += 1) {
      const bucket = random.int(10);
      buckets[bucket] = (buckets[bucket] ?? 0) + 1;
    }
    for (const count of buckets) expect(count).to.be.within(900, 1_100);
  });

  it('goes on as before, whatever is drawn from a fork', () => {
    const [quiet, busy] = [seededRandom(3), seededRandom(3)];
    quiet.fork();
    const fork = busy.fork();
    for (let drawn = 0; drawn < 100; drawn += 1) fork.random();
    expect(quiet.random()).to.equal(busy.random());
  });

  it('picks nothing from an empty list', () => {
    expect(() => seededRandom(1).pick([])).to.throw(RangeError);
  });
});
