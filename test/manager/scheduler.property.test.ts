import { expect } from 'chai';
import * as fc from 'fast-check';
import { resolveOptions } from '../../src/manager/options.ts';
import { Scheduler, type Seat } from '../../src/manager/scheduler.ts';
import type { TaskRecord } from '../../src/manager/store.ts';
import { keyOf, type TaskAssign, type TaskRef, type TaskResult } from '../../src/protocol/messages.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { readTask } from './support/manager-under-test.ts';

const INSTANCE = '00000000-0000-4000-8000-000000000000';
const AT = '2026-01-01T00:00:00.000Z';

/** A delegate without a socket: it keeps what it was sent, and may do anything with it. */
class ModelSeat implements Seat {
  readonly delegate;
  readonly tags = new Set<string>();
  readonly tasks = [{ name: 'demo.read', version: 1 }];
  readonly capabilities: string[] = [];
  readonly assigned: TaskAssign[] = [];
  readonly acknowledged = new Set<string>();
  granted = 0;

  constructor(name: string) {
    this.delegate = { id: name, name, instanceId: INSTANCE, version: '26.11.90100' };
  }

  get freeCredit(): number {
    return this.granted - this.assigned.length;
  }

  offer(assign: TaskAssign): void {
    this.assigned.push(assign);
  }

  send(message: Parameters<Seat['send']>[0]): void {
    if (message.type === 'result.ack') this.acknowledged.add(keyOf(message));
  }

  disown(): void {}
}

type Step =
  | { readonly kind: 'submit' }
  | { readonly kind: 'wait' }
  | {
      readonly kind: 'grant' | 'accept' | 'reject' | 'succeed' | 'cancelled' | 'beat' | 'reconnect';
      readonly seat: number;
      readonly pick: number;
    };

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.constantFrom({ kind: 'submit' } as const, { kind: 'wait' } as const),
  fc.record({
    kind: fc.constantFrom(
      'grant' as const,
      'grant' as const,
      'accept' as const,
      'reject' as const,
      'succeed' as const,
      'cancelled' as const,
      'beat' as const,
      'reconnect' as const,
    ),
    seat: fc.nat(1),
    pick: fc.nat(),
  }),
);

describe('the scheduler, whatever delegates do in whatever order', () => {
  it('keeps to the credit, never uses an attempt twice, ends every task once, and lets no old attempt count', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const clock = new ManualClock(0);
        const endings = new Map<string, number>();
        const onEvent = (event: { type: string; task?: TaskRecord }): void => {
          const last = event.task?.history.at(-1);
          if (event.task === undefined || last?.what !== 'ended') return;
          endings.set(event.task.taskId, (endings.get(event.task.taskId) ?? 0) + 1);
        };
        const scheduler = new Scheduler(resolveOptions({ clock, onEvent }), undefined);
        let seats = [new ModelSeat('a'), new ModelSeat('b')];
        const sent: TaskRef[] = [];
        for (const seat of seats) scheduler.seat(seat);

        for (const each of steps) {
          if (each.kind === 'submit') scheduler.submit(readTask());
          else if (each.kind === 'wait') await clock.advance(7_000);
          else {
            const seat = seats[each.seat];
            if (seat === undefined) throw new Error('there are two seats');
            const ref = seat.assigned[each.pick % Math.max(1, seat.assigned.length)];
            if (each.kind === 'grant') {
              seat.granted += 1;
              scheduler.creditChanged();
            } else if (each.kind === 'reconnect') {
              const back = new ModelSeat(seat.delegate.name);
              scheduler.unseat(seat);
              scheduler.reconcile(back, { running: ref === undefined ? [] : [ref], unacknowledged: [] });
              sent.push(...seat.assigned);
              seats = seats.map((old) => (old === seat ? back : old));
              scheduler.seat(back);
            } else if (ref !== undefined) act(scheduler, seat, ref, each.kind);
          }
          for (const seat of seats) expect(seat.assigned.length).to.be.at.most(seat.granted);
        }

        const keys = [...sent, ...seats.flatMap((seat) => seat.assigned)].map(keyOf);
        expect(new Set(keys).size).to.equal(keys.length);
        for (const seat of seats) seat.granted = 1_000;
        scheduler.creditChanged();
        await clock.advance(600_000);
        for (const task of scheduler.tasks()) {
          expect(task.state.at).to.equal('ended');
          expect(endings.get(task.taskId)).to.equal(1);
        }
        scheduler.close();
        expect(clock.pending).to.equal(0);
      }),
      { numRuns: 60 },
    );
  });
});

function act(
  scheduler: Scheduler,
  seat: ModelSeat,
  ref: TaskRef,
  kind: 'accept' | 'reject' | 'succeed' | 'cancelled' | 'beat',
): void {
  const { taskId, attempt } = ref;
  const before = scheduler.task(taskId);
  switch (kind) {
    case 'accept':
      return scheduler.accepted(seat, ref);
    case 'reject':
      return scheduler.rejected(seat, {
        type: 'task.reject',
        taskId,
        attempt,
        code: 'draining',
        message: '',
      });
    case 'beat':
      scheduler.renewed(seat, [ref]);
      return;
    case 'succeed':
    case 'cancelled': {
      scheduler.finished(seat, resultOf(seat, ref, kind));
      expect(seat.acknowledged.has(keyOf(ref))).to.equal(true);
      if (before !== undefined && before.attempt > attempt) {
        expect(scheduler.task(taskId)?.state).to.deep.equal(before.state);
      }
    }
  }
}

function resultOf(seat: ModelSeat, { taskId, attempt }: TaskRef, kind: 'succeed' | 'cancelled'): TaskResult {
  const base = {
    type: 'task.result' as const,
    taskId,
    attempt,
    delegate: seat.delegate,
    timing: { receivedAt: AT, startedAt: AT, finishedAt: AT, queueMs: 0, runMs: 0 },
  };
  if (kind === 'succeed') return { ...base, outcome: 'succeeded', output: null };
  const error = { code: 'cancelled', message: '', category: 'cancelled' as const, retryable: false };
  return { ...base, outcome: 'cancelled', error };
}
