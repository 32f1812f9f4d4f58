import { expect } from 'chai';
import type { Ended } from '../support/promised-lines.ts';
import { Tally } from './tally.ts';

describe('the tally of a soak', () => {
  it('is content with what was written once or may not have been, and complains of the rest', () => {
    const tally = new Tally();
    const story: readonly [outcome: Ended['outcome'] | undefined, times: number][] = [
      ['succeeded', 1],
      ['unknown', 0],
      ['succeeded', 2],
      ['succeeded', 0],
      ['failed', 1],
      ['cancelled', 1],
      [undefined, 0],
    ];
    for (const [n, [outcome]] of story.entries()) {
      tally.took({ taskId: `t${n}`, key: `k${n}`, writes: true });
      if (outcome !== undefined) tally.ended(`t${n}`, { outcome });
    }
    const written = story.flatMap(([, times], n) => Array.from({ length: times }, () => `k${n}`));
    expect([...tally.complaints(written)]).to.deep.equal([
      'k2 was written 2 times',
      'k3 ended succeeded, and was not written',
      'k4 ended failed, and was written',
      'k5 ended cancelled, and was written',
      'k6 has no end',
    ]);
    expect([tally.taken, tally.running]).to.deep.equal([7, 1]);
    expect(tally.outcomes).to.deep.equal({ succeeded: 3, unknown: 1, failed: 1, cancelled: 1, none: 1 });
  });

  it('takes what only reads for what it says', () => {
    const tally = new Tally();
    tally.took({ taskId: 't', key: 'k', writes: false });
    tally.ended('t', { outcome: 'succeeded' });
    tally.ended('t', { outcome: 'failed' });
    expect([...tally.complaints([])]).to.deep.equal([]);
    expect(tally.outcomes).to.deep.equal({ succeeded: 1 });
  });
});
