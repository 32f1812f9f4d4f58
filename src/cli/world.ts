import { readEnvironment } from '../config/environment.ts';
import { ConfigurationError } from '../config/load.ts';
import { startWorld, type World } from '../dev/world.ts';

/** Starts the development world from this very command line. `--verbose` shows what every process writes. */
export async function openWorld(args: readonly string[]): Promise<World> {
  const unknown = args.find((arg) => arg !== '--verbose');
  if (unknown !== undefined)
    throw new ConfigurationError([`${unknown}: there is no such argument`], 'The only one is --verbose.');
  const verbose = args.includes('--verbose');
  return await startWorld({
    cli: [...process.execArgv, process.argv[1] ?? ''],
    environment: readEnvironment(),
    onLine: (name, line) => {
      if (verbose) process.stderr.write(`[${name}] ${line}\n`);
    },
  });
}
