import { expect } from 'chai';
import { sleep, systemClock } from '../../src/kit/time.ts';
import { fastClock } from './fast-clock.ts';
import { leavesNothingOpen } from './open-handles.ts';

describe('the fast clock', () => {
  leavesNothingOpen();

  it('agrees with the world at its epoch, and runs ahead of it afterwards', () => {
    const epochMs = systemClock.now() - 1_000;
    const clock = fastClock({ factor: 40, epochMs });
    const [before, aheadMs, after] = [systemClock.now(), clock.now() - epochMs, systemClock.now()];
    expect(aheadMs).to.be.within((before - epochMs) * 40, (after - epochMs) * 40);
  });

  it('calls back no earlier than its time, but for the grain of a real timer', async () => {
    const clock = fastClock({ factor: 40, epochMs: systemClock.now() });
    for (const ms of [1, 39, 41, 400]) {
      const startedAt = clock.monotonic();
      await sleep(clock, ms);
      // Node counts from the whole millisecond in which a timer was set.
      expect(clock.monotonic() - startedAt).to.be.at.least(ms - 40);
    }
  });

  it('takes back a timer', async () => {
    const clock = fastClock({ factor: 40, epochMs: systemClock.now() });
    let called = false;
    clock.after(40, () => (called = true)).cancel();
    await sleep(clock, 200);
    expect(called).to.equal(false);
  });
});
