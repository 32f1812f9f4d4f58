import { readFile } from 'node:fs/promises';
import { extname } from 'node:path';
import { pathToFileURL } from 'node:url';
import * as esbuild from 'esbuild';
import { instrument, SWITCH } from './instrument.ts';
import { mutantsOf, type Mutant } from './operators.ts';

export interface NumberedMutant extends Mutant {
  readonly number: number;
  /** Absolute path. */
  readonly file: string;
}

export interface Bundle {
  /** A script whose value is `(require, $mutant) => void`; to call it is to load all the tests anew. */
  readonly script: string;
  readonly mutants: readonly NumberedMutant[];
}

/**
 * All tests and all of the project's code that they need in one script, with every mutant in it. One script,
 * because it can be run again and again in one process with constants of modules made anew each time, which
 * Node's own loader does for CommonJS alone.
 *
 * @param paths absolute paths of the sources to mutate, and of the tests
 */
export async function bundle(paths: {
  readonly sources: readonly string[];
  readonly tests: readonly string[];
}): Promise<Bundle> {
  const mutants: NumberedMutant[] = [];
  const instrumented = new Map<string, string>();
  for (const file of paths.sources) {
    const source = await readFile(file, 'utf8');
    const found = mutantsOf(source);
    const firstNumber = mutants.length;
    instrumented.set(file, instrument(source, found, firstNumber));
    mutants.push(...found.map((mutant, index) => ({ ...mutant, file, number: firstNumber + index })));
  }

  return {
    script: `(function (require, ${SWITCH}) {\n${await joined(paths.tests, instrumented)}\n})`,
    mutants,
  };
}

/** The tests and all that they import of the project, with some of the files replaced. */
async function joined(tests: readonly string[], replaced: ReadonlyMap<string, string>): Promise<string> {
  try {
    const { outputFiles } = await esbuild.build({
      stdin: {
        contents: tests.map((path) => `import ${JSON.stringify(path)};`).join('\n'),
        resolveDir: process.cwd(),
      },
      bundle: true,
      write: false,
      format: 'cjs',
      platform: 'node',
      target: 'node20',
      packages: 'external',
      logLevel: 'error',
      plugins: [
        {
          name: 'mutants',
          setup(build) {
            build.onLoad({ filter: /\.[jt]s$/ }, async ({ path }) => {
              const source = replaced.get(path) ?? (await readFile(path, 'utf8'));
              // A script has no place of its own, and some tests read a file beside them.
              const contents = source.replaceAll('import.meta.url', JSON.stringify(pathToFileURL(path).href));
              return { contents, loader: extname(path) === '.ts' ? 'ts' : 'js' };
            });
          },
        },
      ],
    });
    const [output] = outputFiles;
    if (output === undefined) throw new TypeError('esbuild has written nothing');
    return output.text;
  } finally {
    // Its process would stay for another bundle.
    await esbuild.stop();
  }
}
