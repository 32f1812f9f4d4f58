import { readdir } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { relative, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { say, wholeNumber } from './arguments.ts';
import { isSurvivor, mutate, type MutantResult } from './mutate/run.ts';

/**
 * Changes the code that judges, in one place at a time, and counts how many of these mutants the tests notice.
 *
 *     npm run test:mutate -- --files approval/expression --only lexer.ts:84
 *
 * Prints each mutant that survived and the score of each file. Exit code 1 if a room scores less than `--least`.
 */

const { values } = parseArgs({
  options: {
    /** Only sources with this text in their path. */
    files: { type: 'string', default: '' },
    /** Only mutants in a file that ends in this name, on this line: `lexer.ts:84`. */
    only: { type: 'string', default: '' },
    least: { type: 'string', default: '90' },
    workers: { type: 'string', default: String(availableParallelism()) },
  },
});
const leastPercent = wholeNumber('least', values.least, { most: 100 });
const workers = wholeNumber('workers', values.workers, { least: 1, most: 64 });

/** Code of which a slip lets a change through or sends a person the wrong way, and the tests that hold it. */
const ROOMS = [
  {
    name: 'approval',
    sources: /^src\/connectors\/servicenow\/approval\/.*\.ts$/,
    tests: /^test\/connectors\/servicenow\/approval\/.*\.test\.ts$/,
  },
  {
    name: 'errors',
    sources: /^src\/connectors\/servicenow\/(errors[^/]*|error-kinds|evidence|refusal)\.ts$/,
    tests: /^test\/(connectors\/servicenow\/(errors[^/]*|evidence|answer)|docs\/errors)\.test\.ts$/,
  },
];

const MAX_SHOWN_CHARS = 150;

const root = resolve(import.meta.dirname, '..');
const [sources, tests] = await Promise.all([pathsIn('src'), pathsIn('test')]);
if (!sources.some((path) => path.includes(values.files)))
  throw new TypeError(`no source has ${values.files} in its path`);
for (const room of ROOMS) {
  const mutated = sources.filter((path) => room.sources.test(path) && path.includes(values.files));
  if (mutated.length === 0) continue;
  const startedAt = performance.now();
  const results = await mutate({
    sources: mutated.map((path) => resolve(root, path)),
    tests: tests.filter((path) => room.tests.test(path)).map((path) => resolve(root, path)),
    workers,
    isWanted: ({ file, line }) => values.only === '' || `${file}:${line}`.endsWith(`/${values.only}`),
    onResult: (result) => {
      if (isSurvivor(result)) say(survivor(result));
    },
  });
  const seconds = Math.round((performance.now() - startedAt) / 1_000);
  say(`\n${room.name}, ${seconds} s`);
  for (const [file, ofFile] of byFile(results)) say(scoreLine(ofFile, file));
  say(scoreLine(results, 'in all'));
  if (percentOf(results) < leastPercent) process.exitCode = 1;
}

async function pathsIn(folder: string): Promise<string[]> {
  const entries = await readdir(resolve(root, folder), { recursive: true });
  return entries.map((entry) => `${folder}/${entry}`).sort();
}

function survivor({ mutant, fate }: MutantResult): string {
  const { file, line, original, replacement } = mutant;
  const cause = fate === 'unreached' ? ' (no test gets there)' : '';
  return `${relative(root, file)}:${line}${cause}\n    ${shown(original)}\n    ${shown(replacement)}`;
}

function shown(code: string): string {
  const line = code.replace(/\s+/g, ' ');
  return line.length <= MAX_SHOWN_CHARS ? line : `${line.slice(0, MAX_SHOWN_CHARS)}…`;
}

function byFile(results: readonly MutantResult[]): Map<string, MutantResult[]> {
  const files = new Map<string, MutantResult[]>();
  for (const result of results) {
    const file = relative(root, result.mutant.file);
    files.set(file, [...(files.get(file) ?? []), result]);
  }
  return files;
}

function scoreLine(results: readonly MutantResult[], name: string): string {
  const score = `${percentOf(results).toFixed(1)} %`.padStart(7);
  const endless = results.filter(({ fate }) => fate === 'stuck' || fate === 'broken').length;
  const how = endless === 0 ? '' : ` (${endless} without an end)`;
  return `${score}  ${killed(results)} of ${results.length}  ${name}${how}`;
}

function percentOf(results: readonly MutantResult[]): number {
  return results.length === 0 ? 100 : (100 * killed(results)) / results.length;
}

function killed(results: readonly MutantResult[]): number {
  return results.filter((result) => !isSurvivor(result)).length;
}
