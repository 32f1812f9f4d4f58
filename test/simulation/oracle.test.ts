import { expect } from 'chai';
import type { TaskRecord } from '../../src/manager/store.ts';
import { encodeToDelegate, encodeToManager } from '../../src/protocol/codec.ts';
import type { TaskRef, ToManager } from '../../src/protocol/messages.ts';
import { assignOf, resultOf } from '../delegate/frames.ts';
import { seededRandom } from '../support/random.ts';
import { welcome } from '../support/scripted-manager.ts';
import { History } from './history.ts';
import { Ledger } from './ledger.ts';
import { LEASE_MS } from './manager-machine.ts';
import { Oracle } from './oracle.ts';
import { SimulatedProcess } from './process.ts';
import { SimulatedTime } from './time.ts';

const DELEGATE = 'dlg-1';
const HOLDER = { delegateId: DELEGATE, name: 'd1', version: '26.11.90100' };
const RUNNING = { at: 'running', holder: HOLDER, effect: 'writes', acceptedAt: '' } as const;

/** A world in which nothing happens but what a test says; it is there to see that wrong things are noticed. */
class Bench {
  readonly time = new SimulatedTime();
  readonly ledger = new Ledger(this.time, seededRandom(1));
  readonly process = new SimulatedProcess('d1.1', this.time);
  record: TaskRecord = recordOf(RUNNING);
  readonly oracle = new Oracle({
    time: this.time,
    history: new History(this.time),
    ledger: this.ledger,
    task: () => this.record,
    mayHaveLost: () => false,
  });
  readonly tap = this.oracle.tap(DELEGATE, 'd1.1');

  get complaints(): string[] {
    return this.oracle.violations.map(({ what }) => what);
  }

  change(state: TaskRecord['state']): void {
    this.record = recordOf(state);
    this.oracle.taskChanged(this.record);
  }

  async write(): Promise<void> {
    void this.ledger.append('t1', this.process);
    await this.time.advance(1_000);
  }
}

function recordOf(state: TaskRecord['state']): TaskRecord {
  return {
    taskId: 't-1',
    name: 'sim.write',
    version: 1,
    input: { task: 't1', beforeMs: 0, afterMs: 0, ends: 'well', outputBytes: 0 },
    selectors: [],
    timeoutMs: 1_000,
    createdAt: '',
    attempt: 1,
    affinity: null,
    losses: 0,
    misses: 0,
    refusals: [],
    cancelReason: null,
    progress: null,
    history: [],
    state,
  };
}

function endedWith(outcome: 'succeeded' | 'failed' | 'unknown'): TaskRecord['state'] {
  return { at: 'ended', outcome, holder: HOLDER, timing: null, finishedAt: '' };
}

function helloOf(running: TaskRef[]): ToManager {
  return {
    type: 'hello',
    delegate: { ...resultOf().delegate, id: DELEGATE },
    tags: [],
    tasks: [],
    capabilities: [],
    capacity: 4,
    running,
    unacknowledged: [],
    policyHash: null,
  };
}

describe('the oracle of a simulated world', () => {
  const ack = encodeToDelegate({ type: 'result.ack', taskId: 't-1', attempt: 1 });
  const result = encodeToManager(resultOf());
  const acceptAck = encodeToDelegate({ type: 'accept.ack', taskId: 't-1', attempt: 1 });

  it('is content with a task that goes its way', async () => {
    const bench = new Bench();
    bench.tap.delegateReceives(acceptAck);
    await bench.write();
    bench.tap.delegateSends(result);
    bench.tap.managerReceives(result);
    bench.change(endedWith('succeeded'));
    bench.tap.managerSends(ack);
    bench.tap.delegateReceives(ack);
    bench.oracle.compareWithLedger([bench.record]);
    bench.oracle.checkNoneForgotten();
    expect(bench.complaints).to.deep.equal([]);
  });

  it('notices a second write', async () => {
    const bench = new Bench();
    bench.tap.delegateReceives(acceptAck);
    await bench.write();
    await bench.write();
    expect(bench.complaints).to.deep.equal(['t1 was written 2 times']);
  });

  it('notices a write after the lease', async () => {
    const bench = new Bench();
    bench.tap.delegateReceives(acceptAck);
    await bench.time.advance(LEASE_MS + 1);
    await bench.write();
    expect(bench.complaints.join()).to.include('after it last heard of the manager');
  });

  it('notices a success without a write, and a failure with one', async () => {
    const bench = new Bench();
    bench.change(endedWith('succeeded'));
    bench.oracle.compareWithLedger([bench.record]);
    expect(bench.complaints).to.deep.equal(['t1 ended succeeded with 0 lines in the ledger']);

    const other = new Bench();
    other.tap.delegateReceives(acceptAck);
    await other.write();
    other.change(endedWith('failed'));
    other.oracle.compareWithLedger([other.record]);
    expect(other.complaints).to.deep.equal(['t1 ended failed with 1 lines in the ledger']);
  });

  it('notices an ending that changes', () => {
    const bench = new Bench();
    bench.change(endedWith('succeeded'));
    bench.change(endedWith('unknown'));
    expect(bench.complaints.join()).to.include('had ended and changed');
  });

  it('notices an acknowledgement of what was not recorded', () => {
    const bench = new Bench();
    bench.tap.delegateSends(result);
    bench.tap.managerReceives(result);
    bench.tap.managerSends(ack);
    expect(bench.complaints).to.deep.equal([
      't-1#1 was acknowledged as succeeded and is recorded as running',
    ]);
  });

  it('notices a result that is told in two ways, and one that is forgotten', () => {
    const bench = new Bench();
    bench.tap.delegateSends(result);
    const error = { code: 'other', message: '', category: 'internal', retryable: false } as const;
    const { output: _, ...base } = resultOf();
    bench.tap.delegateSends(encodeToManager({ ...base, outcome: 'failed', error }));
    bench.oracle.checkNoneForgotten();
    expect(bench.complaints).to.have.lengthOf(2);
  });

  it('notices results that overtake each other', () => {
    const bench = new Bench();
    const second = encodeToManager(resultOf({ taskId: 't-2', attempt: 1 }));
    bench.tap.delegateSends(result);
    bench.tap.delegateSends(second);
    bench.tap.managerReceives(second);
    bench.tap.managerReceives(result);
    expect(bench.complaints.join()).to.include('after a younger result');
  });

  it('notices a writing task of which two attempts are confirmed, by an ack or by a welcome', () => {
    const bench = new Bench();
    bench.tap.managerSends(acceptAck);
    bench.tap.managerSends(acceptAck);
    expect(bench.complaints).to.deep.equal([]);
    const second = { taskId: 't-1', attempt: 2 };
    bench.tap.managerReceives(encodeToManager(helloOf([second])));
    bench.tap.managerSends(encodeToDelegate(welcome({ lost: [second] })));
    expect(bench.complaints).to.deep.equal([]);
    bench.tap.managerSends(encodeToDelegate(welcome()));
    expect(bench.complaints).to.deep.equal(['attempts 1 and 2 of t-1 were both confirmed']);
  });

  it('notices an assign beyond the credit', () => {
    const bench = new Bench();
    bench.tap.managerReceives(encodeToManager({ type: 'credit', granted: 1 }));
    bench.tap.managerSends(encodeToDelegate(assignOf()));
    bench.tap.managerSends(encodeToDelegate(assignOf({ taskId: 't-2' })));
    expect(bench.complaints).to.deep.equal(['d1 was assigned 2 tasks and granted 1']);
  });
});
