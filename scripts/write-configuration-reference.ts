import { writeFileSync } from 'node:fs';
import { configurationReference } from '../src/cli/config.ts';

/** `npm run docs:configuration`: docs/configuration.md from the schema. A test fails if it is out of date. */
writeFileSync(new URL('../docs/configuration.md', import.meta.url), configurationReference());
