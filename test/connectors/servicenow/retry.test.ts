import { expect } from 'chai';
import * as fc from 'fast-check';
import { withRetries, type RetryContext } from '../../../src/connectors/servicenow/retry.ts';
import { DelegateError } from '../../../src/kit/errors.ts';
import { ManualClock } from '../../support/manual-clock.ts';

const HOUR_MS = 3_600_000;

const passing = (retryAfterMs?: number): DelegateError =>
  new DelegateError('servicenow.unavailable', 'It may pass.', {
    category: 'unavailable',
    retryable: true,
    ...(retryAfterMs === undefined ? {} : { details: { retryAfterMs } }),
  });
const lasting = new DelegateError('servicenow.forbidden', 'It stays.', { category: 'permission' });

describe('retries of a read', () => {
  let clock: ManualClock;
  let attempts: number[];
  let waits: number[];
  beforeEach(() => {
    clock = new ManualClock();
    attempts = [];
    waits = [];
  });

  /** Fails with each of these in turn, then succeeds. */
  const run = (failures: Error[], context: Partial<RetryContext> = {}): Promise<string> => {
    const left = [...failures];
    return withRetries(
      async () => {
        attempts.push(clock.monotonic());
        const failure = left.shift();
        if (failure !== undefined) throw failure;
        return await Promise.resolve('read');
      },
      {
        clock,
        random: () => 0.5,
        signal: new AbortController().signal,
        deadline: clock.monotonic() + HOUR_MS,
        onWait: (_error, waitMs) => waits.push(waitMs),
        ...context,
      },
    );
  };

  /** The end of a run while the hands are moved far enough. */
  const end = async (work: Promise<string>): Promise<unknown> => {
    const settled = work.catch((thrown: unknown) => thrown);
    await clock.advance(2 * HOUR_MS);
    return await settled;
  };

  it('a failure that may pass is followed by another attempt', async () => {
    expect(await end(run([passing(), passing()]))).to.equal('read');
    expect(attempts).to.have.length(3);
  });

  it('there are four attempts at most, and the last failure is what the caller gets', async () => {
    const last = passing();
    expect(await end(run([passing(), passing(), passing(), last]))).to.equal(last);
    expect(attempts).to.have.length(4);
  });

  for (const [code, most] of [
    ['servicenow.server-error', 3],
    ['servicenow.transaction-cancelled', 2],
    ['servicenow.broken-answer', 2],
  ] as const) {
    it(`${code} costs the instance a transaction each time: ${most} attempts`, async () => {
      const costly = new DelegateError(code, 'It may pass.', { category: 'unavailable', retryable: true });
      expect(await end(run(Array.from({ length: 9 }, () => costly)))).to.equal(costly);
      expect(attempts).to.have.length(most);
    });
  }

  it('a refusal for want of room is met twenty times, if there is time', async () => {
    const busy = new DelegateError('servicenow.busy', 'No room.', { category: 'throttled', retryable: true });
    expect(await end(run(Array.from({ length: 30 }, () => busy)))).to.equal(busy);
    expect(attempts).to.have.length(20);
  });

  it('what the caller answers otherwise is met once', async () => {
    const failure = passing();
    expect(await end(run([failure], { except: (error) => error === failure }))).to.equal(failure);
    expect(attempts).to.have.length(1);
    expect(waits).to.deep.equal([]);
  });

  it('a failure that will not pass is met once', async () => {
    expect(await end(run([lasting]))).to.equal(lasting);
    expect(attempts).to.have.length(1);
    expect(clock.pending).to.equal(0);
  });

  it('a failure of our own is met once', async () => {
    const defect = new TypeError('x is not a function');
    expect(await end(run([defect]))).to.equal(defect);
    expect(attempts).to.have.length(1);
  });

  it('the waits grow, each spread over its whole window', async () => {
    await end(run([passing(), passing(), passing()], { random: () => 1 }));
    expect(waits).to.deep.equal([500, 1_000, 2_000]);
    waits = [];
    await end(run([passing(), passing(), passing()], { random: () => 0 }));
    expect(waits).to.deep.equal([0, 0, 0]);
  });

  it('Retry-After wins: no attempt comes before it is over', async () => {
    await end(run([passing(30_000)]));
    expect(attempts[1]).to.be.at.least(30_000).and.at.most(30_500);
  });

  it('whoever watches is told before each wait', async () => {
    const work = run([passing(30_000)]);
    await clock.settle();
    expect(waits).to.deep.equal([30_250]);
    await end(work);
  });

  it('a Retry-After past the deadline ends it at once', async () => {
    const error = passing(1_800_000);
    const work = run([error], { deadline: 60_000 }).catch((thrown: unknown) => thrown);
    expect(await work).to.equal(error);
    expect(waits).to.deep.equal([]);
    expect(clock.pending).to.equal(0);
  });

  it('never past the deadline, whatever fails and however long the server asks to wait', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 0, max: 60_000 }), { maxLength: 6 }),
        fc.integer({ min: 0, max: 120_000 }),
        fc.double({ min: 0, max: 0.999, noNaN: true }),
        async (asked, timeMs, random) => {
          attempts = [];
          const deadline = clock.monotonic() + timeMs;
          await end(run(asked.map(passing), { deadline, random: () => random }));
          for (const at of attempts.slice(1)) expect(at + 1_000).to.be.at.most(deadline);
          expect(clock.pending).to.equal(0);
        },
      ),
      { numRuns: 40 },
    );
  });

  it('an abort ends the wait at once, with its reason and no timer left', async () => {
    const stop = new AbortController();
    const work = run([passing(30_000)], { signal: stop.signal }).catch((thrown: unknown) => thrown);
    await clock.settle();
    expect(clock.pending).to.equal(1);
    const reason = new Error('cancelled');
    stop.abort(reason);
    expect(await work).to.equal(reason);
    expect(clock.pending).to.equal(0);
    expect(attempts).to.have.length(1);
  });

  it('an abort during an attempt is the reason, whatever the attempt then throws', async () => {
    const stop = new AbortController();
    const reason = new Error('deadline');
    const work = withRetries(
      () => {
        stop.abort(reason);
        return Promise.reject(passing());
      },
      { clock, random: () => 0, signal: stop.signal, deadline: HOUR_MS, onWait: () => {} },
    );
    expect(await work.catch((thrown: unknown) => thrown)).to.equal(reason);
    expect(clock.pending).to.equal(0);
  });
});
