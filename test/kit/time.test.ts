import { getEventListeners } from 'node:events';
import { expect } from 'chai';
import * as fc from 'fast-check';
import { deferred } from '../../src/kit/flow.ts';
import { endsWithin, fullJitterMs, sleep, systemClock, toTimestamp, type Clock } from '../../src/kit/time.ts';
import { rejectionOf } from '../support/failure.ts';
import { ManualClock } from '../support/manual-clock.ts';

/** A clock that fires when it is told to, and knows its timers that are neither fired nor cancelled. */
class HandClock implements Clock {
  readonly pending = new Map<object, () => void>();
  now = (): number => 0;
  monotonic = (): number => 0;

  after(_ms: number, callback: () => void): { cancel: () => void } {
    const timer = { cancel: (): void => void this.pending.delete(timer) };
    this.pending.set(timer, callback);
    return timer;
  }

  fire(): void {
    for (const [timer, callback] of this.pending) {
      this.pending.delete(timer);
      callback();
    }
  }
}

function listenersOf(signal: AbortSignal): number {
  return getEventListeners(signal, 'abort').length;
}

describe('sleep', () => {
  it('that ran out leaves no listener and no timer', async () => {
    const clock = new HandClock();
    const { signal } = new AbortController();
    const slept = sleep(clock, 1_000, signal);
    expect(listenersOf(signal)).to.equal(1);
    clock.fire();
    await slept;
    expect(listenersOf(signal)).to.equal(0);
    expect(clock.pending.size).to.equal(0);
  });

  it('that was aborted rejects with the reason, and leaves no listener and no timer', async () => {
    const clock = new HandClock();
    const controller = new AbortController();
    const slept = rejectionOf(sleep(clock, 1_000, controller.signal));
    const reason = new Error('stop');
    controller.abort(reason);
    expect(await slept).to.equal(reason);
    expect(listenersOf(controller.signal)).to.equal(0);
    expect(clock.pending.size).to.equal(0);
  });

  it('never begins under a signal that has ended', async () => {
    const clock = new HandClock();
    const signal = AbortSignal.abort('a reason that is no error');
    const reason = await rejectionOf(sleep(clock, 1_000, signal));
    expect(reason).to.be.instanceOf(Error).with.property('cause', 'a reason that is no error');
    expect(clock.pending.size).to.equal(0);
    expect(listenersOf(signal)).to.equal(0);
  });

  it('needs no signal', async () => {
    const clock = new HandClock();
    void sleep(clock, 1_000);
    expect(clock.pending.size).to.equal(1);
  });
});

describe('the system clock', () => {
  it('never calls back after cancel, however often that is said', async () => {
    const called: string[] = [];
    const timer = systemClock.after(0, () => called.push('cancelled'));
    timer.cancel();
    timer.cancel();
    await sleep(systemClock, 5);
    expect(called).to.deep.equal([]);
  });

  it('does not fire at once for a wait beyond 32 bits, which setTimeout would', async () => {
    const called: string[] = [];
    const timer = systemClock.after(2 ** 40, () => called.push('too early'));
    await sleep(systemClock, 10);
    timer.cancel();
    expect(called).to.deep.equal([]);
  });

  it('takes a negative wait as none: it is over before one of a few milliseconds', async () => {
    const order: string[] = [];
    // In this order: a pause between the two must not let the longer one be due first.
    const none = sleep(systemClock, -5).then(() => order.push('-5 ms'));
    await Promise.all([none, sleep(systemClock, 20).then(() => order.push('20 ms'))]);
    expect(order).to.deep.equal(['-5 ms', '20 ms']);
  });

  it('is monotonic', () => {
    const first = systemClock.monotonic();
    expect(systemClock.monotonic()).to.be.at.least(first);
  });
});

describe('a timestamp', () => {
  it('is RFC 3339 in UTC with milliseconds', () => {
    expect(toTimestamp(0)).to.equal('1970-01-01T00:00:00.000Z');
    expect(toTimestamp(Date.UTC(2026, 10, 23, 13, 10, 35, 7))).to.equal('2026-11-23T13:10:35.007Z');
  });
});

describe('full jitter', () => {
  const limits = fc
    .tuple(fc.integer({ min: 1, max: 10_000 }), fc.integer({ min: 1, max: 1_000_000 }))
    .map(([baseMs, capMs]) => ({ baseMs, capMs }));
  const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

  it('stays between 0 and its ceiling, and its ceiling under the cap, for any number of failures', () => {
    fc.assert(
      fc.property(fc.nat(), limits, random, (attempt, bounds, drawn) => {
        const ms = fullJitterMs(attempt, bounds, () => drawn);
        expect(ms).to.be.within(0, Math.min(bounds.capMs, bounds.baseMs * 2 ** attempt));
      }),
    );
  });

  it('uses the whole window', () => {
    const bounds = { baseMs: 1_000, capMs: 60_000 };
    expect(fullJitterMs(3, bounds, () => 0)).to.equal(0);
    expect(fullJitterMs(3, bounds, () => 0.5)).to.equal(4_000);
    expect(fullJitterMs(3, bounds, () => 1 - Number.EPSILON)).to.be.closeTo(8_000, 0.001);
  });

  it('doubles its ceiling until the cap', () => {
    const ceilings = [0, 1, 2, 5, 6, 7, 1_000].map((attempt) =>
      fullJitterMs(attempt, { baseMs: 1_000, capMs: 60_000 }, () => 1),
    );
    expect(ceilings).to.deep.equal([1_000, 2_000, 4_000, 32_000, 60_000, 60_000, 60_000]);
  });
});

describe('a wait with a bound', () => {
  it('is over with the work, and leaves no timer', async () => {
    const clock = new ManualClock();
    expect(await endsWithin(clock, 1_000, Promise.resolve())).to.equal(true);
    expect(clock.pending).to.equal(0);
  });

  it('is over with the time, and the work goes on', async () => {
    const clock = new ManualClock();
    const work = deferred<void>();
    const ends = endsWithin(clock, 1_000, work.promise);
    await clock.advance(1_000);
    expect(await ends).to.equal(false);
    work.resolve();
  });

  it('fails as the work does', async () => {
    const clock = new ManualClock();
    const failure = await rejectionOf(endsWithin(clock, 1_000, Promise.reject(new Error('of the work'))));
    expect(failure).to.have.property('message', 'of the work');
    expect(clock.pending).to.equal(0);
  });
});
