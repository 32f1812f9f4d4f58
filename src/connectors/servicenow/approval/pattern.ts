import { RE2JS } from 're2js';
import { approvalError } from './errors.ts';
import { clip } from './text.ts';

/**
 * Patterns are RE2: matching takes time proportional to text × program, whatever the pattern, where a
 * backtracking engine can be held for minutes by `(a+)+$`. The bounds below keep both
 * factors, and their number, small.
 */
export interface Pattern {
  /**
   * Whether the whole text matches.
   * @throws DelegateError `servicenow.value-too-long`
   */
  matches(text: string): boolean;
}

export const MAX_PATTERN_CHARS = 512;

/** In one criterion: the cost of a task is the sum over its patterns, and matching holds the event loop. */
export const MAX_PATTERNS = 8;

/** Instructions. Counted repetition multiplies: `(.{100}){10}` is twelve characters and a thousand instructions. */
export const MAX_PROGRAM_SIZE = 250;

/** Beyond this a text is refused, not cut: a pattern that ends in `$` would then judge something else. */
export const MAX_MATCHED_CHARS = 4_096;

const MAX_PROBLEM_CHARS = 160;

/** The compiled pattern, or what is wrong with it in a phrase that follows "the pattern …". */
export function compilePattern(
  source: string,
  options: { caseSensitive: boolean },
): { pattern: Pattern } | { problem: string } {
  if (source.length > MAX_PATTERN_CHARS) return { problem: `is longer than ${MAX_PATTERN_CHARS} characters` };
  let compiled: RE2JS;
  try {
    compiled = RE2JS.compile(source, options.caseSensitive ? 0 : RE2JS.CASE_INSENSITIVE);
  } catch (error) {
    const said =
      error instanceof Error ? error.message.replace('error parsing regexp: ', '') : 'unknown reason';
    return { problem: `is not valid RE2: ${clip(said, MAX_PROBLEM_CHARS)}` };
  }
  if (compiled.programSize() > MAX_PROGRAM_SIZE) {
    return { problem: 'is too large: its counted repetitions multiply; use * or + instead' };
  }
  return { pattern: { matches: (text) => compiled.matches(checkedLength(text)) } };
}

function checkedLength(text: string): string {
  if (text.length <= MAX_MATCHED_CHARS) return text;
  throw approvalError(
    'servicenow.value-too-long',
    `A field of ${text.length} characters is too long for a pattern; at most ${MAX_MATCHED_CHARS} are matched.`,
  );
}
