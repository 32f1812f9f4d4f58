/** Secret values, and what keeps them from being printed. */
export { Redactor, type RegisterOptions } from './redactor.ts';
export { ScrubbedLines } from './scrubbed-lines.ts';
export { MASK, Secret } from './secret-value.ts';
