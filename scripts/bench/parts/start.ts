import { join } from 'node:path';
import { makeBundle, PROGRAM } from '../../bundle/make.ts';
import { NODE_FLAGS } from '../../bundle/node-flags.ts';
import { Child } from '../../../src/dev/child.ts';
import { BenchProcess } from '../bench-process.ts';
import { CLI } from '../contestants.ts';
import { environmentOf } from '../delegate-process.ts';
import type { Plan } from '../plan.ts';
import { spread, target, type PartReport } from '../report.ts';
import { summaryOf } from '../statistics.ts';

/** Of a start: the numbers are small and scatter. */
const STARTS_PER_REPETITION = 2;
const READY_WITHIN_MS = 600;
const MOST_BUNDLE_BYTES = 3_000_000;
/** The first whose own code can keep what it has compiled, by `NODE_COMPILE_CACHE`. */
const FIRST_WITH_COMPILE_CACHE = 22;

interface Form {
  readonly script: string;
  readonly environment: Readonly<Record<string, string>>;
  /** Milliseconds to the phase `ready`. */
  readonly took: number[];
}

/** From the start of the process to its first offer of credit, as it ships: plain files, one file, and a warm cache. */
export async function startToReady(plan: Plan): Promise<PartReport> {
  const { compiled, folder, repetitions, onStep } = plan;
  onStep('the bundle is made');
  const bundleFolder = join(folder, 'bundle');
  const { files } = await makeBundle({ folder: bundleFolder, clients: 'include' });
  const bundleBytes = files.find(({ path }) => path === PROGRAM)?.bytes ?? Number.NaN;
  await using manager = await BenchProcess.start(compiled, 'manager', {
    hand: { instanceUrl: 'http://127.0.0.1' },
  });
  const managerUrl = await manager.url();

  const bundle = join(bundleFolder, PROGRAM);
  const forms = new Map<string, Form>([
    ['dist', { script: CLI, environment: {}, took: [] }],
    ['bundle', { script: bundle, environment: {}, took: [] }],
  ]);
  if (Number(process.versions.node.split('.')[0]) >= FIRST_WITH_COMPILE_CACHE) {
    const environment = { NODE_COMPILE_CACHE: join(folder, 'compile-cache') };
    forms.set('bundle, compile cache', { script: bundle, environment, took: [] });
  }
  const start = async (name: string, { script, environment }: Form): Promise<number> => {
    const run = { argv: [], managerUrl, folder: join(folder, name.replace(/\W+/g, '-')), capacity: 16 };
    const from = performance.now();
    await using child = new Child({
      name,
      argv: [...NODE_FLAGS, script, 'run'],
      env: { ...environmentOf(run), ...environment },
      onLine: () => {},
    });
    await child.line(({ msg, to }) => msg === 'phase' && to === 'ready');
    return performance.now() - from;
  };
  // The first enrols, and fills caches; from then on it is a restart.
  for (const [name, form] of forms) await start(name, form);
  for (let n = 1; n <= repetitions * STARTS_PER_REPETITION; n += 1) {
    for (const [name, form] of forms) {
      onStep(`${name}, start ${n}`);
      form.took.push(await start(name, form));
    }
  }
  const bundled = summaryOf(forms.get('bundle')?.took ?? []);
  return {
    title: '(c) From start to ready',
    tables: [
      {
        caption: `An enrolled delegate, ${repetitions * STARTS_PER_REPETITION} starts each, median (least–most).`,
        head: ['form', 'start to ready'],
        rows: [...forms].map(([name, { took }]) => [name, spread(summaryOf(took), milliseconds)]),
      },
    ],
    targets: [
      target('start to ready, bundle', bundled.median, { atMost: READY_WITHIN_MS }, milliseconds),
      target('size of the bundle', bundleBytes, { atMost: MOST_BUNDLE_BYTES }, megabytes),
    ],
    observations: {
      took: Object.fromEntries([...forms].map(([name, { took }]) => [name, took])),
      files,
    },
  };
}

function milliseconds(value: number): string {
  return `${Math.round(value)} ms`;
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(2)} MB`;
}
