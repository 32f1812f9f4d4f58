#!/usr/bin/env node
import { CommandLineError, ConfigurationError } from '../config/errors.ts';
import { packageVersion } from '../config/version.ts';
import { systemCode, wrap } from '../kit/errors.ts';
import { complain } from './complaint.ts';
import { forbidReports, onLastWords, placeOf } from './outputs.ts';
import type { CommandName, DevelopmentCommandName } from './pages/index.ts';
import { WRONG_USAGE } from './usage.ts';

/** Resolves with the exit code: 0 done · 1 failed · 2 the command line or the configuration is wrong · the command's own. */
type Command = (args: readonly string[]) => Promise<number | void>;

/** Each is loaded when it is called: the delegate never loads the manager, nor help, nor anything of `dev/`. */
const commands: Readonly<Record<CommandName, Command>> = {
  run: async (args) => (await import('./run.ts')).run(args),
  config: async (args) => (await import('./config.ts')).config(args),
  completion: async (args) => (await import('./completion.ts')).completion(args),
  validate: async (args) => (await import('./validate.ts')).validate(args),
  check: async (args) => (await import('./check.ts')).check(args),
  doctor: async (args) => (await import('./doctor.ts')).doctor(args),
  policy: async (args) => (await import('./policy.ts')).policy(args),
  secrets: async (args) => (await import('./secrets.ts')).secrets(args),
  status: async (args) => (await import('./status.ts')).status(args),
  healthcheck: async (args) => (await import('./healthcheck.ts')).healthcheck(args),
  'support-bundle': async (args) => (await import('./support-bundle.ts')).supportBundle(args),
  audit: async (args) => (await import('./audit.ts')).audit(args),
  'rotate-key': async (args) => (await import('./rotate-key.ts')).rotateKey(args),
  manager: async (args) => (await import('./manager.ts')).manager(args),
};

/** The development world, and its processes, which nobody types. An image for production leaves its files out. */
const developmentCommands: Readonly<
  Record<DevelopmentCommandName | 'dev-servicenow' | 'dev-adfs' | 'dev-delegate', Command>
> = {
  demo: async (args) => (await import('./demo.ts')).demo(args),
  dev: async (args) => (await import('./dev.ts')).dev(args),
  'dev-servicenow': async () => (await import('./dev-processes.ts')).devServiceNow(),
  'dev-adfs': async () => (await import('./dev-processes.ts')).devAdfs(),
  'dev-delegate': async (args) => (await import('./dev-processes.ts')).devDelegate(args),
};

async function main([name = 'help', ...args]: readonly string[]): Promise<number> {
  if (name === '--version' || name === 'version') {
    process.stdout.write(`${packageVersion()}\n`);
    return 0;
  }
  if (name === 'help' || name === '--help' || name === '-h') return await help(args[0]);
  if (args.includes('--help') || args.includes('-h')) return await help(name);
  if (isNameIn(commands, name)) return (await commands[name](args)) ?? 0;
  if (isNameIn(developmentCommands, name)) return await develop(name, args);
  throw await noSuchCommand(name);
}

function isNameIn<Name extends string>(table: Readonly<Record<Name, Command>>, name: string): name is Name {
  return Object.hasOwn(table, name);
}

async function help(name: string | undefined): Promise<0> {
  const { generalHelp, helpOf } = await import('./help.ts');
  const { terminalOf } = await import('./report/layout.ts');
  const terminal = terminalOf(process.stdout);
  const text = name === undefined ? generalHelp(terminal) : helpOf(name, terminal);
  if (text === undefined) throw await noSuchCommand(name ?? '');
  process.stdout.write(text);
  return 0;
}

async function noSuchCommand(name: string): Promise<CommandLineError> {
  const { PAGES } = await import('./pages/index.ts');
  const { meant } = await import('../config/suggestion.ts');
  return new CommandLineError(
    [`There is no command "${name}"${meant(name, PAGES.keys())}`],
    `The commands are ${Array.from(PAGES.keys()).join(', ')}; servicenow-delegate help says what each is for.`,
  );
}

async function develop(name: keyof typeof developmentCommands, args: readonly string[]): Promise<number> {
  try {
    return (await developmentCommands[name](args)) ?? 0;
  } catch (thrown) {
    if (systemCode(thrown) !== 'ERR_MODULE_NOT_FOUND') throw thrown;
    process.stderr.write(`"${name}" belongs to the development world, which this installation leaves out.\n`);
    return WRONG_USAGE;
  }
}

// Whoever reads the output may go away (`… | head`); what runs must still end in order.
for (const output of [process.stdout, process.stderr]) {
  output.on('error', (error) => {
    if (systemCode(error) !== 'EPIPE') throw error;
  });
}

forbidReports();
// Until a command knows its secrets, and speaks for itself.
onLastWords((error) => {
  process.stderr.write(placeOf(error));
  return 1;
});

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (thrown) {
  const error = wrap(thrown);
  complain(error);
  process.exitCode = error instanceof ConfigurationError ? WRONG_USAGE : 1;
}
