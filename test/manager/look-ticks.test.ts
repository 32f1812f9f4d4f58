import { expect } from 'chai';
import * as fc from 'fast-check';
import { LookTicks, nextTick, type LookTiming } from '../../src/manager/look-ticks.ts';
import { ManualClock } from '../support/manual-clock.ts';

const connector = fc.string({ minLength: 1, maxLength: 40 });
const intervalMs = fc.integer({ min: 1, max: 86_400_000 });
/** As `performance.now()` gives it: not whole. */
const instant = fc.double({ min: 0, max: 1e9, noNaN: true });

describe('the ticks at which an approval looks', () => {
  const timing = fc
    .record({
      connector,
      intervalMs,
      minShare: fc.double({ min: 0, max: 1, noNaN: true }),
      dueAt: instant,
      tookMs: fc.double({ min: 0, max: 200_000, noNaN: true }),
    })
    .map(({ minShare, tookMs, ...rest }): LookTiming => ({
      ...rest,
      minIntervalMs: Math.floor(rest.intervalMs * minShare),
      endedAt: rest.dueAt + tookMs,
    }));

  it('are at least half an interval away, and no more than three halves or the least interval and one', () => {
    fc.assert(
      fc.property(timing, (look) => {
        const next = nextTick(look);
        expect(next).to.be.at.least(look.endedAt + look.intervalMs / 2);
        expect(next).to.be.at.least(look.dueAt + look.minIntervalMs);
        const soonest = Math.max(look.endedAt + look.intervalMs / 2, look.dueAt + look.minIntervalMs);
        expect(next).to.be.below(soonest + look.intervalMs);
      }),
    );
  });

  it('are the same for all approvals of a connector, whenever they began and however long their looks took', () => {
    fc.assert(
      fc.property(timing, instant, (look, otherEnd) => {
        const other = nextTick({ ...look, dueAt: otherEnd, endedAt: otherEnd });
        // Whole milliseconds below 2^53: the remainder is exact.
        expect((nextTick(look) - other) % look.intervalMs).to.equal(0);
      }),
    );
  });

  it('come once an interval while looks take less than half of one, even at the least interval', () => {
    fc.assert(
      fc.property(timing, fc.double({ min: 0, max: 0.5, noNaN: true }), (first, share) => {
        const dueAt = nextTick(first);
        const again = nextTick({
          ...first,
          minIntervalMs: first.intervalMs,
          dueAt,
          endedAt: dueAt + first.intervalMs * share,
        });
        expect(again).to.equal(dueAt + first.intervalMs);
      }),
    );
  });

  it('of a multiple of an interval are among those of the interval', () => {
    fc.assert(
      fc.property(timing, fc.integer({ min: 2, max: 10 }), (look, times) => {
        const rare = nextTick({ ...look, intervalMs: look.intervalMs * times });
        expect((rare - nextTick(look)) % look.intervalMs).to.equal(0);
      }),
    );
  });

  it('are spread over the interval from connector to connector', () => {
    const everyMs = 60_000;
    const tenths = Array.from({ length: 1_000 }, (_, n) => {
      const tick = nextTick({
        connector: `servicenow_${n}`,
        intervalMs: everyMs,
        minIntervalMs: 10_000,
        dueAt: 0,
        endedAt: 0,
      });
      return Math.floor(((tick % everyMs) / everyMs) * 10);
    });
    for (let tenth = 0; tenth < 10; tenth += 1)
      expect(tenths.filter((each) => each === tenth)).to.have.length.within(60, 140);
  });
});

describe('waiting for a tick', () => {
  /** One for each wait: thousands that listen to one signal would look like a leak. */
  const never = (): AbortSignal => new AbortController().signal;

  it('wakes thousands at one instant, a hundred at a time', async () => {
    const clock = new ManualClock();
    const ticks = new LookTicks(clock);
    const woken: number[] = [];
    const waits = Array.from({ length: 1_050 }, async () => {
      await ticks.until(5_000, never());
      woken.push(clock.monotonic());
    });
    expect(clock.pending).to.equal(1);
    await clock.advance(4_999);
    expect(woken).to.have.length(0);
    clock.block(1);
    await clock.advance(0);
    await Promise.all(waits);
    expect(new Set(woken)).to.deep.equal(new Set([5_000]));
    expect(clock.pending).to.equal(0);
  });

  it('ends for one whose signal aborts, and its timer with the last', async () => {
    const clock = new ManualClock();
    const ticks = new LookTicks(clock);
    const [one, other] = [new AbortController(), new AbortController()];
    const waits = [ticks.until(5_000, one.signal), ticks.until(5_000, other.signal)];
    const ends = Promise.allSettled(waits);
    one.abort(new Error('cancelled'));
    await clock.settle();
    expect(clock.pending).to.equal(1);
    other.abort(new Error('cancelled'));
    expect((await ends).map(({ status }) => status)).to.deep.equal(['rejected', 'rejected']);
    expect(clock.pending).to.equal(0);
  });

  it('does not mind that the wall clock is set', async () => {
    const clock = new ManualClock();
    const ticks = new LookTicks(clock);
    const wait = ticks.until(5_000, never());
    clock.setWall(clock.now() - 86_400_000);
    await clock.advance(5_000);
    await wait;
    expect(clock.monotonic()).to.equal(5_000);
  });

  it('lets other timers of the same instant run between two hundreds', async () => {
    const clock = new ManualClock();
    const ticks = new LookTicks(clock);
    const order: string[] = [];
    const waits = Array.from({ length: 200 }, async () => {
      await ticks.until(5_000, never());
      order.push('look');
    });
    clock.after(5_000, () => order.push('other'));
    await clock.advance(5_000);
    await Promise.all(waits);
    expect(order.indexOf('other')).to.equal(100);
  });
});
