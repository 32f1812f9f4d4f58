import { expect } from 'chai';
import * as fc from 'fast-check';
import { median, percentile, ratioOf, summaryOf } from '../../../scripts/bench/statistics.ts';

const values = fc.array(fc.double({ min: 0, max: 1e9, noNaN: true }), { minLength: 1 });

describe('the statistics of the bench', () => {
  it('takes the value in the middle, or the mean of the two that are', () => {
    expect(median([5, 1, 3])).to.equal(3);
    expect(median([4, 1, 3, 2])).to.equal(2.5);
    expect(median([7])).to.equal(7);
  });

  it('finds a share of the values below a percentile, in proportion between two of them', () => {
    expect(percentile([0, 10], 0.25)).to.equal(2.5);
    expect(
      percentile(
        Float64Array.from({ length: 101 }, (_, n) => n),
        0.99,
      ),
    ).to.equal(99);
  });

  it('has none for no values', () => {
    expect(() => median([])).to.throw(RangeError);
  });

  it('lies between the least and the most, whatever the values and their order', () => {
    fc.assert(
      fc.property(values, (some) => {
        const { least, most, median: middle } = summaryOf(some);
        expect(middle).to.be.within(least, most);
        expect(median(some.toReversed())).to.equal(middle);
      }),
    );
  });

  it('compares repetition with repetition, so that a slow minute which meets both is no difference', () => {
    const theirs = [100, 50, 200];
    expect(
      ratioOf(
        theirs.map((value) => value / 2),
        theirs,
      ),
    ).to.include({ median: 0.5, least: 0.5, most: 0.5 });
  });

  it('refuses to compare repetitions that have no counterpart', () => {
    expect(() => ratioOf([1, 2], [1])).to.throw(RangeError);
  });
});
