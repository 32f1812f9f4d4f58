import { existsSync, readFileSync } from 'node:fs';
import { expect } from 'chai';

const TABLE = readFileSync(new URL('PITFALLS.md', import.meta.url), 'utf8');
const ROWS = 30;

interface Pitfall {
  readonly number: number;
  readonly what: string;
  readonly evidence: string;
  readonly tests: readonly { readonly file: string; readonly title: string }[];
  readonly remarks: string;
}

function pitfalls(): Pitfall[] {
  return TABLE.split('\n').flatMap((line) => {
    const [, number = '', what = '', evidence = '', shown = '', remarks = ''] = line
      .split('|')
      .map((cell) => cell.trim());
    if (!/^\d+$/.test(number)) return [];
    const tests = [...shown.matchAll(/`([^`]+)` › `([^`]+)`/g)].map(([, file = '', title = '']) => ({
      file,
      title,
    }));
    return [{ number: Number(number), what, evidence, tests, remarks }];
  });
}

/** Titles of tests, as they are written in the file: those that are made of cases with their placeholders. */
function titlesIn(file: string): string[] {
  const path = new URL(file, import.meta.url);
  if (!existsSync(path)) return [];
  const literals = readFileSync(path, 'utf8').matchAll(/\bit\(\s*(['"`])((?:\\.|(?!\1)[^\\])*)\1/g);
  return [...literals].map(([, , title = '']) => title.replaceAll(/\\(.)/g, '$1'));
}

describe('the table of pitfalls', () => {
  it('has each of them once, in order, with evidence, and a test or a reason', () => {
    const rows = pitfalls();
    expect(rows.map(({ number }) => number)).to.deep.equal(Array.from({ length: ROWS }, (_, n) => n + 1));
    const wanting = rows.filter(
      ({ what, evidence, tests, remarks }) =>
        what === '' || !evidence.includes('](https://') || (tests.length === 0 && remarks === ''),
    );
    expect(wanting).to.deep.equal([]);
  });

  for (const { number, what, tests } of pitfalls()) {
    it(`names tests that exist for ${number}: ${what}`, () => {
      const missing = tests.filter(({ file, title }) => !titlesIn(file).includes(title));
      expect(missing).to.deep.equal([]);
    });
  }

  it('has no cell under "shown by" that says something else than tests', () => {
    const cells = TABLE.split('\n').filter((line) => /^\| *\d/.test(line));
    const counted = cells.reduce((sum, line) => sum + line.split('`').length - 1, 0);
    const named = pitfalls().reduce((sum, { tests }) => sum + tests.length, 0);
    // Four marks for each test: around its file, and around its title.
    expect(counted).to.equal(4 * named);
  });
});
