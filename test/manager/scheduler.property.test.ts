import { expect } from 'chai';
import * as fc from 'fast-check';
import type { ManagerEvent } from '../../src/manager/events.ts';
import { resolveOptions } from '../../src/manager/options.ts';
import { Scheduler } from '../../src/manager/scheduler.ts';
import type { Seat } from '../../src/manager/seats.ts';
import { isHeld } from '../../src/manager/task-table.ts';
import {
  keyOf,
  type TaskAssign,
  type TaskRef,
  type TaskResult,
  type ToDelegate,
} from '../../src/protocol/messages.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { readTask, writeTask } from './support/manager-under-test.ts';

const INSTANCE = '00000000-0000-4000-8000-000000000000';
const AT = '2026-01-01T00:00:00.000Z';
const NAMES = ['a', 'b'] as const;
type Name = (typeof NAMES)[number];

/** A delegate's connection without a socket: it keeps what it was sent, and may say anything. */
class ModelSeat implements Seat {
  readonly delegate;
  readonly openedAt: number;
  readonly tags = new Set<string>();
  readonly tasks = [
    { name: 'demo.read', version: 1 },
    { name: 'demo.write', version: 1, effect: 'writes' as const },
  ];
  readonly capabilities: string[] = [];
  readonly #world: World;
  assigned = 0;
  granted = 0;

  constructor(name: Name, world: World) {
    this.delegate = { id: name, name, instanceId: INSTANCE, version: '26.11.90100' };
    this.#world = world;
    this.openedAt = world.clock.monotonic();
  }

  get freeCredit(): number {
    return this.granted - this.assigned;
  }

  offer({ taskId, attempt }: TaskAssign): void {
    this.assigned += 1;
    this.#world.assigned.push({ taskId, attempt, to: this.delegate.name });
  }

  send(message: ToDelegate): void {
    if (message.type === 'result.ack') this.#world.resultsAcknowledged.add(keyOf(message));
    if (message.type === 'accept.ack') this.#world.acknowledge(message);
  }

  disown(): void {}
}

type Step =
  | { readonly kind: 'submit'; readonly writes: boolean }
  | { readonly kind: 'cancel'; readonly pick: number }
  | { readonly kind: 'wait'; readonly ms: number }
  | { readonly kind: 'restart' }
  | { readonly kind: 'open'; readonly name: Name }
  | { readonly kind: 'hello'; readonly name: Name; readonly said: readonly Said[] }
  | SeatStep;

/** Of a delegate that was welcomed. */
type SeatStep =
  | { readonly kind: 'grant' | 'cut'; readonly name: Name }
  | { readonly kind: 'goodbye'; readonly name: Name; readonly said: readonly Said[] }
  | { readonly kind: Utterance; readonly name: Name; readonly pick: number };

type Utterance = 'accept' | 'reject' | 'succeed' | 'cancelled' | 'beat';

/** How a delegate names one of the attempts that it was ever given; the list is gone through again and again. */
type Said = 'running' | 'unacknowledged' | 'nothing';

const anyName = fc.constantFrom(...NAMES);
const kind = <const K extends Step['kind']>(...kinds: K[]) => fc.constantFrom(...kinds);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: kind('submit'), writes: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ kind: kind('cancel'), pick: fc.nat() }) },
  { weight: 4, arbitrary: fc.record({ kind: kind('wait'), ms: fc.constantFrom(1, 1, 7_000, 31_000) }) },
  { weight: 1, arbitrary: fc.record({ kind: kind('restart') }) },
  { weight: 4, arbitrary: fc.record({ kind: kind('grant', 'open', 'cut'), name: anyName }) },
  {
    weight: 12,
    arbitrary: fc.record({
      kind: kind('accept', 'accept', 'accept', 'accept', 'reject', 'succeed', 'cancelled', 'beat', 'beat'),
      name: anyName,
      pick: fc.nat(2),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: kind('hello', 'hello', 'hello', 'goodbye'),
      name: anyName,
      said: fc.array(fc.constantFrom<Said>('running', 'running', 'unacknowledged', 'nothing'), {
        minLength: 1,
        maxLength: 6,
      }),
    }),
  },
);

/** What a delegate may be sent in each session before it grants more. */
const FIRST_GRANT = 5;

class World {
  readonly clock = new ManualClock(0);
  readonly endings = new Map<string, number>();
  readonly assigned: (TaskRef & { readonly to: string })[] = [];
  readonly resultsAcknowledged = new Set<string>();
  /** Attempts that may have begun, by task. */
  readonly begun = new Map<string, Set<number>>();
  readonly #settings = resolveOptions({ clock: this.clock, onEvent: (event) => this.#note(event) });
  /** Connected and welcomed. */
  readonly #seats = new Map<Name, ModelSeat>();
  /** Connected; hello is still to come. */
  readonly #opening = new Map<Name, ModelSeat>();
  scheduler = new Scheduler(this.#settings, undefined);

  acknowledge({ taskId, attempt }: TaskRef): void {
    this.begun.set(taskId, (this.begun.get(taskId) ?? new Set()).add(attempt));
  }

  async take(each: Step): Promise<void> {
    switch (each.kind) {
      case 'submit':
        this.scheduler.submit(each.writes ? writeTask() : readTask());
        return;
      case 'cancel': {
        const tasks = this.scheduler.tasks();
        const task = tasks[each.pick % Math.max(1, tasks.length)];
        if (task !== undefined) this.scheduler.cancel(task.taskId, 'not needed');
        return;
      }
      case 'wait':
        return this.clock.advance(each.ms);
      case 'restart':
        this.scheduler.close();
        this.#seats.clear();
        this.#opening.clear();
        this.scheduler = new Scheduler(this.#settings, undefined);
        return;
      case 'open':
        this.#opening.set(each.name, new ModelSeat(each.name, this));
        return;
      case 'hello':
        return this.hello(each.name, each.said);
      default: {
        const seat = this.#seats.get(each.name);
        if (seat !== undefined) this.#act(seat, each);
      }
    }
  }

  hello(name: Name, said: readonly Said[]): void {
    const older = this.#seats.get(name);
    const seat = this.#opening.get(name) ?? new ModelSeat(name, this);
    this.#opening.delete(name);
    if (older !== undefined) this.scheduler.unseat(older);
    const running = this.#refsOf(name, said, 'running');
    const unacknowledged = this.#refsOf(name, said, 'unacknowledged');
    const lost = new Set(this.scheduler.reconcile(seat, { running, unacknowledged }).map(keyOf));
    for (const ref of running) if (!lost.has(keyOf(ref))) this.acknowledge(ref);
    this.#seats.set(name, seat);
    seat.granted = FIRST_GRANT;
    this.scheduler.seat(seat);
  }

  grant(name: Name, more: number): void {
    const seat = this.#seats.get(name);
    if (seat !== undefined) seat.granted += more;
    this.scheduler.creditChanged();
  }

  assertCreditKept(): void {
    for (const seat of this.#seats.values()) expect(seat.assigned).to.be.at.most(seat.granted);
  }

  #act(seat: ModelSeat, each: SeatStep): void {
    switch (each.kind) {
      case 'grant':
        return this.grant(each.name, 1);
      case 'goodbye':
        return this.scheduler.left(seat, this.#refsOf(each.name, each.said, 'unacknowledged'));
      case 'cut':
        this.scheduler.unseat(seat);
        this.#seats.delete(each.name);
        return;
      case 'accept':
      case 'reject':
      case 'succeed':
      case 'cancelled':
      case 'beat': {
        const given = this.#given(each.name);
        // Of the youngest mostly: the older ones are stale.
        const ref = given.at(-1 - (each.pick % Math.max(1, given.length)));
        if (ref !== undefined) this.#speak(seat, ref, each.kind);
      }
    }
  }

  #speak(seat: ModelSeat, ref: TaskRef, said: Utterance): void {
    switch (said) {
      case 'accept':
        return this.scheduler.accepted(seat, ref);
      case 'reject':
        return this.scheduler.rejected(seat, { type: 'task.reject', ...ref, code: 'draining', message: '' });
      case 'beat':
        this.scheduler.renewed(seat, [ref]);
        return;
      case 'succeed':
      case 'cancelled':
        this.#finish(seat, resultOf(seat, ref, said));
    }
  }

  #finish(seat: ModelSeat, result: TaskResult): void {
    const before = this.scheduler.task(result.taskId);
    this.scheduler.finished(seat, result);
    const after = this.scheduler.task(result.taskId);
    expect(this.resultsAcknowledged.has(keyOf(result))).to.equal(true);
    if (before === undefined || before.state.at === 'ended' || before.attempt > result.attempt) {
      expect(after?.state).to.deep.equal(before?.state);
    } else if (isHeld(before) && before.state.holder.delegateId === seat.delegate.id) {
      expect(after?.state).to.include({ at: 'ended', outcome: result.outcome });
    }
  }

  #given(name: Name): TaskRef[] {
    return this.assigned.filter(({ to }) => to === name).map(({ taskId, attempt }) => ({ taskId, attempt }));
  }

  #refsOf(name: Name, said: readonly Said[], as: Said): TaskRef[] {
    return this.#given(name).filter((_ref, index) => said[index % said.length] === as);
  }

  #note(event: ManagerEvent): void {
    if (event.type !== 'task.changed' || event.task.history.at(-1)?.what !== 'ended') return;
    const { taskId } = event.task;
    this.endings.set(taskId, (this.endings.get(taskId) ?? 0) + 1);
  }
}

function resultOf(seat: ModelSeat, { taskId, attempt }: TaskRef, said: 'succeed' | 'cancelled'): TaskResult {
  const base = {
    type: 'task.result' as const,
    taskId,
    attempt,
    delegate: seat.delegate,
    timing: { receivedAt: AT, startedAt: AT, finishedAt: AT, queueMs: 0, runMs: 0 },
  };
  if (said === 'succeed') return { ...base, outcome: 'succeeded', output: null };
  const error = { code: 'cancelled', message: '', category: 'cancelled' as const, retryable: false };
  return { ...base, outcome: 'cancelled', error };
}

describe('the scheduler, whatever delegates do in whatever order, and however often it starts again', () => {
  it('keeps to the credit, uses no attempt twice, begins no second write, ends every task once, and loses no result that counts', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 80, size: 'max' }), async (steps) => {
        const world = new World();
        for (const name of NAMES) world.hello(name, ['nothing']);
        for (const each of steps) {
          await world.take(each);
          world.assertCreditKept();
        }

        for (const name of NAMES) {
          world.hello(name, ['nothing']);
          world.grant(name, 1_000);
        }
        await world.clock.advance(600_000);
        for (const task of world.scheduler.tasks()) {
          expect(task.state.at).to.equal('ended');
          expect(world.endings.get(task.taskId)).to.equal(1);
          if (task.name === 'demo.write') {
            expect(world.begun.get(task.taskId)?.size ?? 0).to.be.at.most(1);
          }
        }
        const keys = world.assigned.map(keyOf);
        expect(new Set(keys).size).to.equal(keys.length);
        world.scheduler.close();
        expect(world.clock.pending).to.equal(0);
      }),
      { numRuns: 300 },
    );
  });
});
