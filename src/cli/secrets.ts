import { ConfigurationError } from '../config/load.ts';
import { allowSecret, forgetSecret, listPins } from './secret-pins.ts';
import { checkSecrets } from './secrets-check.ts';
import { orWrongUsage } from './usage.ts';

const subcommands: Readonly<Record<string, (args: readonly string[]) => Promise<number>>> = {
  check: checkSecrets,
  pins: listPins,
  allow: allowSecret,
  forget: forgetSecret,
};

/** `servicenow-delegate secrets check|pins|allow|forget`. */
export async function secrets([name = '', ...args]: readonly string[]): Promise<number> {
  const command = Object.hasOwn(subcommands, name) ? subcommands[name] : undefined;
  if (command !== undefined) return await orWrongUsage(() => command(args));
  throw new ConfigurationError(
    ['secrets: say check, pins, allow REFERENCE ORIGIN or forget REFERENCE'],
    'servicenow-delegate secrets --help shows each, with examples.',
  );
}
