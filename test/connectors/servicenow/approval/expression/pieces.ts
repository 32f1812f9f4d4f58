import * as fc from 'fast-check';

/** Pieces of the language, and of what people mistake for it; random sequences of these get deeper than letters. */
const PIECES = [
  'ticket.state.value',
  'ticket.assigned_to.name.displayValue',
  '<+ticket.risk.value>',
  'ticket.state',
  '<+',
  '>',
  '(',
  ')',
  '[',
  ']',
  ',',
  '==',
  '!=',
  '<=',
  '=~',
  '!~',
  '&&',
  'or',
  'not',
  '!',
  'empty',
  'null',
  'true',
  '"text"',
  "'(a+'",
  '"2026-01-01"',
  '-5',
  '3.5',
  '=',
  '"',
  '\\',
  '\n',
] as const;

/** Texts that look like expressions, and seldom are. */
export const pieces: fc.Arbitrary<string> = fc
  .array(fc.constantFrom(...PIECES), { maxLength: 40 })
  .chain((parts) => fc.constantFrom(parts.join(' '), parts.join('')));
