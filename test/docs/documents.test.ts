import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { format, resolveConfig } from 'prettier';
import { z } from 'zod';
import { configurationReference } from '../../src/cli/config.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** What is made here, and comes and goes. */
const ELSEWHERE = new Set(['node_modules', 'dist', 'bundle', 'bench-results', 'coverage', '.git']);

function filesBelow(folder: string, suffix: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    if (ELSEWHERE.has(entry.name)) return [];
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return filesBelow(path, suffix);
    return entry.name.endsWith(suffix) ? [path] : [];
  });
}

const pages = filesBelow(ROOT, '.md').map((path) => ({
  name: relative(ROOT, path),
  path,
  text: readFileSync(path, 'utf8'),
}));

/** Neither links nor headings are looked for in code. */
function withoutCode(text: string): string {
  return text.replaceAll(/^```[\s\S]*?^```$/gm, '');
}

/** The names that GitHub gives the headings of a page. */
function anchorsOf(text: string): Set<string> {
  const anchors = new Set<string>();
  for (const [, heading = ''] of withoutCode(text).matchAll(/^#{1,6} +(.+)$/gm)) {
    const slug = heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}_ -]/gu, '')
      .replaceAll(' ', '-');
    let anchor = slug;
    for (let n = 1; anchors.has(anchor); n += 1) anchor = `${slug}-${n}`;
    anchors.add(anchor);
  }
  return anchors;
}

function isDead(target: string, page: string): boolean {
  const [file = '', anchor] = target.split('#');
  const path = file === '' ? page : resolve(dirname(page), file);
  if (!existsSync(path)) return true;
  return anchor !== undefined && !anchorsOf(readFileSync(path, 'utf8')).has(anchor);
}

/** A link to a folder leads to whatever is in it. */
function pagesAt(path: string): string[] {
  return pages.filter((page) => page.path === path || dirname(page.path) === path).map((page) => page.path);
}

describe('the documents', () => {
  for (const { name, path, text } of pages) {
    it(`${name}: every link leads to a file, and to a heading where it names one`, () => {
      const links = withoutCode(text).matchAll(/\]\((?!https?:)([^)\s]+)/g);
      const targets = Array.from(links, ([, target = '']) => target);
      expect(targets.filter((target) => isDead(target, path))).to.deep.equal([]);
    });
  }

  it('are all reached from the README or the index, link by link', () => {
    const reached = new Set<string>();
    const waiting = ['README.md', 'docs/README.md'].map((name) => join(ROOT, name));
    for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
      const page = pages.find((one) => one.path === path);
      if (page === undefined || reached.has(page.name)) continue;
      reached.add(page.name);
      for (const [, target = ''] of withoutCode(page.text).matchAll(/\]\((?!https?:)([^)\s#]+)/g)) {
        waiting.push(...pagesAt(resolve(dirname(path), target)));
      }
    }
    expect(pages.map(({ name }) => name).filter((name) => !reached.has(name))).to.deep.equal([]);
  });

  it('quote log lines and reasons that the code writes, word for word', () => {
    const source = filesBelow(join(ROOT, 'src'), '.ts')
      .map((path) => readFileSync(path, 'utf8'))
      .join('\n');
    const quotes = pages.flatMap(({ text }) =>
      Array.from(text.matchAll(/“([^”]+)”/g), ([, quote = '']) => quote),
    );
    expect(quotes).to.not.equal([]);
    expect(quotes.filter((quote) => !source.includes(`'${quote}'`))).to.deep.equal([]);
  });

  it('name npm scripts that exist', () => {
    const manifest = z
      .object({ scripts: z.record(z.string(), z.string()) })
      .parse(JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')));
    const named = pages.flatMap(({ text }) =>
      [...text.matchAll(/npm run ([a-z:-]+)/g)].map((match) => match[1] ?? ''),
    );
    expect(named).to.not.equal([]);
    for (const script of named) expect(manifest.scripts).to.have.property(script);
  });

  it('list every setting as the schema has it (npm run docs:configuration writes the page)', async () => {
    const path = join(ROOT, 'docs/configuration.md');
    const options = await resolveConfig(path);
    const expected = await format(configurationReference(), { ...options, parser: 'markdown' });
    expect(readFileSync(path, 'utf8')).to.equal(expected);
  });
});
