import { writeFileSync } from 'node:fs';
import { wireReference } from '../test/support/wire-story.ts';

/** `npm run docs:wire`: docs/what-the-manager-sees.md from a real conversation. A test fails if it is out of date. */
writeFileSync(new URL('../docs/what-the-manager-sees.md', import.meta.url), await wireReference());
