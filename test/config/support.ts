import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  ConfigurationError,
  loadConfiguration,
  type LoadedConfiguration,
  type Sources,
} from '../../src/config/load.ts';

export const MANAGER = 'https://manager.example.com';

/** A folder for the files of one test. */
export class Folder implements Disposable {
  readonly path = mkdtempSync(join(tmpdir(), 'delegate-config-'));

  write(name: string, contents: string): string {
    const path = join(this.path, name);
    writeFileSync(path, contents);
    return path;
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true });
  }
}

/** Sources that are complete but for what the test is about. */
export function sources(given: Partial<Sources> = {}): Sources {
  return {
    args: given.args ?? [],
    environment: { DELEGATE_MANAGER_URL: MANAGER, ...given.environment },
  };
}

export function load(given: Partial<Sources> = {}): LoadedConfiguration {
  return loadConfiguration(sources(given));
}

/** Loads a file with these contents. */
export function loadFile(contents: string, given: Partial<Sources> = {}): LoadedConfiguration {
  using folder = new Folder();
  const file = folder.write('delegate.yaml', contents);
  return load({ ...given, environment: { ...given.environment, DELEGATE_CONFIG: file } });
}

/** The report of a configuration that must be refused. */
export function complaintsOf(attempt: () => unknown): readonly string[] {
  try {
    attempt();
  } catch (error) {
    if (error instanceof ConfigurationError) return error.complaints;
    throw error;
  }
  throw new Error('the configuration was accepted');
}
