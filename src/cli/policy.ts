import { CommandLineError } from '../config/errors.ts';
import { meant } from '../config/suggestion.ts';
import { policyCheck } from './policy-check.ts';
import { policyExplain } from './policy-explain.ts';
import { hintOf } from './pages/page.ts';
import { orWrongUsage } from './usage.ts';

const subcommands: Readonly<Record<string, (args: readonly string[]) => Promise<number>>> = {
  check: policyCheck,
  explain: policyExplain,
};

/** `servicenow-delegate policy check FILE` and `policy explain TASK`. */
export async function policy([name = '', ...args]: readonly string[]): Promise<number> {
  const command = Object.hasOwn(subcommands, name) ? subcommands[name] : undefined;
  if (command !== undefined) return await orWrongUsage(() => command(args));
  throw new CommandLineError(
    [`policy: say check FILE or explain TASK${meant(name, Object.keys(subcommands))}`],
    hintOf('policy'),
  );
}
