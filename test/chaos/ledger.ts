import { openSync, readFileSync, writeSync } from 'node:fs';
import { z } from 'zod';
import {
  defineTask,
  type DefineConnector,
  type TaskContext,
  type TaskType,
} from '../../src/connectors/connector.ts';
import { DelegateError } from '../../src/kit/errors.ts';
import { sleep } from '../../src/kit/time.ts';
import { appendWork, readWork } from './work.ts';

/** A side effect that can be counted: a file that tasks append to, shared by every delegate of a world. */

/** Every line has this length, a divisor of every page size: no line crosses a page, so none is cut by a SIGKILL. */
const LINE_BYTES = 64;
/** Leaves room for the process id. */
const MAX_KEY_CHARS = 32;
const LARGE_OUTPUT_CHARS = 50_000;

export interface LedgerLine {
  readonly key: string;
  readonly pid: number;
}

export function readLedger(path: string): LedgerLine[] {
  const text = readFileSync(path, 'utf8');
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const [key = '', pid = ''] = line.trim().split(' ');
      return { key, pid: Number(pid) };
    });
}

const appendInput = appendWork.omit({ name: true }).extend({ key: z.string().max(MAX_KEY_CHARS) });
const readInput = readWork.omit({ name: true }).extend({ key: z.string() });

/** `ledger.append` writes, `ledger.read` does not. */
export function ledgerConnector(path: string): DefineConnector {
  const file = openSync(path, 'a', 0o600);
  const append = (key: string): void => {
    // One write, at the end of the file as it is then, whoever else writes.
    writeSync(file, `${`${key} ${process.pid}`.padEnd(LINE_BYTES - 1)}\n`);
  };
  return () => ({ capabilities: [], tasks: [appendTask(append), readTask] });
}

function appendTask(append: (key: string) => void): TaskType {
  return defineTask({
    name: 'ledger.append',
    version: 1,
    effect: 'writes',
    input: appendInput,
    output: z.object({ key: z.string() }),
    async run({ key, beforeMs, afterMs, end }, context) {
      await takes(beforeMs, context);
      if (end === 'refused') {
        throw new DelegateError('ledger-refused', 'The ledger takes no such line.', { category: 'refused' });
      }
      context.fence();
      append(key);
      await takes(afterMs, context);
      if (end === 'ambiguous') {
        throw new DelegateError('ledger-silent', 'The answer was lost.', { category: 'ambiguous' });
      }
      return { key };
    },
  });
}

const readTask = defineTask({
  name: 'ledger.read',
  version: 1,
  effect: 'reads',
  input: readInput,
  output: z.object({ key: z.string(), text: z.string() }),
  async run({ key, takesMs, end, deaf }, context) {
    if (deaf) await sleep(context.clock, takesMs);
    else await takes(takesMs, context);
    if (end === 'fails') {
      throw new DelegateError('ledger-unreadable', 'The ledger cannot be read.', { category: 'unavailable' });
    }
    return { key, text: end === 'large' ? 'x'.repeat(LARGE_OUTPUT_CHARS) : '' };
  },
});

function takes(ms: number, { clock, signal }: TaskContext): Promise<void> {
  return sleep(clock, ms, signal);
}
