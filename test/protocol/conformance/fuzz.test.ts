import { expect } from 'chai';
import { tempDirs } from '../../support/temp-dir.ts';
import { leavesNothingOpen } from '../../support/open-handles.ts';
import { startDelegateSide } from './delegate-side.ts';
import { fuzz } from './fuzz.ts';
import { startManagerSide } from './manager-side.ts';

/** The short run; `npm run test:fuzz` is the long one. */
const FRAMES = 2_000;
const SEED = 1;

describe('a flood of fuzzed frames', () => {
  const tempDir = tempDirs();
  leavesNothingOpen();

  it('ends connections of the delegate as the document says, and leaves it able to work', async () => {
    await using side = await startDelegateSide(await tempDir());
    const report = await fuzz(side, { frames: FRAMES, seed: SEED });
    expect(report.frames).to.equal(FRAMES);
    expect(report.closes).to.include.all.keys('1000', '1009', '4400');
  });

  it('ends connections of the manager as the document says, and leaves it able to work', async () => {
    await using side = await startManagerSide();
    const report = await fuzz(side, { frames: FRAMES, seed: SEED });
    expect(report.frames).to.equal(FRAMES);
    expect(report.closes).to.include.all.keys('1009', '4400', '4401');
  });
});
