import { tempDirs } from '../../support/temp-dir.ts';
import { startDelegateSide } from './delegate-side.ts';
import type { Side } from './line.ts';
import { describeVectors } from './vectors-over-sockets.ts';

describe('the delegate and the vectors, over real sockets', () => {
  const tempDir = tempDirs('all');
  let side: Side;

  before(async () => {
    side = await startDelegateSide(await tempDir());
  });
  after(async () => {
    await side[Symbol.asyncDispose]();
  });

  describeVectors('to-delegate', () => side);

  it('leave it able to work', async () => {
    await side.assertAlive();
  });
});
