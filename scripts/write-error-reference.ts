import { writeFileSync } from 'node:fs';
import { errorReference } from '../src/cli/error-reference.ts';

/** `npm run docs:errors`: docs/errors.md from the tables of errors. A test fails if it is out of date. */
writeFileSync(new URL('../docs/errors.md', import.meta.url), errorReference());
