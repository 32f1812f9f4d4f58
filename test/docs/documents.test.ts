import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { format, resolveConfig } from 'prettier';
import { z } from 'zod';
import { configurationReference } from '../../src/cli/config.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

function documents(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    if (['node_modules', 'dist', 'coverage', '.git'].includes(entry.name)) return [];
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return documents(path);
    return entry.name.endsWith('.md') ? [path] : [];
  });
}

const pages = documents(ROOT).map((path) => ({
  name: relative(ROOT, path),
  path,
  text: readFileSync(path, 'utf8'),
}));

describe('the documents', () => {
  for (const { name, path, text } of pages) {
    it(`${name}: every link leads to a file`, () => {
      const targets = [...text.matchAll(/\]\((?!https?:|#)([^)#\s]+)/g)].map((match) => match[1] ?? '');
      const dead = targets.filter((target) => !existsSync(join(dirname(path), target)));
      expect(dead).to.deep.equal([]);
    });
  }

  it('name npm scripts that exist', () => {
    const manifest = z
      .object({ scripts: z.record(z.string(), z.string()) })
      .parse(JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')));
    const named = pages.flatMap(({ text }) =>
      [...text.matchAll(/npm run ([a-z:]+)/g)].map((match) => match[1] ?? ''),
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
