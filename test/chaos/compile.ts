import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';

const TSC = fileURLToPath(new URL('../../node_modules/typescript/bin/tsc', import.meta.url));
const PROJECT = fileURLToPath(new URL('tsconfig.json', import.meta.url));
/** Below `node_modules`, so that what is compiled finds its packages, and git does not find it. */
const CACHE = fileURLToPath(new URL('../../node_modules/.cache/', import.meta.url));

/**
 * The entries of the processes and all that they import, compiled. A world starts a dozen processes; each would
 * otherwise spend most of its start on compiling the same files, on cores that the others need.
 */
export class CompiledProcesses implements AsyncDisposable {
  /** Of its own: another run that compiles meanwhile must not change files under the feet of this one. */
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  static async make(): Promise<CompiledProcesses> {
    await mkdir(CACHE, { recursive: true });
    const folder = await mkdtemp(join(CACHE, 'chaos-'));
    await writeFile(join(folder, 'package.json'), '{ "type": "module" }');
    await promisify(execFile)(process.execPath, [TSC, '-p', PROJECT, '--outDir', folder]);
    return new CompiledProcesses(folder);
  }

  /** @param name of a file beside this one, without `-process.ts` */
  entry(name: 'manager' | 'delegate' | 'crash-steps'): URL {
    return pathToFileURL(join(this.#folder, 'test', 'chaos', `${name}-process.js`));
  }

  /** To be called when no process is left that might still load something. */
  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#folder, { recursive: true });
  }
}
