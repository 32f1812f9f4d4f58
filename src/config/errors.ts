import { DelegateError, type ErrorKinds } from '../kit/errors.ts';

/** The errors of this room. */
export const CONFIGURATION_ERRORS = {
  'configuration-invalid': {
    category: 'invalid-input',
    means:
      'A command was started with settings, flags or arguments that it cannot work with. The message lists every mistake, each with the setting that it is in.',
    remedy: 'servicenow-delegate config --help lists every setting.',
  },
} as const satisfies ErrorKinds;

/** Every complaint in one report, each naming the setting. Exit code 2 belongs to it. */
export class ConfigurationError extends DelegateError {
  readonly complaints: readonly string[];

  /**
   * @param hint where its reader finds what is accepted
   * @param what the complaints are of, with its verb
   */
  constructor(
    complaints: readonly string[],
    hint: string = CONFIGURATION_ERRORS['configuration-invalid'].remedy,
    what = 'The configuration is',
  ) {
    const distinct = [...new Set(complaints)];
    super(
      'configuration-invalid',
      `${what} not valid:\n${distinct.map((complaint) => `  - ${complaint}`).join('\n')}`,
      { category: CONFIGURATION_ERRORS['configuration-invalid'].category, hint },
    );
    this.complaints = distinct;
  }
}

/** What was typed is wrong: whoever reads it need not look into files and variables. */
export class CommandLineError extends ConfigurationError {
  constructor(complaints: readonly string[], hint?: string) {
    super(complaints, hint, 'The command line is');
  }
}

/** Throws one error with all complaints; returns where there are none. */
export function throwComplaints(
  { commandLine, others }: { commandLine: readonly string[]; others: readonly string[] },
  hint?: string,
): void {
  if (others.length === 0 && commandLine.length === 0) return;
  if (others.length === 0) throw new CommandLineError(commandLine, hint);
  if (commandLine.length === 0) throw new ConfigurationError(others, hint);
  throw new ConfigurationError(
    [...commandLine, ...others],
    hint,
    'The command line and the configuration are',
  );
}
