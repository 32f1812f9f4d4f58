import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { VERSION_PATTERN } from '../protocol/version.ts';

/** Put in by the bundler: a bundle is one file, and has no `package.json` above it. */
declare const BUNDLED_VERSION: string;

const packageSchema = z.object({ version: z.string().regex(VERSION_PATTERN) });

/** The version of this build. `package.json` is its only home; source and build stand equally deep below it. */
export function packageVersion(): string {
  if (typeof BUNDLED_VERSION === 'string') return BUNDLED_VERSION;
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return packageSchema.parse(JSON.parse(text)).version;
}
