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

  /** @param hint where its reader finds what is accepted */
  constructor(
    complaints: readonly string[],
    hint: string = CONFIGURATION_ERRORS['configuration-invalid'].remedy,
  ) {
    const distinct = [...new Set(complaints)];
    super(
      'configuration-invalid',
      `The configuration is not valid:\n${distinct.map((complaint) => `  - ${complaint}`).join('\n')}`,
      { category: CONFIGURATION_ERRORS['configuration-invalid'].category, hint },
    );
    this.complaints = distinct;
  }
}
