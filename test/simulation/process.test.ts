import { expect } from 'chai';
import { SimulatedProcess } from './process.ts';
import { SimulatedTime } from './time.ts';

describe('a simulated process', () => {
  function started(): {
    time: SimulatedTime;
    process: SimulatedProcess;
    did: string[];
    does: (what: string) => () => void;
  } {
    const time = new SimulatedTime();
    const did: string[] = [];
    return { time, process: new SimulatedProcess('p', time), did, does: (what) => () => did.push(what) };
  }

  it('that was frozen finds its timers due first, then what has arrived, and then what it had put off', async () => {
    const { time, process, did, does } = started();
    process.clock.after(10, () => {
      did.push('timer');
      setImmediate(does('put off'));
      void Promise.resolve().then(does('promise'));
    });
    process.clock.after(20, does('second timer'));
    process.freeze();
    await time.advance(5);
    process.enter(does('frame'));
    await time.advance(25);
    expect(did).to.deep.equal([]);
    time.after(1, () => process.thaw());
    await time.advance(1);
    expect(did).to.deep.equal(['timer', 'promise', 'second timer', 'frame', 'put off']);
  });

  it('that thaws finds what arrives meanwhile behind what had arrived before', async () => {
    const { time, process, did, does } = started();
    process.freeze();
    process.enter(does('first'));
    process.enter(does('second'));
    time.after(1, () => {
      process.thaw();
      process.enter(does('third'));
    });
    await time.advance(1);
    process.enter(does('fourth'));
    expect(did).to.deep.equal(['first', 'second', 'third', 'fourth']);
  });

  it('that was killed does nothing any more, and sets no timer', async () => {
    const { time, process, did, does } = started();
    process.clock.after(10, does('timer'));
    process.kill();
    process.enter(does('frame'));
    process.clock.after(10, does('later timer'));
    await time.advance(20);
    expect([did, time.pending]).to.deep.equal([[], 0]);
  });

  it('does not ring a timer that another cancels at the thaw', async () => {
    const { time, process, did, does } = started();
    process.clock.after(10, () => second.cancel());
    const second = process.clock.after(11, does('cancelled timer'));
    process.freeze();
    await time.advance(20);
    time.after(1, () => process.thaw());
    await time.advance(1);
    expect(did).to.deep.equal([]);
  });
});
