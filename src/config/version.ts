import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { VERSION_PATTERN } from '../protocol/version.ts';

const packageSchema = z.object({ version: z.string().regex(VERSION_PATTERN) });

/** The version of this build. `package.json` is its only home; source and build stand equally deep below it. */
export function packageVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return packageSchema.parse(JSON.parse(text)).version;
}
