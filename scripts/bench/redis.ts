import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

/** A Redis of the bench's own, on a socket in a folder. */
export interface Redis extends AsyncDisposable {
  readonly socketPath: string;
}

/**
 * Writes each change to its log and the log to the disk once a second, as BullMQ's own guide advises for production.
 * That is less than the delegate promises, which answers for nothing that is not on the disk yet.
 */
const DURABILITY = ['--appendonly', 'yes', '--appendfsync', 'everysec', '--save', ''] as const;

/** Another version says it in other words. */
const READY = /ready to accept connections/i;

/** Why BullMQ can't be measured here; undefined if it can. */
export function whyNoQueue(): string | undefined {
  if (spawnSync('redis-server', ['--version']).error !== undefined) {
    return 'redis-server is not installed (Debian: apt-get install redis-server)';
  }
  try {
    // BullMQ loads it by itself when it first connects.
    createRequire(import.meta.url).resolve('ioredis');
  } catch {
    return 'the package ioredis, which BullMQ reaches Redis by, is not installed';
  }
  return undefined;
}

/** Resolves when it takes connections. Rejects with its last words if it ends before. */
export async function startRedis(folder: string): Promise<Redis> {
  await mkdir(folder, { recursive: true });
  const socketPath = join(folder, 's');
  const child = spawn(
    'redis-server',
    ['--port', '0', '--unixsocket', socketPath, '--dir', folder, '--daemonize', 'no', ...DURABILITY],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const exited = once(child, 'close');
  // It would not notice that the bench is gone.
  const kill = (): void => void child.kill('SIGKILL');
  process.once('exit', kill);
  const said: string[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    said.push(line);
    if (READY.test(line)) {
      // What it says later is nobody's business; unread, it would fill the pipe.
      child.stdout.resume();
      return {
        socketPath,
        async [Symbol.asyncDispose]() {
          child.kill('SIGTERM');
          await exited;
          process.off('exit', kill);
        },
      };
    }
  }
  throw new Error(`redis-server ended:\n${said.join('\n')}`);
}
