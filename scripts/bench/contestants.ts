import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { BenchProcess } from './bench-process.ts';
import type { CompiledProcesses } from './compile.ts';
import { DelegateProcess } from './delegate-process.ts';
import { APPROVED_STATE, secretEnvironment } from './question.ts';
import { startRedis } from './redis.ts';
import { answers, type LoadOrder, type LoadSample } from './messages.ts';

/** The command line as it is shipped. */
export const CLI = fileURLToPath(new URL('../../dist/cli/index.js', import.meta.url));

/** Whoever is put under the same load as the others. */
export interface Contestant extends AsyncDisposable {
  load(order: LoadOrder): Promise<LoadSample>;
  /** Of the process that does the work. */
  readonly pid: number;
}

/** What every contestant stands on. */
export interface Ground {
  readonly compiled: CompiledProcesses;
  /** For what a contestant keeps on disk. */
  readonly folder: string;
  readonly instanceUrl: string;
}

/** A ServiceNow, in which every ticket is approved unless it is said to be in another state. */
export async function startInstance(
  compiled: CompiledProcesses,
  { ports = 1, state = APPROVED_STATE }: { ports?: number; state?: string } = {},
): Promise<BenchProcess> {
  return await BenchProcess.start(compiled, 'instance', { hand: { ports, state } });
}

/** A loop around undici, by one of two ways to make a call. */
export async function bareLoop(
  { compiled, instanceUrl }: Ground,
  by: 'request' | 'dispatch',
): Promise<Contestant> {
  const bare = await BenchProcess.start(compiled, 'bare', { hand: { instanceUrl, by } });
  return {
    load: async (order) => await bare.ask(order, answers.load),
    pid: bare.pid,
    [Symbol.asyncDispose]: async () => await bare[Symbol.asyncDispose](),
  };
}

export interface DelegateVariant {
  /** Also the name of its folder. */
  readonly name: string;
  /** The program; left out, it is one in which every task makes its own request. */
  readonly program?: string;
  /** Node's own arguments, for a profile. */
  readonly nodeArguments?: readonly string[];
}

/** Above every load, so that nobody waits for a slot. */
const CAPACITY = 512;

/** Manager and delegate, each a process. */
export async function delegate(ground: Ground, variant: DelegateVariant): Promise<Contestant> {
  const { compiled, instanceUrl } = ground;
  const { name, program, nodeArguments = [] } = variant;
  const folder = join(ground.folder, name);
  await mkdir(folder, { recursive: true });
  const manager = await BenchProcess.start(compiled, 'manager', { hand: { instanceUrl } });
  const entry = program === undefined ? [compiled.file('delegate-alone')] : [program, 'run'];
  const worker = await DelegateProcess.start({
    argv: [...nodeArguments, ...entry],
    managerUrl: await manager.url(),
    folder,
    capacity: CAPACITY,
  });
  return {
    load: async (order) => await worker.during(manager.ask(order, answers.load)),
    pid: worker.pid,
    async [Symbol.asyncDispose]() {
      await worker[Symbol.asyncDispose]();
      await manager[Symbol.asyncDispose]();
    },
  };
}

/** Redis, whoever adds jobs, and a worker that calls the same connector. */
export async function queue({ compiled, folder, instanceUrl }: Ground): Promise<Contestant> {
  const redis = await startRedis(join(folder, 'redis'));
  const hand = {
    socketPath: redis.socketPath,
    queue: 'bench',
    instanceUrl,
    stateDir: join(folder, 'queue-worker'),
    environment: secretEnvironment(),
  };
  const [worker, producer] = await Promise.all([
    BenchProcess.start(compiled, 'queue-worker', { hand }),
    BenchProcess.start(compiled, 'queue-producer', { hand }),
  ]);
  return {
    async load(order) {
      await worker.ask({ atOnce: order.inFlight }, z.null());
      return await producer.ask(order, answers.load);
    },
    pid: worker.pid,
    async [Symbol.asyncDispose]() {
      await Promise.all([worker[Symbol.asyncDispose](), producer[Symbol.asyncDispose]()]);
      await redis[Symbol.asyncDispose]();
    },
  };
}
