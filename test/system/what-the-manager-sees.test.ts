import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { format, resolveConfig } from 'prettier';
import { leavesNothingOpen } from '../support/open-handles.ts';
import { wireReference } from '../support/wire-story.ts';

describe('what the manager sees', function () {
  this.timeout(60_000);
  leavesNothingOpen();

  it('is what docs/what-the-manager-sees.md shows, and nothing else (npm run docs:wire writes the page)', async () => {
    const page = new URL('../../docs/what-the-manager-sees.md', import.meta.url);
    const options = { ...(await resolveConfig(page)), parser: 'markdown' };
    expect(await format(await wireReference(), options)).to.equal(readFileSync(page, 'utf8'));
  });
});
