import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { isSurvivor, mutate, type MutantResult } from '../../../scripts/mutate/run.ts';
import { leavesNothingOpen } from '../../support/open-handles.ts';
import { tempDirs } from '../../support/temp-dir.ts';

const SOURCE = `
const GREETING = 'good morning';
export function greet(name: string): string {
  return name === '' ? GREETING : \`\${GREETING}, \${name}\`;
}
export function countTo(end: number): number {
  let count = 0;
  for (; count < end;) count += 1;
  return count;
}
export function untested(): boolean {
  return true;
}
`;

const TESTS = `
import { deepStrictEqual, match } from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { countTo, greet } from './toy.ts';

describe('a toy', () => {
  it('greets', () => match(greet('Ada'), /Ada$/));
  it('greets nobody', () => deepStrictEqual(greet(''), 'good morning'));
  it('counts', () => deepStrictEqual(countTo(3), 3));
  it('lies beside its source', () => match(readFileSync(new URL('toy.ts', import.meta.url), 'utf8'), /greet/));
});
`;

/** Each mutant and what became of it. */
function fates(results: readonly MutantResult[]): string[] {
  return results.map(({ mutant, fate }) => `${mutant.original} to ${mutant.replacement}: ${fate}`);
}

describe('a run over all mutants', () => {
  leavesNothingOpen();
  const tempDir = tempDirs();

  async function toy(tests: string): Promise<{ sources: string[]; tests: string[] }> {
    const folder = await tempDir();
    const paths = { sources: [join(folder, 'toy.ts')], tests: [join(folder, 'toy.test.ts')] };
    await writeFile(join(folder, 'toy.ts'), SOURCE);
    await writeFile(join(folder, 'toy.test.ts'), tests);
    return paths;
  }

  it('kills what a test notices, and tells what none does, reaches, or comes to an end of', async () => {
    const results = await mutate({ ...(await toy(TESTS)), workers: 1, slackMs: 3_000 });
    expect(fates(results)).to.have.members([
      "'good morning' to '': killed",
      "name === '' to true: killed",
      "name === '' to false: killed",
      "name === '' to (name) !== (''): killed",
      "name === '' ? GREETING : `${GREETING}, ${name}` to undefined: killed",
      '`${GREETING}, ${name}` to ``: killed',
      "'' to 'mutant': killed",
      '{\n  let count = 0;\n  for (; count < end;) count += 1;\n  return count;\n} to {}: killed',
      'count < end to (count) <= (end): killed',
      'count < end to (count) >= (end): killed',
      'count < end to false: killed',
      'count += 1 to count -= (1): stuck',
      'count to undefined: killed',
      'true to undefined: unreached',
      'true to false: unreached',
    ]);
    expect(results.filter(isSurvivor)).to.have.length(2);
    expect(results[0]?.by).to.equal('a toy greets nobody');
  });

  it('runs only what is wanted, and tells each result as it comes', async () => {
    const told: MutantResult[] = [];
    const careless = TESTS.replace("it('greets nobody'", "it.skip('greets nobody'");
    const results = await mutate({
      ...(await toy(careless)),
      workers: 1,
      isWanted: ({ line }) => line === 2,
      onResult: (result) => told.push(result),
    });
    expect(fates(results)).to.deep.equal(["'good morning' to '': survived"]);
    expect(told).to.deep.equal(results);
  });

  it('says nothing about tests that fail by themselves', async () => {
    const failing = TESTS.replace('countTo(3), 3', 'countTo(3), 4');
    const failure = await mutate({ ...(await toy(failing)), workers: 1 }).catch((error: unknown) => error);
    expect(String(failure)).to.equal('Error: without any mutant, a test fails: a toy counts');
  });
});
