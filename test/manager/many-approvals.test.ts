import { expect } from 'chai';
import type { Manager } from '../../src/manager/manager.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { leavesNothingOpen } from '../support/open-handles.ts';
import { until } from '../support/until.ts';
import { connectorBody } from './support/http.ts';
import { managersUnderTest } from './support/manager-under-test.ts';
import { enrol, ScriptedDelegate } from './support/scripted-delegate.ts';
import { storeWithApprovals } from './support/waiting-approvals.ts';

const APPROVALS = 1_000;
const TICKETS = Array.from({ length: APPROVALS }, (_, n) => `CHG${String(n).padStart(7, '0')}`);
/** Time passes for the approvals alone. */
const PATIENT = {
  heartbeatMs: 2_000_000,
  leaseMs: 6_000_000,
  acceptWithinMs: 6_000_000,
  queueTimeoutMs: 6_000_000,
};

describe('a thousand approvals of one connector', function () {
  this.timeout(20_000);
  const start = managersUnderTest();
  leavesNothingOpen();

  /** Beside two delegates, of which either has room for all. */
  async function startWithTwo() {
    const clock = new ManualClock();
    const store = storeWithApprovals({
      clock,
      connector: connectorBody(),
      tickets: TICKETS,
      retryIntervalMs: 60_000,
    });
    const { manager } = await start({ clock, store, ...PATIENT });
    // So that the choice is between two, whoever connects first.
    manager.pause('not everybody is here');
    const join = async (name: string): Promise<ScriptedDelegate> => {
      const { delegate } = await ScriptedDelegate.join(manager, await enrol(manager, name), 2 * APPROVALS);
      await delegate.synchronise();
      return delegate;
    };
    const delegates = [await join('eu-1'), await join('eu-2')];
    manager.resume();
    await Promise.all(delegates.map((delegate) => delegate.synchronise()));
    const [busy, idle] = delegates.toSorted((a, b) => b.unread('task.assign') - a.unread('task.assign'));
    if (busy === undefined || idle === undefined) throw new Error('there are two');
    return { clock, manager, busy, idle };
  }

  async function answer(delegate: ScriptedDelegate, count: number): Promise<void> {
    for (let n = 0; n < count; n += 1) {
      delegate.succeed(await delegate.next('task.assign'), { decision: 'pending', reason: 'not yet' });
    }
    await delegate.synchronise();
  }

  const looked = (manager: Manager): number =>
    manager.approvals.filter(({ lookCount }) => lookCount > 0).length;

  it('look at one instant, through one delegate, however far apart their last looks ended', async () => {
    const { clock, manager, busy, idle } = await startWithTwo();
    expect([busy.unread('task.assign'), idle.unread('task.assign')]).to.deep.equal([APPROVALS, 0]);
    await answer(busy, APPROVALS / 2);
    await clock.advance(9_000);
    await answer(busy, APPROVALS / 2);
    await until('every look has ended', () => looked(manager) === APPROVALS);

    const ticks = new Set(manager.approvals.map(({ nextLookAt }) => Date.parse(nextLookAt ?? '')));
    expect(ticks.size).to.equal(1);
    const [tick = Number.NaN] = ticks;
    await clock.advance(tick - clock.now() - 1);
    await busy.synchronise();
    expect(busy.unread('task.assign')).to.equal(0);
    await clock.advance(1);
    await Promise.all([busy, idle].map((delegate) => delegate.synchronise()));
    expect([busy.unread('task.assign'), idle.unread('task.assign')]).to.deep.equal([APPROVALS, 0]);
    expect(clock.now()).to.equal(tick);
  });
});
