import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Plugin } from 'esbuild';
import { z } from 'zod';

/** The packages that the program loads only when they are configured, and does without where they are left out. */
export async function clientPackages(root: string): Promise<readonly string[]> {
  const text = await readFile(join(root, 'package.json'), 'utf8');
  const { optionalDependencies } = z
    .object({ optionalDependencies: z.record(z.string(), z.string()) })
    .parse(JSON.parse(text));
  return Object.keys(optionalDependencies);
}

/** Where it is found, seen from the program. */
export function clientPath(name: string): string {
  return `./clients/${clientName(name)}.mjs`;
}

/** `@vendor/client` as the name of a file. */
function clientName(name: string): string {
  return name.replace('@', '').replace('/', '.');
}

const ENTRY = 'client:';

/** To be given to esbuild, with the plugin that answers for it. */
export function clientEntries(names: readonly string[]): Record<string, string> {
  return Object.fromEntries(names.map((name) => [clientName(name), `${ENTRY}${name}`]));
}

/**
 * Each entry hands on, by name, what Node finds in the package: one of CommonJS would otherwise have a default export
 * and nothing else, and the program could not tell the bundle from the package.
 */
export function clientModules(root: string): Plugin {
  return {
    name: 'client-modules',
    setup(build) {
      build.onResolve({ filter: new RegExp(`^${ENTRY}`) }, ({ path }) => ({
        path: path.slice(ENTRY.length),
        namespace: 'client',
      }));
      build.onLoad({ filter: /.*/, namespace: 'client' }, async ({ path }) => {
        const exported: object = await import(path);
        const names = Object.keys(exported).filter((name) => name !== 'default' && name !== 'module.exports');
        return { contents: `export { ${names.join(', ')} } from '${path}';`, resolveDir: root };
      });
    },
  };
}
