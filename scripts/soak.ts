import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Sample, Verdict } from '../test/soak/flatness.ts';
import { soak } from '../test/soak/soak.ts';
import { say, wholeNumber } from './arguments.ts';

/**
 * A manager and two delegates, each of these a process of its own, at a low rate of tasks that read and write, with
 * every connection cut now and then. Looks every ten seconds at what the delegates hold, in a short run more often.
 *
 *     npm run test:soak -- --minutes 20
 *     npm run test:soak -- --minutes 1440 --seed 7
 *
 * Exit code 1 if memory, descriptors, handles or timers still grow in the second half of the time, if the state folder
 * passes its ceiling, or if a task was lost, done twice or told wrong.
 */

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '20' },
    seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
  },
});
const MS_PER_MINUTE = 60_000;
const SAMPLE_EVERY_MS = 10_000;
/** A run of a minute looks more often, so that its second half has a slope. */
const MIN_SAMPLES = 12;
const TASK_EVERY_MS = 500;
/** Longer than the healthy minute after which back-off begins anew: with ever longer waits nothing would be measured. */
const CUT_EVERY_MS = 90_000;
const MIN_CUTS = 3;

const minutes = wholeNumber('minutes', values.minutes, { least: 1 });
const seed = wholeNumber('seed', values.seed);
const lastsMs = minutes * MS_PER_MINUTE;
const folder = await mkdtemp(join(tmpdir(), 'delegate-soak-'));
say(`${minutes} min, seed ${seed}`);
say(row(['delegate', 'time s', 'heap MiB', 'rss MiB', 'fds', 'handles', 'timers', 'state KiB']));
try {
  const report = await soak({
    folder,
    seed,
    lastsMs,
    sampleEveryMs: Math.min(SAMPLE_EVERY_MS, lastsMs / MIN_SAMPLES),
    taskEveryMs: TASK_EVERY_MS,
    cutEveryMs: Math.min(CUT_EVERY_MS, lastsMs / (MIN_CUTS + 1)),
    onSample: (name, sample) => say(row(cells(name, sample))),
  });
  const { tasks, outcomes, cuts, complaints, verdicts } = report;
  say(`${tasks} tasks (${JSON.stringify(outcomes)}), ${cuts} cuts`);
  for (const [name, of] of verdicts) for (const verdict of of) say(`${name}: ${told(verdict)}`);
  for (const complaint of complaints) say(complaint);
  const all = [...verdicts.values()];
  const isFlat = all.every((of) => of.length > 0 && of.every((verdict) => verdict.isFlat));
  say(isFlat && complaints.length === 0 ? 'flat' : 'NOT FLAT, or not right');
  if (!isFlat || complaints.length > 0) process.exitCode = 1;
} finally {
  await rm(folder, { recursive: true, force: true });
}

function cells(name: string, sample: Sample): string[] {
  const { atMs, heapBytes, rssBytes, descriptors, handles, timers, stateBytes } = sample;
  return [
    name,
    (atMs / 1_000).toFixed(0),
    mebibytes(heapBytes),
    mebibytes(rssBytes),
    ...[descriptors, handles, timers].map(String),
    (stateBytes / 1_024).toFixed(0),
  ];
}

function told({ quantity, from, to, tolerance, isFlat }: Verdict): string {
  const shown = (value: number): string =>
    quantity.endsWith('Bytes') ? `${mebibytes(value)} MiB` : value.toFixed(1);
  const word = isFlat ? 'flat' : 'GROWS';
  return `${word} ${quantity}: ${shown(from)} to ${shown(to)} (may grow by ${shown(tolerance)})`;
}

function mebibytes(bytes: number): string {
  return (bytes / 1_048_576).toFixed(2);
}

function row(texts: readonly string[]): string {
  return texts.map((text) => text.padStart(10)).join('');
}
