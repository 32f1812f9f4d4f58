import { expect } from 'chai';
import { Delegate } from '../../src/delegate/delegate.ts';
import { deferred, type Deferred } from '../../src/kit/flow.ts';
import { startManager } from '../../src/manager/manager.ts';
import { storeWithApprovals } from '../manager/support/waiting-approvals.ts';
import { delegateOptions } from '../support/delegate-options.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { leavesNothingOpen } from '../support/open-handles.ts';
import { connectorTo, openBench, tableCalls, type Bench } from '../support/servicenow.ts';
import { tempDirs } from '../support/temp-dir.ts';
import { within } from '../support/until.ts';

const APPROVALS = 1_000;
/** As many tickets as one request asks about at most. */
const TICKETS_PER_REQUEST = 100;
const TICKETS = Array.from({ length: APPROVALS }, (_, n) => `CHG9${String(n).padStart(6, '0')}`);
/**
 * Far above the product's: manager, delegate and instance share a process here, and its pauses must not part the looks
 * of one poll. It costs no time, since a request that is full goes out at once.
 */
const GATHERING = { quietMs: 10_000, mostMs: 10_000 };
/** For a thousand looks on two busy cores. Reached only by a test that fails. */
const ROUND_WITHIN_MS = 60_000;

/** How many approvals have had their first look, their second … */
class LookCount {
  readonly #counts = new Map<number, number>();
  readonly #all = new Map<number, Deferred<void>>();

  add(look: number): void {
    const count = (this.#counts.get(look) ?? 0) + 1;
    this.#counts.set(look, count);
    if (count === APPROVALS) this.#of(look).resolve();
  }

  async all(look: number): Promise<void> {
    await within(`look ${look} of every approval`, this.#of(look).promise, ROUND_WITHIN_MS);
  }

  #of(look: number): Deferred<void> {
    const known = this.#all.get(look) ?? deferred<void>();
    this.#all.set(look, known);
    return known;
  }
}

describe('a thousand approvals that wait for one instance', function () {
  this.timeout(2 * ROUND_WITHIN_MS);
  const stateDir = tempDirs();
  leavesNothingOpen();

  /** The manager's clock stands between two looks; everybody else's goes. */
  async function startAll(bench: Bench) {
    for (const number of TICKETS) bench.instance.tickets.add('change_request', { number, state: '-5' });
    const clock = new ManualClock();
    const store = storeWithApprovals({
      clock,
      connector: connectorTo(bench.instance.url, bench.asUser('svc_deploy')),
      tickets: TICKETS,
      retryIntervalMs: 60_000,
    });
    const looks = new LookCount();
    const manager = await startManager({
      clock,
      store,
      queueTimeoutMs: 86_400_000,
      onEvent: (event) => {
        if (event.type === 'approval.changed') looks.add(event.approval.lookCount);
      },
    });
    const delegate = new Delegate(
      delegateOptions({
        managerUrl: manager.url,
        enrolmentToken: manager.createEnrolmentToken().value,
        stateDir: await stateDir(),
        taskTypes: Object.values(bench.tasks),
        capacity: APPROVALS,
      }),
    );
    return { clock, manager, delegate, looks };
  }

  it('costs ten requests a poll', async () => {
    await using bench = await openBench({ gathering: GATHERING });
    const { clock, manager, delegate, looks } = await startAll(bench);
    const run = delegate.run();
    try {
      await looks.all(1);
      const before = tableCalls(bench.instance).length;
      const [first] = manager.approvals;
      await clock.advance(Date.parse(first?.nextLookAt ?? '') - clock.now());
      await looks.all(2);
      const requests = tableCalls(bench.instance).length - before;
      process.stdout.write(`      ${APPROVALS} approvals, one poll: ${requests} requests\n`);
      for (const approval of manager.approvals) {
        expect(approval.status).to.equal('waiting');
        expect(approval.looks.map(({ decision }) => decision)).to.deep.equal(['pending', 'pending']);
      }
      expect(requests).to.equal(APPROVALS / TICKETS_PER_REQUEST);
    } finally {
      await within('the delegate to stop', delegate.stop('the test is over', 0));
      await run;
      await manager.close();
    }
  });
});
