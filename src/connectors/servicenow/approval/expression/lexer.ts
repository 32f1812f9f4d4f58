import { MAX_NUMBER_DIGITS, parseNumber } from '../order.ts';
import { quoted } from '../text.ts';
import type { Span } from './ast.ts';
import { ExpressionError } from './errors.ts';

export type Token =
  | (Span & { readonly kind: 'symbol'; readonly symbol: Punctuator })
  /** A name with its dots, keywords that are values included: `ticket.state.value`, `true`, `empty`. */
  | (Span & { readonly kind: 'word'; readonly word: string })
  | (Span & { readonly kind: 'text'; readonly value: string })
  | (Span & { readonly kind: 'number'; readonly value: number })
  | (Span & { readonly kind: 'end' });

/** Longest first: of two symbols where one begins with the other, the longer is meant. */
const SYMBOLS = [
  '<+',
  '<=',
  '>=',
  '==',
  '=~',
  '!=',
  '!~',
  '&&',
  '||',
  '<',
  '>',
  '!',
  '(',
  ')',
  '[',
  ']',
  ',',
] as const;

export type Punctuator = (typeof SYMBOLS)[number];

const WORD_OPERATORS: ReadonlyMap<string, Punctuator> = new Map([
  ['and', '&&'],
  ['or', '||'],
  ['not', '!'],
  ['eq', '=='],
  ['ne', '!='],
  ['lt', '<'],
  ['le', '<='],
  ['gt', '>'],
  ['ge', '>='],
]);

const PROPOSED_SYMBOLS: ReadonlyMap<string, Punctuator> = new Map([
  ['=', '=='],
  ['&', '&&'],
  ['|', '||'],
]);

const ESCAPES: ReadonlyMap<string, string> = new Map([
  ['\\', '\\'],
  ['"', '"'],
  ["'", "'"],
  ['n', '\n'],
  ['r', '\r'],
  ['t', '\t'],
]);

/** The tokens of a source, the last being `end`. Reads every character once. */
export function tokenize(source: string): Token[] {
  const tokens: Token[] = [];
  for (let offset = skipSpace(source, 0); offset < source.length;) {
    const token = tokenAt(source, offset);
    tokens.push(token);
    offset = skipSpace(source, token.end);
  }
  tokens.push({ kind: 'end', offset: source.length, end: source.length });
  return tokens;
}

function tokenAt(source: string, offset: number): Token {
  const first = source.charAt(offset);
  if (first === '"' || first === "'") return textAt(source, offset);

  const number = stickyMatch(/-?\d[\w.]*/y, source, offset);
  if (number !== undefined) return numberOf(source, offset, number);

  const word = stickyMatch(/[A-Za-z_$][\w$]*(?:\.[\w$]*)*/y, source, offset);
  if (word !== undefined) return wordOf(offset, word);

  const symbol = symbolAt(source, offset);
  if (symbol !== undefined) return { kind: 'symbol', symbol, offset, end: offset + symbol.length };

  const proposal = PROPOSED_SYMBOLS.get(first);
  const said =
    proposal === undefined ? 'is not part of the language' : `is not an operator; write "${proposal}"`;
  throw new ExpressionError(source, offset, `${quoted(codePointAt(source, offset))} ${said}`);
}

function symbolAt(source: string, offset: number): Punctuator | undefined {
  // `<+ticket.state.value>=="x"`, without spaces: the reference ends here, and no operator begins with `>==`.
  if (source.startsWith('>==', offset) || source.startsWith('>=~', offset)) return '>';
  return SYMBOLS.find((symbol) => source.startsWith(symbol, offset));
}

function wordOf(offset: number, word: string): Token {
  const end = offset + word.length;
  const symbol = WORD_OPERATORS.get(word);
  return symbol === undefined ? { kind: 'word', word, offset, end } : { kind: 'symbol', symbol, offset, end };
}

function numberOf(source: string, offset: number, number: string): Token {
  const value = parseNumber(number);
  if (value === undefined) {
    const need = `digits, at most ${MAX_NUMBER_DIGITS}, with "." before decimals; other values go in quotes`;
    throw new ExpressionError(source, offset, `${quoted(number)} is not a number: ${need}`);
  }
  return { kind: 'number', value, offset, end: offset + number.length };
}

function textAt(source: string, offset: number): Token {
  const quote = source.charAt(offset);
  let value = '';
  for (let at = offset + 1; at < source.length;) {
    const char = source.charAt(at);
    if (char === quote) return { kind: 'text', value, offset, end: at + 1 };
    if (char === '\n') break;
    if (char === '\\') {
      const escape = escapeAt(source, at);
      value += escape.value;
      at = escape.end;
    } else {
      value += char;
      at += 1;
    }
  }
  throw new ExpressionError(source, offset, `the text that begins here has no closing ${quote} on its line`);
}

function escapeAt(source: string, offset: number): { value: string; end: number } {
  const unicode = stickyMatch(/\\u[0-9a-fA-F]{4}/y, source, offset);
  if (unicode !== undefined) {
    return {
      value: String.fromCharCode(Number.parseInt(unicode.slice(2), 16)),
      end: offset + unicode.length,
    };
  }
  const value = ESCAPES.get(source.charAt(offset + 1));
  if (value !== undefined) return { value, end: offset + 2 };
  const found = quoted(`\\${codePointAt(source, offset + 1)}`);
  // Refused rather than kept as it is: `"\d"` would then work in a pattern, and `"\b"` or `"\t"` would surprise.
  throw new ExpressionError(source, offset, `${found} is not an escape; write "\\\\" for one backslash`);
}

function skipSpace(source: string, offset: number): number {
  return offset + (stickyMatch(/\s+/y, source, offset)?.length ?? 0);
}

function stickyMatch(pattern: RegExp, source: string, offset: number): string | undefined {
  pattern.lastIndex = offset;
  return pattern.exec(source)?.[0];
}

function codePointAt(source: string, offset: number): string {
  const codePoint = source.codePointAt(offset);
  return codePoint === undefined ? '' : String.fromCodePoint(codePoint);
}
