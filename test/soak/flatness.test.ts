import { expect } from 'chai';
import { judge, type Quantity, type Sample } from './flatness.ts';

const MIB = 1_048_576;

/** Forty samples, ten seconds apart. */
function run(changes: (n: number) => Partial<Sample>): Sample[] {
  return Array.from({ length: 40 }, (_, n) => ({
    atMs: n * 10_000,
    heapBytes: 20 * MIB,
    rssBytes: 100 * MIB,
    descriptors: 30,
    handles: 3,
    timers: 5,
    stateBytes: 100_000,
    ...changes(n),
  }));
}

function growing(samples: readonly Sample[]): Quantity[] {
  return judge(samples)
    .filter(({ isFlat }) => !isFlat)
    .map(({ quantity }) => quantity);
}

describe('flatness', () => {
  it('is found where nothing changes, and where things come and go', () => {
    expect(growing(run(() => ({})))).to.deep.equal([]);
    const wave = (n: number): Partial<Sample> => ({
      heapBytes: (20 + (n % 3) / 2) * MIB,
      timers: 5 + ((n * 7) % 8),
      descriptors: 30 + (n % 4),
    });
    expect(growing(run(wave))).to.deep.equal([]);
  });

  it('asks nothing of the first half, in which caches fill', () => {
    expect(growing(run((n) => ({ heapBytes: Math.min(n, 20) * MIB })))).to.deep.equal([]);
  });

  const leaks: readonly [Quantity, (n: number) => number][] = [
    ['heapBytes', (n) => 20 * MIB + n * 100_000],
    ['rssBytes', (n) => (100 + n) * MIB],
    ['descriptors', (n) => 30 + n],
    ['handles', (n) => 3 + n / 2],
    ['timers', (n) => 5 + n],
  ];
  for (const [quantity, at] of leaks) {
    it(`is not found where ${quantity} leak`, () => {
      expect(growing(run((n) => ({ [quantity]: at(n) })))).to.deep.equal([quantity]);
    });
  }

  it('of the state folder is a ceiling, at any time: a journal grows and begins anew', () => {
    expect(growing(run((n) => ({ stateBytes: (n % 5) * MIB })))).to.deep.equal([]);
    expect(growing(run((n) => ({ stateBytes: n === 3 ? 20 * MIB : 0 })))).to.deep.equal(['stateBytes']);
  });

  it('is not judged by a handful of samples', () => {
    expect(judge(run(() => ({})).slice(0, 5))).to.deep.equal([]);
  });
});
