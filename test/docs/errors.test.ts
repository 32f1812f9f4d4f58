import { readdirSync, readFileSync } from 'node:fs';
import { expect } from 'chai';
import { format, resolveConfig } from 'prettier';
import { fileURLToPath } from 'node:url';
import { ERROR_CHAPTERS, errorReference } from '../../src/cli/error-reference.ts';
import { ERROR_CATEGORIES } from '../../src/kit/errors.ts';
import { blank } from '../support/source-text.ts';

const SRC = new URL('../../src/', import.meta.url);
const TEST = new URL('../', import.meta.url);
const PAGE = new URL('../../docs/errors.md', import.meta.url);

interface SourceFile {
  readonly path: string;
  readonly text: string;
}

function filesIn(folder: URL): SourceFile[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts'))
    .map((path) => ({
      path: path.replaceAll('\\', '/'),
      text: readFileSync(new URL(path, folder), 'utf8'),
    }));
}

const sources = filesIn(SRC);
const kinds = ERROR_CHAPTERS.flatMap(({ tables }) => tables).flatMap((table) => Object.entries(table));

/** Where an error is made without a table, with the reason. */
const EXCEPTIONS: Readonly<Record<string, string>> = {
  'kit/errors.ts': 'makes the errors of every table, tells them anew, and wraps what nobody foresaw',
};

describe('the reference of errors', () => {
  it('is what the code gives (npm run docs:errors writes the page)', async () => {
    const options = await resolveConfig(fileURLToPath(PAGE));
    const expected = await format(errorReference(), { ...options, parser: 'markdown' });
    expect(readFileSync(PAGE, 'utf8')).to.equal(expected);
  });

  it('has every table of the code', () => {
    const exported = sources.flatMap(({ text }) =>
      Array.from(text.matchAll(/^export const (\w+_ERRORS)\b/gm), ([, name = '']) => name),
    );
    const reference = sources.find(({ path }) => path === 'cli/error-reference.ts')?.text ?? '';
    const chapters = reference.slice(reference.indexOf('ERROR_CHAPTERS'));
    expect(exported).to.include('HTTP_ERRORS');
    expect(exported.filter((name) => !new RegExp(`\\b${name}\\b`).test(chapters))).to.deep.equal([]);
  });

  it('explains each code in whole sentences', () => {
    for (const [code, { category, means, remedy }] of kinds) {
      expect(code).to.match(/^[a-z][a-z0-9-]*(\.[a-z0-9-]+)?$/);
      expect(category).to.be.oneOf(ERROR_CATEGORIES);
      expect(means, code).to.match(/^[A-Z].{15,}[.)]$/s);
      expect(remedy, code).to.match(/^\S.{9,}[.)?]$/s);
    }
  });

  it('no error is made past the tables', () => {
    const places = sources
      .filter(({ text }) => /\bnew DelegateError\(/.test(blank(text, 'comment', 'literal')))
      .map(({ path }) => path);
    expect(places.toSorted()).to.deep.equal(Object.keys(EXCEPTIONS).toSorted());
  });

  it('every code that a user can meet is expected by a test', () => {
    const tests = filesIn(TEST)
      .filter(({ path }) => path !== 'docs/errors.test.ts')
      .map(({ text }) => text)
      .join('\n');
    // Tests of one family leave its name out: `token.${code}`.
    const isExpected = (code: string): boolean =>
      [code, code.slice(code.indexOf('.') + 1)].some((text) => tests.includes(`'${text}'`));
    const met = ERROR_CHAPTERS.filter(({ title }) => title !== 'Demonstration and development')
      .flatMap(({ tables }) => tables)
      .flatMap((table) => Object.keys(table));
    expect(met.filter((code) => !isExpected(code))).to.deep.equal([]);
  });
});
