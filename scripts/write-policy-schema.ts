import { writeFileSync } from 'node:fs';
import { policyJsonSchema } from '../src/policy/json-schema.ts';

/** `npm run docs:policy`: config/policy.schema.json from the schema of the code. A test fails if it is out of date. */
writeFileSync(new URL('../config/policy.schema.json', import.meta.url), policyJsonSchema());
