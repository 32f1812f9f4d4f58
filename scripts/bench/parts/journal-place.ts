import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { delegate, startInstance, type Contestant } from '../contestants.ts';
import { fileSystemOf } from '../machine.ts';
import type { Plan } from '../plan.ts';
import { figures, spread, type PartReport } from '../report.ts';
import { ratioOf, summaryOf } from '../statistics.ts';
import { measureThroughput, ratesOf } from '../throughput.ts';

const IN_FLIGHT = 64;

const MEMORY = '/dev/shm';

const ON_DISK = 'on disk';
const IN_MEMORY = 'on tmpfs';

/** What the disk costs: the same delegate with its state folder on a disk, and in memory. */
export async function placeOfJournal(plan: Plan): Promise<PartReport> {
  const { compiled, folder } = plan;
  const title = '(b) The journal on disk, and in memory';
  if ((await fileSystemOf(MEMORY)) !== 'tmpfs') {
    return {
      title,
      caveat: `Not measured: ${MEMORY} is no tmpfs here.`,
      tables: [],
      targets: [],
      observations: null,
    };
  }
  const inMemory = await mkdtemp(join(MEMORY, 'delegate-bench-'));
  await using instance = await startInstance(compiled);
  const instanceUrl = await instance.url();
  const open = new Map<string, Contestant>();
  try {
    for (const [name, place] of [
      [ON_DISK, folder],
      [IN_MEMORY, inMemory],
    ] as const) {
      open.set(name, await delegate({ compiled, folder: place, instanceUrl }, { name: 'alone' }));
    }
    const observed = await measureThroughput(open, { inFlight: [IN_FLIGHT] }, plan);
    const rates = (name: string): number[] => ratesOf(observed.get(name)?.get(IN_FLIGHT) ?? []);
    return {
      title,
      tables: [
        {
          caption: `${IN_FLIGHT} in flight, sharing off, medians (least–most).`,
          head: ['journal', 'a second', 'of that on tmpfs'],
          rows: [ON_DISK, IN_MEMORY].map((name) => [
            name,
            spread(summaryOf(rates(name)), figures),
            spread(ratioOf(rates(name), rates(IN_MEMORY)), figures),
          ]),
        },
      ],
      targets: [],
      observations: Object.fromEntries([...observed].map(([name, byLoad]) => [name, byLoad.get(IN_FLIGHT)])),
    };
  } finally {
    await Promise.all([...open.values()].map(async (contestant) => await contestant[Symbol.asyncDispose]()));
    await rm(inMemory, { recursive: true });
  }
}
