import { CommandLineError } from '../config/errors.ts';
import { bashScript } from './completion/bash.ts';
import { fishScript } from './completion/fish.ts';
import { completionTable, type CompletionTable } from './completion/table.ts';
import { zshScript } from './completion/zsh.ts';
import { hintOf } from './pages/page.ts';

const SCRIPTS: Readonly<Record<string, (table: CompletionTable) => string>> = {
  bash: bashScript,
  zsh: zshScript,
  fish: fishScript,
};

/** `servicenow-delegate completion SHELL`: prints a script for it. */
export function completion(args: readonly string[]): Promise<0> {
  const [shell = ''] = args;
  const script = Object.hasOwn(SCRIPTS, shell) && args.length === 1 ? SCRIPTS[shell] : undefined;
  if (script === undefined) {
    const known = Object.keys(SCRIPTS).join(', ');
    throw new CommandLineError([`completion: say one of ${known}`], hintOf('completion'));
  }
  process.stdout.write(script(completionTable()));
  return Promise.resolve(0);
}
