import { wrap } from '../kit/errors.ts';

/** The command line, a file or the settings are at fault, and nothing was asked of anybody. */
export const WRONG_USAGE = 2;

/** What a command says and ends with for what its user can set right in what was given; the rest is for index.ts. */
export async function orWrongUsage(command: () => Promise<number>): Promise<number> {
  try {
    return await command();
  } catch (thrown) {
    const { category, message, hint } = wrap(thrown);
    if (category !== 'invalid-input') throw thrown;
    process.stderr.write(`${message}\n${hint === undefined ? '' : `${hint}\n`}`);
    return WRONG_USAGE;
  }
}
