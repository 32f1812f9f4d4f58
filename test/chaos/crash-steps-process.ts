import { appendFileSync } from 'node:fs';
import { pino } from 'pino';
import { onStopSignals } from '../../src/cli/signals.ts';
import type { PreparedTask, TaskType } from '../../src/connectors/connector.ts';
import { Delegate } from '../../src/delegate/delegate.ts';
import { openJournal } from '../../src/delegate/journal/file-journal.ts';
import { journalFolder } from '../../src/delegate/journal/folder.ts';
import type { Journal } from '../../src/delegate/journal/journal.ts';
import { stateKeyFrom } from '../../src/delegate/state/state-key.ts';
import { untilAborted } from '../../src/kit/flow.ts';
import { systemClock } from '../../src/kit/time.ts';
import type { TaskEffect } from '../../src/protocol/messages.ts';
import { crashOrder, type CrashOrder, type CrashPoint, type CrashSaid } from './crash-steps.ts';
import { delegateOptions } from '../support/delegate-options.ts';

/** A delegate, its journal on a real disk, that is killed by SIGKILL at one point of the way of a task. */

/** At the point that was ordered nothing that comes after it in the program happens any more. */
type Reach = (point: CrashPoint) => void;

function reaching({ dieAt, tracePath }: CrashOrder): Reach {
  return (point) => {
    if (point !== dieAt) return;
    appendFileSync(tracePath, `${point}\n`);
    process.kill(process.pid, 'SIGKILL');
  };
}

/** The journal, with a point before and after each record. */
function withPoints(journal: Journal, reach: Reach): Journal {
  const around = async (record: 'begin' | 'start' | 'finish' | 'forget', write: () => Promise<void>) => {
    reach(`before ${record}`);
    await write();
    reach(`after ${record}`);
  };
  return {
    recover: () => journal.recover(),
    begin: (record) => around('begin', () => journal.begin(record)),
    start: (ref, startedAt) => around('start', () => journal.start(ref, startedAt)),
    finish: (result) => around('finish', () => journal.finish(result)),
    forget: (ref) => around('forget', () => journal.forget(ref)),
    get writable() {
      return journal.writable;
    },
    get onWritable() {
      return journal.onWritable;
    },
    set onWritable(callback) {
      journal.onWritable = callback;
    },
    [Symbol.asyncDispose]: () => journal[Symbol.asyncDispose](),
  };
}

/** Its effect, if it has one, is a line in the ledger. `steps.hang` has none, and waits for its end. */
function taskType(name: string, effect: TaskEffect, work: (signal: AbortSignal) => Promise<void>): TaskType {
  const prepared: PreparedTask = {
    async run({ signal }) {
      await work(signal);
      return null;
    },
  };
  return { name, version: 1, effect, prepare: () => prepared };
}

function taskTypes({ ledgerPath }: CrashOrder, reach: Reach): TaskType[] {
  const between = (effect: () => void): Promise<void> => {
    reach('before effect');
    effect();
    reach('after effect');
    return Promise.resolve();
  };
  return [
    taskType('steps.write', 'writes', () => between(() => appendFileSync(ledgerPath, 'done\n'))),
    taskType('steps.read', 'reads', () => between(() => {})),
    taskType('steps.hang', 'reads', (signal) => untilAborted(new Promise<never>(() => {}), signal)),
  ];
}

async function run(order: CrashOrder): Promise<void> {
  const reach = reaching(order);
  const log = pino({ level: 'silent' });
  const clock = systemClock;
  const { stateDir, managerUrl } = order;
  const delegate = new Delegate(
    delegateOptions({
      managerUrl,
      stateDir,
      taskTypes: taskTypes(order, reach),
      openJournal: async ({ privateKey }) => {
        const key = stateKeyFrom({ operatorKey: undefined, identityKey: privateKey, managerUrl });
        return withPoints(await openJournal({ folder: journalFolder(stateDir), key, clock, log }), reach);
      },
    }),
  );
  using _signals = onStopSignals((signal) => void delegate.stop(signal));
  say('started');
  await delegate.run();
}

function say(said: CrashSaid['said']): void {
  process.send?.({ said });
}

process.once('message', (raw) => void run(crashOrder.parse(raw)));
say('waiting');
