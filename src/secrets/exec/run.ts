import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { ended, untilAborted } from '../../kit/flow.ts';
import { systemCode, type DelegateError } from '../../kit/errors.ts';
import { endsWithin, type Clock } from '../../kit/time.ts';
import { secretError } from '../errors.ts';
import type { ExecCommand } from './definitions.ts';

/** For what was killed to be gone. A process that has left the group may hold the pipe for longer. */
const GONE_WITHIN_MS = 1_000;

export interface RunOptions {
  readonly name: string;
  readonly command: ExecCommand;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/**
 * What a command writes to its standard output. No shell reads it, its standard input is empty, it sees the variables
 * that its definition names and no other, and what it writes to standard error is read by nobody, since a secret may
 * stand there that nobody could scrub yet. It runs in a process group of its own, of which nothing is left in the end.
 *
 * Rejects with `exec-secret-failed`, `exec-secret-timeout`, or the signal's reason.
 */
export async function runCommand(options: RunOptions): Promise<Buffer> {
  const { name, command, environment, clock, signal } = options;
  signal.throwIfAborted();
  const [program, ...words] = command.command;
  const child = spawn(program, words, {
    cwd: '/',
    detached: true,
    env: pick(environment, command.environment),
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const end = new AbortController();
  const timer = clock.after(command.timeoutMs, () => end.abort(tooLate(name, command)));
  const stop = AbortSignal.any([end.signal, signal]);
  const exit = exitOf(child);
  const output = collect(child, command.maxBytes, () => end.abort(tooMuch(name, command)));
  try {
    const ending = await untilAborted(exit, stop);
    if (ending.failure !== undefined) throw notStarted(name, ending.failure);
    if (ending.code !== 0) throw failed(name, ending.code, ending.signal);
  } finally {
    timer.cancel();
    // Whatever it has started goes with it, and so lets go of the pipe.
    killGroup(child);
    if (!(await endsWithin(clock, GONE_WITHIN_MS, bothEnded(exit, output)))) {
      child.stdout?.destroy();
      child.unref();
    }
  }
  stop.throwIfAborted();
  return await output;
}

async function bothEnded(exit: Promise<unknown>, output: Promise<unknown>): Promise<void> {
  await Promise.all([ended(exit), ended(output)]);
}

interface Ending {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** Why it never ran. */
  readonly failure: Error | undefined;
}

function exitOf(child: ChildProcess): Promise<Ending> {
  return new Promise((resolve) => {
    child.once('error', (failure) => resolve({ code: null, signal: null, failure }));
    child.once('exit', (code, signal) => resolve({ code, signal, failure: undefined }));
  });
}

/** Resolves when the pipe is closed. */
async function collect(child: ChildProcess, maxBytes: number, onTooMuch: () => void): Promise<Buffer> {
  const { stdout } = child;
  if (stdout === null) throw new TypeError('the command was started without a pipe');
  const chunks: Buffer[] = [];
  let bytes = 0;
  stdout.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > maxBytes) onTooMuch();
    else chunks.push(chunk);
  });
  await once(stdout, 'close');
  return Buffer.concat(chunks);
}

function killGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch (thrown) {
    // Nobody is left in it, or nobody whom this user may end: a program that runs as another.
    const code = systemCode(thrown);
    if (code !== 'ESRCH' && code !== 'EPERM') throw thrown;
  }
}

function pick(environment: RunOptions['environment'], names: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    names.flatMap((name): [string, string][] => {
      const value = Object.hasOwn(environment, name) ? environment[name] : undefined;
      return value === undefined ? [] : [[name, value]];
    }),
  );
}

function tooLate(name: string, { timeoutMs }: ExecCommand): DelegateError {
  return secretError(
    'exec-secret-timeout',
    `The command of exec:${name} did not end within ${timeoutMs} ms and was killed.`,
  );
}

function tooMuch(name: string, { maxBytes }: ExecCommand): DelegateError {
  return secretError(
    'exec-secret-failed',
    `The command of exec:${name} wrote over ${maxBytes} bytes and was killed.`,
    {
      hint: 'Have it write the secret and nothing else, or raise its maxBytes.',
    },
  );
}

function notStarted(name: string, cause: Error): DelegateError {
  return secretError(
    'exec-secret-failed',
    `The command of exec:${name} could not be started (${systemCode(cause) ?? 'unknown'}).`,
    { hint: 'The user of the delegate must be allowed to run the program.', cause },
  );
}

/** Nothing of what it wrote is told: it may have been the secret. */
function failed(name: string, code: number | null, signal: NodeJS.Signals | null): DelegateError {
  const how = code === null ? `was ended by ${signal ?? 'a signal'}` : `ended with exit code ${code}`;
  return secretError('exec-secret-failed', `The command of exec:${name} ${how}.`);
}
