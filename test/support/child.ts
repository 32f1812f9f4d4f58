import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';

/** How a process ended: its exit code, or the name of the signal. */
export type Ending = number | string;

/** Resolves when the process has ended and its streams are read to their end; rejects if it could not be started. */
export async function exitOf(child: ChildProcess): Promise<Ending> {
  const [code, signal]: unknown[] = await once(child, 'close');
  return typeof code === 'number' ? code : String(signal);
}
