/**
 * Just enough of ECMAScript's lexical grammar to tell code from comments and literals, so that a rule about code
 * is not broken by a sentence about it. Not a parser: TypeScript 7 offers none to programs, and one more
 * dependency for a handful of rules is a poor trade.
 */

type Kind = 'code' | 'comment' | 'literal';

interface Piece {
  readonly kind: Kind;
  readonly text: string;
}

/** After one of these, or at the start, a slash begins a regular expression; elsewhere it divides. */
const BEFORE_REGEXP =
  /(?:^|[-+*%&|^!~=<>?:;,([{}]|\b(?:return|typeof|case|in|of|do|else|void|delete|throw|new|await|yield) ?)$/;

const COMMENT = /\/\/[^\n]*|\/\*[\s\S]*?\*\//y;
const STRING = /'(?:\\[\s\S]|[^'\\\n])*'|"(?:\\[\s\S]|[^"\\\n])*"/y;
const REGEXP = /\/(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\[\n])+\/[a-z]*/y;
const TEMPLATE_TEXT = /(?:\\[\s\S]|\$(?!\{)|[^\\`$])*/y;

function matchAt(pattern: RegExp, text: string, at: number): string | undefined {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0];
}

/** What `BEFORE_REGEXP` has to see of the code so far: white space and comments only part two words. */
function codeAfter(lastCode: string, { kind, text }: Piece): string {
  if (kind === 'literal') return text.endsWith('${') ? '(' : ')';
  if (kind === 'code' && text.trim() !== '') return (lastCode + text).slice(-12);
  return /\w$/.test(lastCode) ? `${lastCode} ` : lastCode;
}

function* piecesOf(source: string): Generator<Piece> {
  /** For each template that is open, the number of braces open within its current `${}`. */
  const templates: number[] = [];
  let lastCode = '';
  let at = 0;

  while (at < source.length) {
    const char = source.charAt(at);
    const comment = matchAt(COMMENT, source, at);
    const literal =
      matchAt(STRING, source, at) ??
      (comment === undefined && BEFORE_REGEXP.test(lastCode) ? matchAt(REGEXP, source, at) : undefined);
    const braces = templates.at(-1);

    let piece: Piece;
    if (comment !== undefined) piece = { kind: 'comment', text: comment };
    else if (literal !== undefined) piece = { kind: 'literal', text: literal };
    else if (char === '`' || (char === '}' && braces === 0)) {
      // A template's text runs to its end or to the next `${`, whose closing brace brings us here again.
      const text = char + (matchAt(TEMPLATE_TEXT, source, at + 1) ?? '');
      const closes = source.charAt(at + text.length) === '`';
      if (char === '}') templates.pop();
      if (!closes) templates.push(0);
      piece = { kind: 'literal', text: text + (closes ? '`' : '${') };
    } else {
      if (braces !== undefined && (char === '{' || char === '}')) {
        templates[templates.length - 1] = braces + (char === '{' ? 1 : -1);
      }
      piece = { kind: 'code', text: char };
    }

    yield piece;
    at += piece.text.length;
    lastCode = codeAfter(lastCode, piece);
  }
}

/** The source with every character of the given kinds blanked; line breaks, and so positions, stay. */
export function blank(source: string, ...kinds: Kind[]): string {
  return Array.from(piecesOf(source), ({ kind, text }) =>
    kinds.includes(kind) ? text.replace(/[^\n]/g, ' ') : text,
  ).join('');
}
