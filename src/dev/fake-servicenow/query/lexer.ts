import { SPELLINGS, type Spelling } from './operators.ts';

/** How a term hangs on what stands before it. */
export type Joint = 'and' | 'or' | 'branch';

export interface Segment {
  readonly joint: Joint;
  readonly text: string;
}

/**
 * Cuts an encoded query at its carets. A caret inside a value can't be escaped: on a real instance neither, which is
 * what makes injection possible.
 */
export function segmentsOf(query: string): Segment[] {
  const segments: Segment[] = [];
  for (const [index, piece] of query.split('^').entries()) {
    if (index > 0 && piece === 'EQ') break;
    if (piece === '') continue;
    segments.push(index === 0 ? { joint: 'and', text: piece } : joined(piece));
  }
  return segments;
}

function joined(piece: string): Segment {
  if (piece.startsWith('NQ')) return { joint: 'branch', text: piece.slice(2) };
  // `^ORDERBYnumber` begins like an OR; field names are lower case, so nothing else is lost by looking ahead.
  if (piece.startsWith('OR') && !piece.startsWith('ORDERBY')) return { joint: 'or', text: piece.slice(2) };
  return { joint: 'and', text: piece };
}

export interface RawTerm {
  readonly field: string;
  readonly spelling: Spelling;
  readonly value: string;
}

const FIELD = /^[A-Za-z0-9_.]+$/;

/**
 * Field, operator and value of one term. There are no blanks or quotes to go by, so the operator is the earliest one
 * that can be read, and the longest of those. Undefined if there is none.
 */
export function termOf(text: string): RawTerm | undefined {
  for (let at = 1; at < text.length; at += 1) {
    if (!FIELD.test(text.charAt(at - 1))) return undefined;
    const spelling = SPELLINGS.find((candidate) => text.startsWith(candidate.text, at));
    if (spelling === undefined) continue;
    return { field: text.slice(0, at), spelling, value: text.slice(at + spelling.text.length) };
  }
  return undefined;
}
