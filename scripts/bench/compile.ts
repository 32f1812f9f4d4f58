import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { basename, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build as runEsbuild, type Plugin } from 'esbuild';

const HERE = fileURLToPath(new URL('.', import.meta.url));
const SOURCE = fileURLToPath(new URL('../../src/', import.meta.url));
const DIST = fileURLToPath(new URL('../../dist/', import.meta.url));
/** Below `node_modules`, so that what is compiled finds its packages, and git does not find it. */
const CACHE = fileURLToPath(new URL('../../node_modules/.cache/', import.meta.url));

export const ROLES = [
  'instance',
  'bare',
  'manager',
  'delegate-alone',
  'queue-worker',
  'queue-producer',
  'light-delegates',
] as const;
export type Role = (typeof ROLES)[number];

/** What the processes use of the product is the product as it is shipped. */
const shipped: Plugin = {
  name: 'shipped',
  setup(build) {
    build.onResolve({ filter: /\/src\/.*\.ts$/ }, ({ path, resolveDir }) => {
      const within = relative(SOURCE, join(resolveDir, path)).replace(/\.ts$/, '.js');
      return { path: join(DIST, within), external: true };
    });
  },
};

/**
 * The processes of the bench as plain JavaScript. Under a loader that compiles as it loads they would not be measured as
 * they are: it wraps functions to keep their names, at each call of the function that makes them.
 */
export class CompiledProcesses implements AsyncDisposable {
  /** Of its own: another run that compiles meanwhile must not change files under the feet of this one. */
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  static async make(): Promise<CompiledProcesses> {
    await mkdir(CACHE, { recursive: true });
    const folder = await mkdtemp(join(CACHE, 'bench-'));
    await runEsbuild({
      entryPoints: ROLES.map((role) => join(HERE, 'processes', `${role}.ts`)),
      outdir: folder,
      outExtension: { '.js': '.mjs' },
      bundle: true,
      packages: 'external',
      platform: 'node',
      format: 'esm',
      target: 'node20',
      logLevel: 'warning',
      plugins: [shipped],
    });
    return new CompiledProcesses(folder);
  }

  file(role: Role): string {
    return join(this.#folder, `${basename(role)}.mjs`);
  }

  /** To be called when no process is left that might still load something. */
  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#folder, { recursive: true });
  }
}
