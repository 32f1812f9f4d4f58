import { expect } from 'chai';
import { sleep } from '../../src/kit/time.ts';
import { ManualClock } from './manual-clock.ts';

describe('the manual clock', () => {
  it('runs timers in the order in which they are due, those set on the way included', async () => {
    const clock = new ManualClock(1_000);
    const rung: string[] = [];
    const ring = (name: string) => () => rung.push(`${name} ${clock.monotonic()}`);
    clock.after(20, ring('second'));
    clock.after(10, () => {
      ring('first')();
      clock.after(5, ring('between'));
    });
    clock.after(20, ring('third'));
    clock.after(31, ring('never'));
    await clock.advance(30);
    expect(rung).to.deep.equal(['first 10', 'between 15', 'second 20', 'third 20']);
    expect([clock.now(), clock.pending]).to.deep.equal([1_030, 1]);
  });

  it('does not run what was cancelled', async () => {
    const clock = new ManualClock();
    let rung = false;
    clock
      .after(1, () => {
        rung = true;
      })
      .cancel();
    await clock.advance(2);
    expect(rung).to.equal(false);
  });

  it('carries a chain of sleeps through one advance', async () => {
    const clock = new ManualClock();
    const woken: number[] = [];
    const chain = (async () => {
      for (let n = 0; n < 3; n += 1) {
        await sleep(clock, 10);
        woken.push(clock.monotonic());
      }
    })();
    await clock.advance(30);
    await chain;
    expect(woken).to.deep.equal([10, 20, 30]);
  });

  it('keeps durations apart from the wall clock', () => {
    const clock = new ManualClock();
    clock.setWall(5);
    expect([clock.now(), clock.monotonic()]).to.deep.equal([5, 0]);
  });
});
