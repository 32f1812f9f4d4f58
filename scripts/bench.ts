import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { say, wholeNumber } from './arguments.ts';
import { CompiledProcesses } from './bench/compile.ts';
import { factsOfMachine, machineTable } from './bench/machine.ts';
import { throughputAndLatency } from './bench/parts/calls.ts';
import { placeOfJournal } from './bench/parts/journal-place.ts';
import { startToReady } from './bench/parts/start.ts';
import { memory } from './bench/parts/memory.ts';
import { waitingApprovals } from './bench/parts/approvals.ts';
import { manyDelegates } from './bench/parts/many-delegates.ts';
import type { Plan } from './bench/plan.ts';
import { partText, tableText, targetsTable, type PartReport } from './bench/report.ts';

/**
 * What the delegate costs, beside what the same work costs without it. docs/performance.md says what each part measures
 * and why it is fair.
 *
 *     npm run bench
 *     npm run bench -- --quick --only=a
 *     npm run bench -- --only=a --loads=64 --contestants=delegate --seconds=10 --repetitions=1 --node-arguments='--cpu-prof --cpu-prof-dir=bench-results'
 *
 * Prints tables in Markdown as parts end, and writes every observation to a JSON file.
 */

const RESULTS = fileURLToPath(new URL('../bench-results/', import.meta.url));

const PARTS: ReadonlyMap<string, (plan: Plan) => Promise<PartReport>> = new Map([
  ['a', throughputAndLatency],
  ['b', placeOfJournal],
  ['c', startToReady],
  ['d', memory],
  ['e', waitingApprovals],
  ['f', manyDelegates],
]);

const REPETITIONS = { full: '5', quick: '1' } as const;
const MS_PER_SECOND = 1_000;

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string' },
    repetitions: { type: 'string' },
    json: { type: 'string', default: join(RESULTS, 'bench.json') },
    folder: { type: 'string', default: RESULTS },
    loads: { type: 'string' },
    contestants: { type: 'string' },
    seconds: { type: 'string' },
    'node-arguments': { type: 'string' },
  },
});

const chosen = values.only?.split(',') ?? [...PARTS.keys()];
const unknown = chosen.filter((id) => !PARTS.has(id));
if (unknown.length > 0)
  throw new TypeError(`--only takes of ${[...PARTS.keys()].join(',')}, not ${unknown.join(',')}`);
const { quick, seconds } = values;
const repetitions = wholeNumber('repetitions', values.repetitions ?? REPETITIONS[quick ? 'quick' : 'full'], {
  least: 1,
});

// So that what is to be killed when this process ends is killed.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));

await mkdir(values.folder, { recursive: true });
await using compiled = await CompiledProcesses.make();
const machine = await factsOfMachine(values.folder);
say(`${tableText(machineTable(machine))}\n`);
const reports = new Map<string, PartReport>();
for (const id of chosen) reports.set(id, await run(id));
const targets = [...reports.values()].flatMap((report) => report.targets);
if (targets.length > 0) say(`${tableText(targetsTable(targets, quick))}\n`);
await mkdir(dirname(values.json), { recursive: true });
await writeFile(
  values.json,
  `${JSON.stringify({ at: new Date().toISOString(), machine, quick, repetitions, parts: Object.fromEntries(reports) }, null, 2)}\n`,
);
process.stderr.write(`Every observation is in ${values.json}\n`);

async function run(id: string): Promise<PartReport> {
  const part = PARTS.get(id);
  if (part === undefined) throw new RangeError(id);
  const folder = await mkdtemp(join(values.folder, 'state-'));
  const from = performance.now();
  try {
    const report = await part({
      compiled,
      folder,
      repetitions,
      quick,
      onStep: (what) => process.stderr.write(`${id}: ${what}\n`),
      search: {
        loads: values.loads?.split(',').map((load) => wholeNumber('loads', load, { least: 1 })),
        contestants: values.contestants?.split(','),
        measureMs:
          seconds === undefined ? undefined : wholeNumber('seconds', seconds, { least: 1 }) * MS_PER_SECOND,
        nodeArguments: values['node-arguments']?.split(' ').filter((word) => word !== '') ?? [],
      },
    });
    say(`${partText(report)}\n`);
    return report;
  } finally {
    await rm(folder, { recursive: true });
    process.stderr.write(`${id}: took ${Math.round((performance.now() - from) / MS_PER_SECOND)} s\n`);
  }
}
