import {
  CLI,
  bareLoop,
  delegate,
  queue,
  startInstance,
  type Contestant,
  type Ground,
} from '../contestants.ts';
import type { Plan } from '../plan.ts';
import { figures, spread, target, type Bound, type PartReport, type Table, type Target } from '../report.ts';
import { whyNoQueue } from '../redis.ts';
import { ratioOf, summaryOf } from '../statistics.ts';
import { measureThroughput, ratesOf, type Observation, type Throughput } from '../throughput.ts';

const LOADS = [1, 16, 64, 256] as const;

const BARE = 'bare loop';
const ALONE = 'delegate';
const QUEUE = 'BullMQ';

/** Opens a contestant, or says why it can't take part. */
type Open = (ground: Ground, plan: Plan) => Promise<Contestant | string>;

const CONTESTANTS: ReadonlyMap<string, Open> = new Map<string, Open>([
  [BARE, async (ground) => await bareLoop(ground, 'request')],
  ['bare dispatch', async (ground) => await bareLoop(ground, 'dispatch')],
  [
    ALONE,
    async (ground, { search: { nodeArguments } }) => await delegate(ground, { name: 'alone', nodeArguments }),
  ],
  [
    'sharing delegate',
    async (ground, { search: { nodeArguments } }) =>
      await delegate(ground, { name: 'sharing', program: CLI, nodeArguments }),
  ],
  [QUEUE, async (ground) => whyNoQueue() ?? (await queue(ground))],
]);

/** The same question through everybody: how many answers in a second, and how long one takes. */
export async function throughputAndLatency(plan: Plan): Promise<PartReport> {
  const { compiled, folder, search } = plan;
  const stranger = search.contestants?.find((name) => !CONTESTANTS.has(name));
  if (stranger !== undefined) {
    throw new TypeError(`--contestants takes of ${[...CONTESTANTS.keys()].join(',')}, not ${stranger}`);
  }
  await using instance = await startInstance(compiled);
  const ground = { compiled, folder, instanceUrl: await instance.url() };
  const open = new Map<string, Contestant>();
  const absent = new Map<string, string>();
  try {
    for (const [name, openOne] of CONTESTANTS) {
      if (search.contestants !== undefined && !search.contestants.includes(name)) continue;
      const contestant = await openOne(ground, plan);
      if (typeof contestant === 'string') absent.set(name, contestant);
      else open.set(name, contestant);
    }
    const loads = { inFlight: search.loads ?? LOADS, measureMs: search.measureMs };
    const observed = await measureThroughput(open, loads, plan);
    return reportOf(observed, absent);
  } finally {
    await Promise.all([...open.values()].map(async (contestant) => await contestant[Symbol.asyncDispose]()));
  }
}

function reportOf(observed: Throughput, absent: ReadonlyMap<string, string>): PartReport {
  const reasons = [...absent].map(([name, why]) => `Without ${name}: ${why}.`);
  return {
    title: '(a) One question after the other',
    ...(reasons.length === 0 ? {} : { caveat: reasons.join(' ') }),
    tables: [resultsTable(observed)],
    targets: targetsOf(observed),
    observations: {
      observed: Object.fromEntries([...observed].map(([name, byLoad]) => [name, Object.fromEntries(byLoad)])),
      absent: Object.fromEntries(absent),
    },
  };
}

function resultsTable(observed: Throughput): Table {
  const bare = observed.get(BARE);
  const loads = [...(observed.values().next().value?.keys() ?? [])];
  const rows = loads.flatMap((load) =>
    [...observed].map(([name, byLoad]) => {
      const all = byLoad.get(load) ?? [];
      const base = bare?.get(load);
      return [
        `${name}, ${load} in flight`,
        spread(summaryOf(ratesOf(all)), figures),
        base === undefined ? '' : spread(ratioOf(ratesOf(all), ratesOf(base)), figures),
        spread(summaryOf(all.map(({ p50Ms }) => p50Ms)), figures),
        spread(summaryOf(all.map(({ p99Ms }) => p99Ms)), figures),
        spread(summaryOf(all.map(({ cpuMicros }) => cpuMicros)), figures),
      ];
    }),
  );
  return {
    caption: '`servicenow.approval.check`, medians (least–most).',
    head: ['who', 'a second', `of the ${BARE}`, 'p50 ms', 'p99 ms', 'CPU µs each'],
    rows,
  };
}

type Value = (observations: readonly Observation[]) => number[];

function targetsOf(observed: Throughput): Target[] {
  const targets: Target[] = [];
  const compare = (what: string, load: number, rival: string, value: Value, bound: Bound): void => {
    const ours = observed.get(ALONE)?.get(load);
    const theirs = observed.get(rival)?.get(load);
    if (ours === undefined || theirs === undefined) return;
    targets.push(target(what, ratioOf(value(ours), value(theirs)).median, bound, figures));
  };
  compare('throughput at 64 in flight, of the bare loop', 64, BARE, ratesOf, { atLeast: 0.5 });
  compare('throughput at 64 in flight, of BullMQ', 64, QUEUE, ratesOf, { atLeast: 1.5 });
  compare('p99 at 1 in flight, of the bare call', 1, BARE, (all) => all.map(({ p99Ms }) => p99Ms), {
    atMost: 3,
  });
  return targets;
}
