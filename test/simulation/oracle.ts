import { decodeToDelegate, decodeToManager } from '../../src/protocol/codec.ts';
import {
  keyOf,
  type TaskRef,
  type TaskResult,
  type ToDelegate,
  type ToManager,
} from '../../src/protocol/messages.ts';
import type { TaskRecord } from '../../src/manager/store.ts';
import { promisedLines } from '../support/promised-lines.ts';
import type { Tap } from './connection.ts';
import type { History } from './history.ts';
import { workSchema, type Ledger } from './ledger.ts';
import { LEASE_MS } from './manager-machine.ts';
import type { SimulatedTime } from './time.ts';

export interface Violation {
  readonly what: string;
  /** Lines of history when it was noticed. */
  readonly at: number;
  /** The task that it is about, if it is about one. */
  readonly task: string | undefined;
}

/** The results of one process: in which order it first sent them, which of them arrived, and how far that went. */
interface Order {
  readonly sent: Map<string, number>;
  readonly arrived: Set<string>;
  youngest: number;
}

/** What answers a frame of the delegate's from which a lease is counted. */
const RENEWING: ReadonlySet<ToDelegate['type']> = new Set(['welcome', 'accept.ack', 'heartbeat.ack']);

interface OracleOptions {
  readonly time: SimulatedTime;
  readonly history: History;
  readonly ledger: Ledger;
  readonly task: (taskId: string) => TaskRecord | undefined;
  /** Whether the delegate's disk may have lost what it was given, so that nobody can be blamed for it. */
  readonly mayHaveLost: (delegateId: string) => boolean;
}

/**
 * Watches a world and knows what must never happen in it. It reads frames, the manager's records and the ledger,
 * and shares no code with what it judges but the codec.
 */
export class Oracle {
  readonly #options: OracleOptions;
  readonly violations: Violation[] = [];
  readonly #endings = new Map<string, string>();
  /** Results that the manager must have recorded by the time it acknowledges them. */
  readonly #due = new Map<string, TaskResult['outcome']>();
  /** By delegate process. */
  readonly #orders = new Map<string, Order>();
  /** Results that a delegate has sent, and so has on its disk, and that nobody has taken from it yet. */
  readonly #unsettled = new Map<string, { delegateId: string; ref: TaskRef }>();
  /** By delegate process: when it last read something that can renew a lease. */
  readonly #lastHeardAt = new Map<string, number>();
  /** What each attempt was first said to have come to. */
  readonly #said = new Map<string, string>();
  /** Of each writing task: the attempt that the manager has confirmed. */
  readonly #confirmed = new Map<string, number>();

  constructor(options: OracleOptions) {
    this.#options = options;
    options.ledger.onSent = (task, by) => {
      const silentMs = options.time.monotonic() - (this.#lastHeardAt.get(by) ?? -Infinity);
      if (silentMs > LEASE_MS) {
        this.broken(`${by} writes for ${task}, ${silentMs} ms after it last heard of the manager`, task);
      }
    };
    options.ledger.onLine = (task, by) => {
      const lines = options.ledger.linesOf(task);
      options.history.note(by.split('.')[0] ?? by, `the ledger has line ${lines} of ${task}`);
      if (lines > 1) this.broken(`${task} was written ${lines} times`, task);
    };
  }

  readonly broken = (what: string, task?: string): void => {
    const { history } = this.#options;
    history.note('!', what);
    this.violations.push({ what: history.plain(what), at: history.length, task });
  };

  // --- the manager's records ----------------------------------------------------------------------------------

  /** Every change of a task as it is recorded. */
  taskChanged(task: TaskRecord): void {
    const { taskId, state } = task;
    const before = this.#endings.get(taskId);
    const now = JSON.stringify(state);
    if (before !== undefined && before !== now) {
      this.broken(`${taskId} had ended and changed: ${before} became ${now}`, this.#label(taskId));
    }
    if (state.at === 'ended') this.#endings.set(taskId, now);
  }

  /** What the target's ledger must say about tasks that have ended. */
  compareWithLedger(tasks: readonly TaskRecord[]): void {
    for (const { name, input, state } of tasks) {
      if (name !== 'sim.write' || state.at !== 'ended') continue;
      const { task } = workSchema.parse(input);
      const lines = this.#options.ledger.linesOf(task);
      if (promisedLines(state).includes(lines)) continue;
      const ending = state.error === undefined ? state.outcome : `${state.outcome} (${state.error.code})`;
      this.broken(`${task} ended ${ending} with ${lines} lines in the ledger`, task);
    }
  }

  /** To be called when every outbox is empty: a result that is not there any more was taken by somebody. */
  checkNoneForgotten(): void {
    for (const { delegateId, ref } of this.#unsettled.values()) {
      if (this.#options.mayHaveLost(delegateId)) continue;
      const label = this.#label(ref.taskId);
      this.broken(
        `${delegateId} has forgotten the result of ${keyOf(ref)}, which nobody acknowledged`,
        label,
      );
    }
  }

  // --- the wire -----------------------------------------------------------------------------------------------

  tap(delegateId: string, processName: string): Tap {
    const { history } = this.#options;
    const short = processName.split('.')[0] ?? processName;
    let granted = 0;
    let assigned = 0;
    let helloRunning: readonly TaskRef[] = [];
    return {
      delegateSends: (text) => {
        const frame = toManager(text);
        history.note(processName, `─► ${this.#shown(frame)}`);
        if (frame.type === 'task.result') this.#resultSent(delegateId, processName, frame);
      },
      managerReceives: (text) => {
        const frame = toManager(text);
        history.note('m', `◄─ ${short} ${this.#shown(frame)}`);
        if (frame.type === 'hello') helloRunning = frame.running;
        if (frame.type === 'credit') granted = frame.granted;
        if (frame.type === 'task.result') this.#resultArrives(delegateId, processName, frame);
      },
      managerSends: (text) => {
        const frame = toDelegate(text);
        history.note('m', `─► ${short} ${this.#shown(frame)}`);
        if (frame.type === 'task.assign') {
          assigned += 1;
          if (assigned > granted)
            this.broken(`${short} was assigned ${assigned} tasks and granted ${granted}`);
        }
        if (frame.type === 'accept.ack') this.#confirm(frame);
        if (frame.type === 'welcome') {
          // What a welcome does not take away it confirms, as an `accept.ack` does.
          const lost = new Set(frame.lost.map(keyOf));
          for (const ref of helloRunning) if (!lost.has(keyOf(ref))) this.#confirm(ref);
        }
        if (frame.type === 'result.ack') this.#resultAcknowledged(keyOf(frame), frame.taskId);
      },
      delegateReceives: (text) => {
        const frame = toDelegate(text);
        history.note(processName, `◄─ ${this.#shown(frame)}`);
        if (RENEWING.has(frame.type)) this.#lastHeardAt.set(processName, this.#options.time.monotonic());
        this.#settle(delegateId, frame);
      },
    };
  }

  /** From now on the attempt may write. This manager makes no second one of a writing task, whatever the first says. */
  #confirm({ taskId, attempt }: TaskRef): void {
    if (this.#options.task(taskId)?.name !== 'sim.write') return;
    const before = this.#confirmed.get(taskId) ?? attempt;
    this.#confirmed.set(taskId, attempt);
    if (before === attempt) return;
    this.broken(`attempts ${before} and ${attempt} of ${taskId} were both confirmed`, this.#label(taskId));
  }

  #resultSent(delegateId: string, processName: string, result: TaskResult): void {
    const key = keyOf(result);
    const { taskId, attempt } = result;
    this.#unsettled.set(`${delegateId} ${key}`, { delegateId, ref: { taskId, attempt } });
    const { sent } = this.#orderOf(processName);
    if (!sent.has(key)) sent.set(key, sent.size);

    const code = result.outcome === 'succeeded' ? '' : result.error.code;
    const said = `${result.outcome} ${code}`;
    const before = this.#said.get(key) ?? said;
    this.#said.set(key, said);
    const mayDiffer = code === 'result-too-large' || this.#options.mayHaveLost(delegateId);
    if (said !== before && !mayDiffer) {
      this.broken(`${key} was said to be "${before}", then "${said}"`, this.#label(result.taskId));
    }
  }

  /** The manager has acknowledged a result, or given its attempt up, or made a higher one. */
  #settle(delegateId: string, frame: ToDelegate): void {
    if (frame.type === 'result.ack') this.#unsettled.delete(`${delegateId} ${keyOf(frame)}`);
    if ('lost' in frame) {
      for (const ref of frame.lost) this.#unsettled.delete(`${delegateId} ${keyOf(ref)}`);
    }
    if (frame.type !== 'task.assign') return;
    for (const [key, unsettled] of this.#unsettled) {
      const { taskId, attempt } = unsettled.ref;
      const isLower = taskId === frame.taskId && attempt < frame.attempt;
      if (isLower && unsettled.delegateId === delegateId) this.#unsettled.delete(key);
    }
  }

  #resultArrives(delegateId: string, processName: string, result: TaskResult): void {
    const key = keyOf(result);
    const task = this.#options.task(result.taskId);
    const isHolder = task !== undefined && holderOf(task) === delegateId;
    if (isHolder && task.attempt === result.attempt) this.#due.set(key, result.outcome);

    const order = this.#orderOf(processName);
    const place = order.sent.get(key);
    if (place === undefined) {
      this.broken(`${key} arrived from ${processName}, which had not sent it`, this.#label(result.taskId));
    } else if (!order.arrived.has(key)) {
      order.arrived.add(key);
      if (place < order.youngest) {
        const what = `${key} first arrived after a younger result of ${processName}`;
        this.broken(what, this.#label(result.taskId));
      }
      order.youngest = Math.max(order.youngest, place);
    }
  }

  #orderOf(processName: string): Order {
    const order = this.#orders.get(processName) ?? { sent: new Map(), arrived: new Set(), youngest: -1 };
    this.#orders.set(processName, order);
    return order;
  }

  #resultAcknowledged(key: string, taskId: string): void {
    const task = this.#options.task(taskId);
    const due = this.#due.get(key);
    this.#due.delete(key);
    if (due === undefined) return;
    if (task?.state.at !== 'ended' || task.state.outcome !== due) {
      const found = task?.state.at === 'ended' ? task.state.outcome : task?.state.at;
      this.broken(`${key} was acknowledged as ${due} and is recorded as ${found}`, this.#label(taskId));
    }
  }

  /** A frame in few words. Names come first: half a UUID would be another one in each run. */
  #shown(frame: ToManager | ToDelegate): string {
    return this.#options.history.plain(inWords(frame)).slice(0, MAX_SHOWN);
  }

  #label(taskId: string): string {
    return this.#options.history.plain(taskId);
  }
}

/** Whoever has the latest attempt now; undefined if nobody has, or it has ended. */
function holderOf({ state }: TaskRecord): string | undefined {
  return state.at === 'waiting' || state.at === 'ended' ? undefined : state.holder.delegateId;
}

function toManager(text: string): ToManager {
  const decoded = decodeToManager({ bytes: Buffer.from(text), binary: false });
  if (!decoded.known) throw new TypeError(`a delegate sent ${decoded.type}`);
  return decoded.message;
}

function toDelegate(text: string): ToDelegate {
  const decoded = decodeToDelegate({ bytes: Buffer.from(text), binary: false });
  if (!decoded.known) throw new TypeError(`the manager sent ${decoded.type}`);
  return decoded.message;
}

const MAX_SHOWN = 300;

function inWords(frame: ToManager | ToDelegate): string {
  if (frame.type === 'task.result') {
    const code = frame.outcome === 'succeeded' ? '' : ` ${frame.error.code}`;
    return `task.result ${keyOf(frame)} ${frame.outcome}${code}`;
  }
  if (frame.type === 'task.assign') return `task.assign ${keyOf(frame)} ${frame.name} ${frame.timeoutMs} ms`;
  const { type, ...fields } = frame;
  if ('taskId' in fields) {
    const { taskId, attempt, ...others } = fields;
    const rest = Object.keys(others).length === 0 ? '' : ` ${JSON.stringify(others)}`;
    return `${type} ${keyOf({ taskId, attempt })}${rest}`;
  }
  return `${type} ${JSON.stringify(fields)}`;
}
