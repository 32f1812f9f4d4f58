import { validationAnswerSchema } from '../connectors/servicenow/tasks/validate.ts';
import { runLocalCommand, type LocalCommand } from './local/command.ts';
import { LOCAL_ERRORS } from './local/errors.ts';
import { readConnectorFile } from './local/input-file.ts';
import type { Ran } from './local/task.ts';
import { CHECKING } from './pages/checking.ts';
import { validationReport } from './report/validation.ts';

const COULD_NOT_BE_MADE = 3;

const command: LocalCommand = {
  name: 'validate',
  task: 'servicenow.connector.validate',
  page: CHECKING.validate,
  readInput: readConnectorFile,
  perform: (look) => look(),
  exitCodeOf: validationExitCode,
  report(output, terminal) {
    const read = validationAnswerSchema.safeParse(output);
    return read.success ? validationReport(read.data, terminal) : undefined;
  },
  noAnswer: 'The test could not be made',
};

/** `servicenow-delegate validate FILE`: tests a connector the way it will be used. */
export async function validate(args: readonly string[]): Promise<number> {
  return await runLocalCommand(command, args);
}

/** 0 the connector works · 1 it doesn't · 3 that could not be found out. */
export function validationExitCode({ outcome, answer }: Ran): 0 | 1 | 3 {
  if (outcome.outcome !== 'succeeded') return COULD_NOT_BE_MADE;
  const { status, errors } = validationAnswerSchema.parse(answer);
  // What this machine holds back says nothing of the connector.
  if (errors.some(({ code }) => Object.hasOwn(LOCAL_ERRORS, code))) return COULD_NOT_BE_MADE;
  return status === 'SUCCESS' ? 0 : 1;
}
