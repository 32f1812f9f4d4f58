import { DelegateError } from '../../../../kit/errors.ts';
import { APPROVAL_ERRORS } from '../errors.ts';

/** Where in a source a problem lies. */
export interface Location {
  /** UTF-16 units from the start, from 0. */
  readonly offset: number;
  /** From 1. */
  readonly line: number;
  /** UTF-16 units from the start of the line, from 1. */
  readonly column: number;
}

/** An expression that can't be understood: `servicenow.expression-invalid`, with the place in `details`. */
export class ExpressionError extends DelegateError {
  readonly location: Location;
  /** Two lines: the source near the place, and a caret under it. */
  readonly excerpt: string;

  /** @param problem one sentence without its full stop */
  constructor(source: string, offset: number, problem: string) {
    const location = locate(source, offset);
    const excerpt = excerptAt(source, location);
    const { line, column } = location;
    const { category, remedy } = APPROVAL_ERRORS['servicenow.expression-invalid'];
    super('servicenow.expression-invalid', `${problem} (line ${line}, column ${column})`, {
      category,
      hint: remedy,
      details: { line, column, offset, excerpt },
    });
    this.location = location;
    this.excerpt = excerpt;
  }
}

function locate(source: string, offset: number): Location {
  const before = source.slice(0, offset);
  const lineStart = before.lastIndexOf('\n') + 1;
  return { offset, line: before.split('\n').length, column: offset - lineStart + 1 };
}

/** Characters of the line shown on either side of the place. */
const EXCERPT_REACH_CHARS = 40;

function excerptAt(source: string, { offset, column }: Location): string {
  const lineStart = offset - column + 1;
  const newline = source.indexOf('\n', offset);
  const lineEnd = newline === -1 ? source.length : newline;
  const from = Math.max(lineStart, offset - EXCERPT_REACH_CHARS);
  const to = Math.min(lineEnd, offset + EXCERPT_REACH_CHARS);
  // Tabs and other control characters would move the caret away from the place it points at.
  const shown = source
    .slice(from, to)
    .replace(/\p{Cc}/gu, ' ')
    .toWellFormed();
  const lead = from > lineStart ? '…' : '';
  const tail = to < lineEnd ? '…' : '';
  return `${lead}${shown}${tail}\n${' '.repeat(lead.length + offset - from)}^`;
}
