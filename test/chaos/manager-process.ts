import { z } from 'zod';
import { deferred } from '../../src/kit/flow.ts';
import { toTimestamp, type Clock } from '../../src/kit/time.ts';
import { startManager, type Manager, type TaskRecord } from '../../src/manager/manager.ts';
import { decodeToDelegate, decodeToManager } from '../../src/protocol/codec.ts';
import { fastClock } from '../support/fast-clock.ts';
import { openChronicle, type FrameRow } from './chronicle.ts';
import { orders, type FromManagerProcess, type ToManagerProcess } from './orders.ts';

/** A manager that may be killed at any moment: whatever it has said is in its chronicle. */

/** Longer than every outage of a plan: what no delegate is there for waits. */
const QUEUE_TIMEOUT_MS = 600_000;

type Order<O extends ToManagerProcess['order']> = Extract<ToManagerProcess, { order: O }>;

const inputSchema = z.object({ key: z.string() });

function keyOfTask(task: TaskRecord): string {
  return inputSchema.parse(task.input).key;
}

function say(message: FromManagerProcess): void {
  process.send?.(message);
}

async function start({ port, publicUrl, chroniclePath, lapse }: Order<'start'>): Promise<Manager> {
  const clock = fastClock(lapse);
  const chronicle = openChronicle(chroniclePath);
  const manager: Manager = await startManager({
    port,
    publicUrl,
    store: chronicle.store,
    clock,
    queueTimeoutMs: QUEUE_TIMEOUT_MS,
    onFrame: (direction, sessionId, text) => {
      for (const row of frameRows(clock, direction, sessionId, text)) chronicle.append(row);
    },
    onEvent: (event) => {
      if (event.type === 'session.opened' || event.type === 'session.closed') {
        say({ said: 'sessions', names: manager.sessions.map(({ name }) => name) });
      } else if (event.type === 'task.changed' && event.task.state.at === 'ended') {
        say({ said: 'ended', key: keyOfTask(event.task) });
      }
    },
  });
  const { tasks } = manager;
  const ended = tasks.filter(({ state }) => state.at === 'ended');
  say({ said: 'started', taken: tasks.map(keyOfTask), ended: ended.map(keyOfTask) });
  return manager;
}

/** What is worth keeping of a frame; a hello is told at once, too. */
function frameRows(
  clock: Clock,
  direction: FrameRow['direction'],
  sessionId: string,
  text: string,
): FrameRow[] {
  const frame = { bytes: Buffer.from(text), binary: false };
  const decoded = direction === 'sent' ? decodeToDelegate(frame) : decodeToManager(frame);
  if (!decoded.known) return [];
  const { message } = decoded;
  if (message.type === 'hello') {
    say({
      said: 'hello',
      delegateId: message.delegate.id,
      name: message.delegate.name,
      running: message.running.length,
      unacknowledged: message.unacknowledged.length,
    });
  }
  if (!('taskId' in message)) return [];
  const { type, taskId, attempt } = message;
  const outcome = message.type === 'task.result' ? { outcome: message.outcome } : {};
  const at = toTimestamp(clock.now());
  return [{ kind: 'frame', at, direction, sessionId, type, taskId, attempt, ...outcome }];
}

/** Once for each key, however often it is ordered: the answer to the first order may have been lost. */
function submit(manager: Manager, { key, work, timeoutMs }: Order<'submit'>): void {
  if (!manager.tasks.some((task) => keyOfTask(task) === key)) {
    const { name, ...rest } = work;
    manager.submit({ name, version: 1, input: { key, ...rest }, selectors: [], timeoutMs });
  }
  say({ said: 'taken', key });
}

function cancel(manager: Manager, { key }: Order<'cancel'>): void {
  const task = manager.tasks.find((one) => keyOfTask(one) === key);
  if (task !== undefined) manager.cancel(task.taskId, 'nobody wants it any more');
}

const started = deferred<Manager>();

async function obey(order: ToManagerProcess): Promise<void> {
  if (order.order === 'start') return started.resolve(await start(order));
  const manager = await started.promise;
  switch (order.order) {
    case 'enrolment-token': {
      const { label } = order;
      say({ said: 'enrolment-token', label, value: manager.createEnrolmentToken({ label }).value.reveal() });
      return;
    }
    case 'submit':
      return submit(manager, order);
    case 'cancel':
      return cancel(manager, order);
    case 'drain':
      return manager.drain('moving to another node', order.reconnectAfterMs);
    case 'close':
      await manager.close();
      process.disconnect();
  }
}

// Also when the world is gone without a word.
process.once('disconnect', () => void started.promise.then((manager) => manager.close()));
process.on('message', (raw) => void obey(orders.toManager.parse(raw)));
say({ said: 'waiting' });
