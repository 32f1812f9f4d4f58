import { expect } from 'chai';
import { vectors } from '../vectors.ts';
import { startManagerSide, type ManagerSide } from './manager-side.ts';
import { describeVectors } from './vectors-over-sockets.ts';

describe('the manager and the vectors, over real sockets', () => {
  let side: ManagerSide;

  before(async () => {
    side = await startManagerSide();
  });
  after(async () => {
    await side[Symbol.asyncDispose]();
  });

  describeVectors('to-manager', () => side);

  describe('with the identity of the connect token', () => {
    for (const vector of vectors.filter((one) => one.legal === 'opening' && one.direction === 'to-manager')) {
      it(`opens: ${vector.name}`, async () => {
        const hello: unknown = JSON.parse(Buffer.from(vector.bytes).toString('utf8'));
        if (typeof hello !== 'object' || hello === null || !('delegate' in hello)) {
          throw new TypeError('a hello names its delegate');
        }
        const { delegateId: id, instanceId } = side.who;
        const delegate = { ...Object(hello.delegate), id, instanceId };
        const line = await side.connect();
        line.say(JSON.stringify({ ...hello, delegate }));
        line.markOpened();
        expect(await line.fate()).to.equal('open');
        await line.end();
      });
    }
  });

  it('leave it able to work', async () => {
    await side.assertAlive();
  });
});
