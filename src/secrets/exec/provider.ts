import PQueue from 'p-queue';
import { untilAborted } from '../../kit/flow.ts';
import { secretError } from '../errors.ts';
import type { FoundSecret, Provider, StorePorts } from '../provider.ts';
import { ShortMemory } from '../short-memory.ts';
import { decoded, withoutLastLineBreak } from '../text-file.ts';
import { readCommand } from './definitions.ts';
import { runCommand } from './run.ts';

/** Programs of the operator's that may run at the same time. */
const MAX_RUNNING = 4;

export interface ExecOptions {
  /** `DELEGATE_EXEC_SECRETS_FILE` */
  readonly file: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly cacheMs: number;
  readonly ports: Pick<StorePorts, 'clock'>;
}

/**
 * `exec:name` runs a command that the operator has defined, and takes what it writes for the secret. A reference names
 * it and can give it no argument, so that a manager chooses among commands and makes none.
 */
export function execProvider({ file, environment, cacheMs, ports: { clock } }: ExecOptions): Provider {
  const memory = new ShortMemory<FoundSecret>({ store: 'The command', clock, keepMs: cacheMs });
  const queue = new PQueue({ concurrency: MAX_RUNNING });

  const run = async (name: string, signal: AbortSignal): Promise<FoundSecret> => {
    signal.throwIfAborted();
    const command = await readCommand(file, name);
    const output = await runCommand({ name, command, environment, clock, signal });
    const value = withoutLastLineBreak(decoded(output, `exec:${name}`));
    if (value === '') {
      throw secretError('secret-empty', `The command of exec:${name} wrote nothing.`);
    }
    return { value, place: `command ${name} (${command.command[0]}), defined in ${file}` };
  };
  // The queue is not given the signal: it would count a command as ended that is only being killed.
  const runInTurn = async (name: string, signal: AbortSignal): Promise<FoundSecret> =>
    await untilAborted(
      queue.add(() => run(name, signal)),
      signal,
    );
  return {
    read: (name, signal) =>
      memory.get(name, signal, async (within) => ({ value: await runInTurn(name, within) })),
    write: undefined,
    async [Symbol.asyncDispose]() {
      await memory[Symbol.asyncDispose]();
      await queue.onIdle();
    },
  };
}
