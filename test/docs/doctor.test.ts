import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { CHECK_IDS } from '../../src/cli/doctor/examine.ts';
import { STATUSES } from '../../src/cli/doctor/finding.ts';

const page = readFileSync(new URL('../../docs/doctor.md', import.meta.url), 'utf8');
const bundlePage = readFileSync(new URL('../../docs/support-bundle.md', import.meta.url), 'utf8');

const sections = new Map(
  page
    .split(/^### /m)
    .slice(1)
    .map((text) => [/^`([a-z]+)`/.exec(text)?.[1] ?? '', text] as const),
);

/** Which results the code of a check can have, as the source of its file names them. */
function source(path: string): string {
  return readFileSync(new URL(`../../src/cli/${path}`, import.meta.url), 'utf8');
}

describe('docs/doctor.md', () => {
  it('has every check in the order of the report, and no other', () => {
    expect([...sections.keys()]).to.deep.equal([...CHECK_IDS]);
  });

  for (const [id, text] of sections) {
    it(`says of ${id} what passes, and what each other result means`, () => {
      const results = Array.from(text.matchAll(/^- ([A-Z]+):/gm), ([, status = '']) => status);
      expect(results[0]).to.equal('PASS');
      expect(results.filter((status) => !STATUSES.some((one) => one === status))).to.deep.equal([]);
      expect(new Set(results).size).to.equal(results.length);
    });
  }
});

describe('docs/support-bundle.md', () => {
  it('has a line for every part of a bundle', () => {
    const titles = [
      ...Array.from(
        source('bundle/sections.ts').matchAll(/^ {4}title: '([^']+)'/gm),
        ([, title = '']) => title,
      ),
      ...Array.from(source('bundle/text.ts').matchAll(/^ {2}title: '([^']+)'/gm), ([, title = '']) => title),
    ].filter((title) => !title.startsWith('Support bundle'));
    expect(titles).to.have.length.above(8);
    for (const title of titles) expect(bundlePage).to.match(new RegExp(`^\\| ${title} +\\|`, 'm'));
  });
});
