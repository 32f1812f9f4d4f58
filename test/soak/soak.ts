import { readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sleep, systemClock } from '../../src/kit/time.ts';
import { startManager, type Manager } from '../../src/manager/manager.ts';
import { readLedger } from '../chaos/ledger.ts';
import { FaultProxy } from '../support/fault-proxy.ts';
import { seededRandom, type Random } from '../support/random.ts';
import { judge, type Sample, type Verdict } from './flatness.ts';
import { SoakProcess } from './process.ts';
import { Tally } from './tally.ts';

interface SoakOptions {
  readonly folder: string;
  readonly seed: number;
  readonly lastsMs: number;
  readonly sampleEveryMs: number;
  /** Mean time between two tasks, and between two cuts of every connection. */
  readonly taskEveryMs: number;
  readonly cutEveryMs: number;
  readonly onSample: (name: string, sample: Sample) => void;
}

interface SoakReport {
  /** By delegate. */
  readonly verdicts: ReadonlyMap<string, readonly Verdict[]>;
  readonly tasks: number;
  readonly outcomes: Readonly<Record<string, number>>;
  readonly cuts: number;
  /** What went wrong, for people; empty if nothing did. */
  readonly complaints: readonly string[];
}

/** Shorter than in life, so that minutes see what hours would: leases, renewals, reconnects. */
const HEARTBEAT_MS = 1_000;
const LEASE_MS = 5_000;
const TASK_TIMEOUT_MS = 10_000;
const LONGEST_WORK_MS = 1_500;
const READY_WITHIN_MS = 30_000;
/** For the last tasks: their time, a lease, and a few reconnects. */
const ENDED_WITHIN_MS = 60_000;
const LOOK_EVERY_MS = 50;
/** Of the tasks, those that write; of the others, those with a result of tens of kilobytes. */
const WRITING_SHARE = 0.4;
const LARGE_SHARE = 0.1;

/** One manager and two delegate processes at a low rate of tasks, with a cut now and then, measured as time goes by. */
export async function soak(options: SoakOptions): Promise<SoakReport> {
  const { folder } = options;
  const ledgerPath = join(folder, 'ledger.txt');
  await writeFile(ledgerPath, '');
  const tally = new Tally();
  await using proxy = await FaultProxy.start();
  await using manager = await startManager({
    publicUrl: proxy.url,
    heartbeatMs: HEARTBEAT_MS,
    leaseMs: LEASE_MS,
    onEvent: (event) => {
      if (event.type !== 'task.changed') return;
      const { taskId, state } = event.task;
      if (state.at === 'ended') tally.ended(taskId, state);
    },
  });
  proxy.targetPort = Number(new URL(manager.url).port);
  await using one = SoakProcess.fork();
  await using two = SoakProcess.fork();
  const delegates = { one, two };
  await Promise.all(
    Object.entries(delegates).map(([name, delegate]) =>
      delegate.start({ environment: environmentOf(name, folder, proxy.url, manager), ledgerPath }),
    ),
  );
  await eventually('both to be connected', () => manager.sessions.length === 2, READY_WITHIN_MS);

  const { samples, cuts } = await live(options, { manager, proxy, tally, delegates });
  // In vain for a task that never ends; the tally says which.
  await eventually('every task to end', () => tally.running === 0, ENDED_WITHIN_MS).catch(() => {});
  const complaints = [...tally.complaints(readLedger(ledgerPath).map(({ key }) => key))];
  for (const [name, delegate] of Object.entries(delegates)) {
    const ending = await delegate.leave();
    if (ending !== 0) complaints.push(`delegate ${name} ended with ${ending} when it was asked to leave`);
  }
  const verdicts = new Map(Array.from(samples, ([name, of]) => [name, judge(of)]));
  return { verdicts, tasks: tally.taken, outcomes: tally.outcomes, cuts, complaints };
}

interface Surroundings {
  readonly manager: Manager;
  readonly proxy: FaultProxy;
  readonly tally: Tally;
  readonly delegates: Readonly<Record<string, SoakProcess>>;
}

/** Submits, cuts and measures until the time is over. */
async function live(
  options: SoakOptions,
  { manager, proxy, tally, delegates }: Surroundings,
): Promise<{ samples: Map<string, Sample[]>; cuts: number }> {
  const random = seededRandom(options.seed);
  const startedAt = systemClock.monotonic();
  const passedMs = (): number => systemClock.monotonic() - startedAt;
  const samples = new Map<string, Sample[]>(Object.keys(delegates).map((name) => [name, []]));
  let cuts = 0;
  const cut = (): void => {
    cuts += 1;
    for (const connection of proxy.connections.splice(0)) connection.cut();
  };
  const measure = async (): Promise<void> => {
    for (const [name, delegate] of Object.entries(delegates)) {
      const holdings = await delegate.measure();
      const stateBytes = await bytesIn(join(options.folder, name));
      const sample = { atMs: passedMs(), stateBytes, ...holdings };
      samples.get(name)?.push(sample);
      options.onSample(name, sample);
    }
  };
  const again = async (afterMs: () => number, act: () => void | Promise<void>): Promise<void> => {
    for (let ms = afterMs(); passedMs() + ms <= options.lastsMs; ms = afterMs()) {
      await sleep(systemClock, ms);
      await act();
    }
  };
  const about = (meanMs: number, by: Random) => (): number => meanMs * (0.5 + by.random());
  const works = random.fork();
  await Promise.all([
    again(about(options.taskEveryMs, random.fork()), () => tally.took(submit(manager, tally.taken, works))),
    again(about(options.cutEveryMs, random.fork()), cut),
    again(() => options.sampleEveryMs, measure),
  ]);
  return { samples, cuts };
}

function environmentOf(
  name: string,
  folder: string,
  managerUrl: string,
  manager: Manager,
): Record<string, string> {
  return {
    DELEGATE_MANAGER_URL: managerUrl,
    DELEGATE_ENROLMENT_TOKEN: manager.createEnrolmentToken({ label: name }).value.reveal(),
    DELEGATE_NAME: name,
    DELEGATE_STATE_DIR: join(folder, name),
    DELEGATE_HTTP_PORT: '0',
    // Cuts are part of the exercise.
    DELEGATE_LOG_LEVEL: 'error',
  };
}

/** The n-th task: one that writes a line of its own, or one that reads. */
function submit(
  manager: Manager,
  n: number,
  random: Random,
): { taskId: string; key: string; writes: boolean } {
  const key = `soak-${n}`;
  const ms = random.int(LONGEST_WORK_MS);
  const writes = random.chance(WRITING_SHARE);
  const { name, input } = writes
    ? { name: 'ledger.append', input: { key, beforeMs: ms, afterMs: ms / 10, end: 'succeeds' } }
    : {
        name: 'ledger.read',
        input: { key, takesMs: ms, end: random.chance(LARGE_SHARE) ? 'large' : 'succeeds', deaf: false },
      };
  const { taskId } = manager.submit({ name, version: 1, input, selectors: [], timeoutMs: TASK_TIMEOUT_MS });
  return { taskId, key, writes };
}

async function bytesIn(folder: string): Promise<number> {
  let bytes = 0;
  for (const name of await readdir(folder)) {
    // One that is gone by now was superseded.
    const found = await stat(join(folder, name)).catch(() => undefined);
    bytes += found?.size ?? 0;
  }
  return bytes;
}

/** Looks now and then, rather than all the time: the processes need the cores. */
async function eventually(what: string, condition: () => boolean, withinMs: number): Promise<void> {
  for (let waitedMs = 0; !condition(); waitedMs += LOOK_EVERY_MS) {
    if (waitedMs > withinMs) throw new Error(`in vain waited ${withinMs} ms for ${what}`);
    await sleep(systemClock, LOOK_EVERY_MS);
  }
}
