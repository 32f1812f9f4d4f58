import { wrap } from '../kit/errors.ts';
import { complain } from './complaint.ts';

/** The command line, a file or the settings are at fault, and nothing was asked of anybody. */
export const WRONG_USAGE = 2;

/** What a command says and ends with for what its user can set right in what was given; the rest is for index.ts. */
export async function orWrongUsage(command: () => Promise<number>): Promise<number> {
  try {
    return await command();
  } catch (thrown) {
    const error = wrap(thrown);
    if (error.category !== 'invalid-input') throw thrown;
    complain(error);
    return WRONG_USAGE;
  }
}
