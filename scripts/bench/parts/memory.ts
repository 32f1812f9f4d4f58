import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeBundle, PROGRAM } from '../../bundle/make.ts';
import { CLI, delegate, startInstance, type Contestant } from '../contestants.ts';
import type { Plan } from '../plan.ts';
import { factsOfProcess } from '../process-facts.ts';
import { mebibytes, spread, target, type PartReport } from '../report.ts';
import { summaryOf } from '../statistics.ts';

const SIZES = {
  full: { idleMs: 60_000, loadMs: 10_000, tasks: 100_000 },
  quick: { idleMs: 2_000, loadMs: 1_000, tasks: 500 },
} as const;
const IN_FLIGHT = 256;
/** While the tasks are counted. */
const COUNTED_IN_FLIGHT = 64;
const LOOK_EVERY_MS = 250;
/** For the answers on their way; a collection of garbage is not waited for, as nobody waits for it in service. */
const REST_MS = 2_000;

const MIB = 1_048_576;
const MOST_IDLE_BYTES = 75 * MIB;
const MOST_AFTER_BYTES = 120 * MIB;

/** What stays resident: of delegates that nobody asks anything, of one under load, and of it long after. */
export async function memory(plan: Plan): Promise<PartReport> {
  const { compiled, folder, repetitions, quick, onStep } = plan;
  const { idleMs, loadMs, tasks } = SIZES[quick ? 'quick' : 'full'];
  await makeBundle({ folder: join(folder, 'bundle'), clients: 'include' });
  await using instance = await startInstance(compiled);
  const ground = { compiled, folder, instanceUrl: await instance.url() };
  const plain: Contestant[] = [];
  const bundled: Contestant[] = [];
  try {
    for (let n = 1; n <= repetitions; n += 1) {
      plain.push(await delegate(ground, { name: `dist-${n}`, program: CLI }));
      bundled.push(await delegate(ground, { name: `bundle-${n}`, program: join(folder, 'bundle', PROGRAM) }));
    }
    onStep(`${2 * repetitions} delegates idle for ${idleMs / 1_000} s`);
    await sleep(idleMs);
    const idle = { dist: summaryOf(await resident(plain)), bundle: summaryOf(await resident(bundled)) };
    const [worker] = bundled;
    if (worker === undefined) throw new RangeError('no delegate to give work');
    onStep(`${IN_FLIGHT} in flight for ${loadMs / 1_000} s`);
    const under = await residentDuring(worker, worker.load({ inFlight: IN_FLIGHT, until: { ms: loadMs } }));
    onStep(`${tasks} tasks`);
    await worker.load({ inFlight: COUNTED_IN_FLIGHT, until: { tasks } });
    await sleep(REST_MS);
    const after = await factsOfProcess(worker.pid);
    return {
      title: '(d) Resident memory',
      tables: [
        {
          caption: `Sharing on; idle delegates of each form at once (${repetitions} of each), then one of the bundle under load.`,
          head: ['when', 'RSS'],
          rows: [
            [`dist, idle for ${idleMs / 1_000} s`, spread(idle.dist, mebibytes)],
            [`bundle, idle for ${idleMs / 1_000} s`, spread(idle.bundle, mebibytes)],
            [`${IN_FLIGHT} in flight`, spread(summaryOf(under), mebibytes)],
            [`after ${tasks.toLocaleString('en')} tasks`, mebibytes(after.rssBytes)],
            ['the most that it ever was', mebibytes(after.peakRssBytes)],
          ],
        },
      ],
      targets: [
        target(
          `RSS idle for ${idleMs / 1_000} s, bundle`,
          idle.bundle.median,
          { atMost: MOST_IDLE_BYTES },
          mebibytes,
        ),
        target(`RSS after ${tasks} tasks`, after.rssBytes, { atMost: MOST_AFTER_BYTES }, mebibytes),
      ],
      observations: { idle, under, after },
    };
  } finally {
    await Promise.all(
      [...plain, ...bundled].map(async (contestant) => await contestant[Symbol.asyncDispose]()),
    );
  }
}

async function resident(contestants: readonly Contestant[]): Promise<number[]> {
  return await Promise.all(contestants.map(async ({ pid }) => (await factsOfProcess(pid)).rssBytes));
}

/** At least once. */
async function residentDuring({ pid }: Contestant, work: Promise<unknown>): Promise<number[]> {
  const seen: number[] = [];
  const over = new AbortController();
  const looking = (async () => {
    do {
      seen.push((await factsOfProcess(pid)).rssBytes);
      await sleep(LOOK_EVERY_MS);
    } while (!over.signal.aborted);
  })();
  try {
    await work;
  } finally {
    over.abort();
    await looking;
  }
  return seen;
}
