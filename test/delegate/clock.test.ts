import { expect } from 'chai';
import type { Clock } from '../../src/kit/time.ts';
import { systemClock } from '../../src/kit/time.ts';
import { startManager } from '../../src/manager/manager.ts';
import { leavesNothingOpen } from '../support/open-handles.ts';
import { until } from '../support/until.ts';
import { delegatesUnderTest } from './delegate-under-test.ts';

const HOUR_MS = 3_600_000;

/** A machine whose wall clock can be set to anything. */
class Machine implements Clock {
  aheadMs = 0;
  now = (): number => systemClock.now() + this.aheadMs;
  monotonic = (): number => systemClock.monotonic();
  after: Clock['after'] = (ms, callback) => systemClock.after(ms, callback);
}

describe('a delegate whose wall clock is wrong', () => {
  const start = delegatesUnderTest();
  leavesNothingOpen();

  for (const aheadMs of [HOUR_MS, -HOUR_MS]) {
    it(`by ${aheadMs / HOUR_MS} h connects all the same, and says what is wrong`, async () => {
      const manager = await startManager();
      try {
        const clock = new Machine();
        clock.aheadMs = aheadMs;
        const { delegate, log } = await start({
          managerUrl: manager.url,
          enrolmentToken: manager.createEnrolmentToken().value,
          clock,
        });
        await until('it is connected', () => delegate.readiness().ready);
        expect(manager.delegates).to.have.lengthOf(1);
        const direction = aheadMs > 0 ? 'ahead of' : 'behind';
        // Give or take a minute, for a date in whole seconds that was long on its way.
        const complaint = new RegExp(`clock is 3(5[4-9]|6[0-5])\\d s ${direction} the manager's`);
        expect(log.filter((line) => complaint.test(line))).to.have.lengthOf(1);
      } finally {
        await manager.close();
      }
    });

    it(`since a step of ${aheadMs / HOUR_MS} h keeps its session and its tasks, and can connect anew`, async () => {
      const manager = await startManager();
      try {
        const clock = new Machine();
        const { delegate, workshop } = await start({
          managerUrl: manager.url,
          enrolmentToken: manager.createEnrolmentToken().value,
          clock,
        });
        await until('it is connected', () => delegate.readiness().ready);
        const task = manager.submit({
          name: 'test.read',
          version: 1,
          input: {},
          selectors: [],
          timeoutMs: 60_000,
        });
        const work = await workshop.next();
        clock.aheadMs = aheadMs;
        manager.drain('to see whether it can come back', 1);
        const [first] = manager.sessions;
        await until('it has moved', () => manager.sessions[0]?.sessionId !== first?.sessionId);
        expect(work.context.signal.aborted).to.equal(false);
        work.finish();
        const ended = await manager.whenEnded(task.taskId, AbortSignal.timeout(5_000));
        expect(ended.state).to.include({ at: 'ended', outcome: 'succeeded' });
      } finally {
        await manager.close();
      }
    });
  }
});
