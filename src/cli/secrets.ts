import { CommandLineError } from '../config/errors.ts';
import { meant } from '../config/suggestion.ts';
import { hintOf } from './pages/page.ts';
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
  throw new CommandLineError(
    [
      `secrets: say check, pins, allow REFERENCE ORIGIN or forget REFERENCE${meant(name, Object.keys(subcommands))}`,
    ],
    hintOf('secrets'),
  );
}
