import { chmod, mkdir, rm, stat, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { build as runEsbuild, type BuildOptions, type Metafile, type Plugin } from 'esbuild';
import { packageVersion } from '../../src/config/version.ts';
import { clientEntries, clientModules, clientPackages, clientPath } from './clients.ts';
import { noticesOf, noticesText } from './notices.ts';

const ROOT = new URL('../../', import.meta.url).pathname;

export const PROGRAM = 'delegate.mjs';
export const NOTICES = 'THIRD-PARTY-NOTICES';

export interface BundleOptions {
  /** Emptied first; a relative one counts from the working directory. */
  readonly folder: string;
  /** The clients of clouds and of tracing, which the program loads only when they are configured. */
  readonly clients: 'include' | 'omit';
}

export interface Bundle {
  /** Relative to the folder, the program first. */
  readonly files: readonly { readonly path: string; readonly bytes: number }[];
  /** How many packages are in it. */
  readonly packages: number;
}

/**
 * Names stay as they are written: a stack from the field can be read without a map, and `__name`, which keeps them
 * otherwise, costs at each closure that is made. Packages of CommonJS ask for `require`, which a module has not.
 */
const COMMON = {
  absWorkingDir: ROOT,
  bundle: true,
  platform: 'node',
  target: 'node20.19',
  format: 'esm',
  minifySyntax: true,
  minifyWhitespace: true,
  legalComments: 'none',
  metafile: true,
  logLevel: 'warning',
  banner: {
    js: "import { createRequire as requireFrom } from 'node:module';const require = requireFrom(import.meta.url);",
  },
} as const satisfies BuildOptions;

/** Makes the folder with the program, its clients, its source map and the licenses of what is in it. */
export async function makeBundle(options: BundleOptions): Promise<Bundle> {
  const folder = resolve(options.folder);
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  const clients = await clientPackages(ROOT);
  const metafiles = [await bundleProgram(folder, clients)];
  if (options.clients === 'include') metafiles.push(await bundleClients(folder, clients));
  const notices = await noticesOf(metafiles, ROOT);
  await writeFile(join(folder, NOTICES), noticesText(notices));
  return { files: await filesOf(folder, metafiles), packages: notices.length };
}

async function bundleProgram(folder: string, clients: readonly string[]): Promise<Metafile> {
  const { metafile } = await runEsbuild({
    ...COMMON,
    entryPoints: ['src/cli/index.ts'],
    outfile: join(folder, PROGRAM),
    // Beside it, and known to nobody: Node would read 8 MB of it for the first stack.
    sourcemap: 'external',
    sourcesContent: false,
    define: { BUNDLED_VERSION: JSON.stringify(packageVersion()) },
    plugins: [withoutDevelopment, onlyEnglish, clientsBeside(clients)],
  });
  await chmod(join(folder, PROGRAM), 0o755);
  return metafile;
}

/** Each by its own entry, so that what one needs is loaded for it alone; what several need is shared. */
async function bundleClients(folder: string, clients: readonly string[]): Promise<Metafile> {
  const { metafile } = await runEsbuild({
    ...COMMON,
    entryPoints: clientEntries(clients),
    outdir: join(folder, 'clients'),
    outExtension: { '.js': '.mjs' },
    chunkNames: 'shared-[hash]',
    splitting: true,
    // The vendors' modules of ECMAScript, where they ship some: of those, what nobody calls can be left out.
    mainFields: ['module', 'main'],
    plugins: [clientModules(ROOT)],
  });
  return metafile;
}

/** The commands of the development world end as in every installation without it. */
const withoutDevelopment: Plugin = {
  name: 'without-development',
  setup(build) {
    build.onResolve({ filter: /^\.\/(?:demo|dev|dev-processes)\.ts$/ }, ({ path }) => ({
      path: path.replace(/\.ts$/, '.js'),
      external: true,
    }));
  },
};

/** zod's own sentences in some fifty languages are a tenth of the program, and it asks for none of them. */
const onlyEnglish: Plugin = {
  name: 'only-english',
  setup(build) {
    build.onLoad({ filter: /[\\/]zod[\\/]v4[\\/]locales[\\/]index\.js$/ }, () => ({
      contents: "export { default as en } from './en.js';",
    }));
  },
};

/** Only where the program waits for them: what another package asks for, it cannot be without. */
function clientsBeside(clients: readonly string[]): Plugin {
  return {
    name: 'clients-beside',
    setup(build) {
      build.onResolve({ filter: /^@/ }, ({ path, kind }) =>
        kind === 'dynamic-import' && clients.includes(path)
          ? { path: clientPath(path), external: true }
          : undefined,
      );
    },
  };
}

async function filesOf(folder: string, metafiles: readonly Metafile[]): Promise<Bundle['files']> {
  const paths = metafiles.flatMap(({ outputs }) => Object.keys(outputs).map((path) => resolve(ROOT, path)));
  return await Promise.all(
    [...paths, join(folder, NOTICES)].map(async (path) => ({
      path: path.slice(folder.length + 1),
      bytes: (await stat(path)).size,
    })),
  );
}
