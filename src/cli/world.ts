import { readEnvironment } from '../config/environment.ts';
import { CommandLineError } from '../config/errors.ts';
import { hanging, padded, printable, type Terminal } from './report/layout.ts';
import { startWorld, type World } from '../dev/world.ts';

/** Starts the development world from this very command line. `--verbose` shows what every process writes. */
export async function openWorld(args: readonly string[]): Promise<World> {
  const unknown = args.find((arg) => arg !== '--verbose');
  if (unknown !== undefined) {
    throw new CommandLineError([`${unknown}: there is no such argument`], 'The only one is --verbose.');
  }
  const verbose = args.includes('--verbose');
  return await startWorld({
    cli: [...process.execArgv, process.argv[1] ?? ''],
    environment: readEnvironment(),
    onLine: (name, line) => {
      if (verbose) process.stderr.write(`[${name}] ${printable(line)}\n`);
    },
  });
}

const NAME_COLUMNS = 'ServiceNow (fake)'.length;
const INDENT = '   ';

/** What runs where, in two columns. */
export function addressLines(
  addresses: readonly (readonly [name: string, where: string])[],
  { width }: Terminal,
): string[] {
  return addresses.flatMap(([name, where]) =>
    hanging(`${INDENT}${padded(name, NAME_COLUMNS)}  `, where, width),
  );
}
