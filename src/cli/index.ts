#!/usr/bin/env node
import { ConfigurationError } from '../config/load.ts';
import { packageVersion } from '../config/version.ts';
import { systemCode, wrap } from '../kit/errors.ts';
import { HELP, helpOf } from './help.ts';
import { forbidReports, onLastWords, placeOf } from './outputs.ts';
import { WRONG_USAGE } from './usage.ts';

/** Resolves with the exit code: 0 done · 1 failed · 2 the command line or the configuration is wrong · the command's own. */
type Command = (args: readonly string[]) => Promise<number | void>;

/** Each is loaded when it is called: the delegate never loads the manager, nor anything of `dev/`. */
const commands: Readonly<Record<string, Command>> = {
  run: async (args) => (await import('./run.ts')).run(args),
  config: async (args) => (await import('./config.ts')).config(args),
  validate: async (args) => (await import('./validate.ts')).validate(args),
  check: async (args) => (await import('./check.ts')).check(args),
  policy: async (args) => (await import('./policy.ts')).policy(args),
  secrets: async (args) => (await import('./secrets.ts')).secrets(args),
  audit: async (args) => (await import('./audit.ts')).audit(args),
  'rotate-key': async (args) => (await import('./rotate-key.ts')).rotateKey(args),
  manager: async (args) => (await import('./manager.ts')).manager(args),
};

/** The development world. An image for production leaves its files out. */
const developmentCommands: Readonly<Record<string, Command>> = {
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
  if (name === 'help' || name === '--help' || name === '-h') {
    process.stdout.write(HELP);
    return 0;
  }
  if (args.includes('--help') || args.includes('-h')) {
    const settings = name === 'config' || name === 'run' ? (await import('./config.ts')).settingsHelp() : '';
    process.stdout.write(`${helpOf(name) ?? HELP}${settings}`);
    return 0;
  }
  if (Object.hasOwn(commands, name)) return (await commands[name]?.(args)) ?? 0;
  if (Object.hasOwn(developmentCommands, name)) return await develop(name, args);
  process.stderr.write(`There is no command "${name}".\n\n${HELP}`);
  return WRONG_USAGE;
}

async function develop(name: string, args: readonly string[]): Promise<number> {
  try {
    return (await developmentCommands[name]?.(args)) ?? 0;
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
  process.stderr.write(`${error.message}\n${error.hint === undefined ? '' : `${error.hint}\n`}`);
  process.exitCode = error instanceof ConfigurationError ? WRONG_USAGE : 1;
}
