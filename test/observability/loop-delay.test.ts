import { expect } from 'chai';
import { BLOCKED_WINDOWS, LoopDelay, LoopDelayMeter } from '../../src/observability/loop-delay.ts';
import { leavesNothingOpen } from '../support/open-handles.ts';
import { until } from '../support/until.ts';

const BLOCKED_FROM_MS = 100;

/** Holds the event loop. */
function block(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

async function timers(): Promise<void> {
  await new Promise<void>((resolve) => {
    setTimeout(resolve, 0);
  });
}

describe('the delay of the event loop', function () {
  this.timeout(30_000);
  leavesNothingOpen();

  it('says how late a turn was, and not how often it looks', async () => {
    using delay = new LoopDelay({ windowMs: 50 });
    delay.begin();
    await timers();
    block(300);
    await until('the blockade is in a window', () => delay.times.maxMs > 200);
    await until('a window without one has passed', () => delay.times.maxMs < 200);
    expect(delay.times.meanMs).to.be.lessThan(20);
  });

  it('is not called blocked for one long pause, such as a machine that slept', async () => {
    using delay = new LoopDelay({ windowMs: 20, blockedFromMs: BLOCKED_FROM_MS });
    delay.begin();
    await timers();
    block(BLOCKED_FROM_MS * 1.5);
    await until('the pause is seen', () => delay.times.maxMs > BLOCKED_FROM_MS);
    expect(delay.isBlocked).to.equal(false);
  });

  it('is called blocked when next to no turn is short for windows on end, and no longer when one is', async () => {
    using delay = new LoopDelay({ windowMs: 20, blockedFromMs: BLOCKED_FROM_MS });
    delay.begin();
    for (let windows = 0; windows <= BLOCKED_WINDOWS + 1 && !delay.isBlocked; windows += 1) {
      block(BLOCKED_FROM_MS + 50);
      await timers();
    }
    expect(delay.isBlocked).to.equal(true);
    expect(delay.times.meanMs).to.be.greaterThan(BLOCKED_FROM_MS);
    await until('a window is short', () => !delay.isBlocked);
  });

  it('is not missed by a meter that is asked only between two blockades', async () => {
    using meter = new LoopDelayMeter();
    meter.begin();
    for (let asked = 0; asked < 3; asked += 1) {
      block(200);
      await timers();
      expect(meter.take().maxMs).to.be.within(150, 1_000);
    }
  });

  it('may be ended twice', () => {
    const delay = new LoopDelay();
    delay.begin();
    delay[Symbol.dispose]();
    delay[Symbol.dispose]();
    expect(delay.isBlocked).to.equal(false);
  });
});
