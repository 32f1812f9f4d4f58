import { terminalWishes, type TerminalWishes } from '../../config/terminal.ts';

/** Text in the columns of a terminal: nothing here knows what is reported. */

/** What a colour says. */
export type Tone = 'good' | 'bad' | 'warning' | 'faint' | 'strong';

export interface Terminal {
  /** Columns. */
  readonly width: number;
  readonly paint: (tone: Tone, text: string) => string;
}

const MIN_WIDTH = 40;
/** Longer lines are harder to read than more of them. */
const MAX_WIDTH = 120;
/** Where nobody says how wide it is: a pipe, a file, a CI log. */
const DEFAULT_WIDTH = 80;

/** SGR codes (ECMA-48, 8.3.117) of the colours that every terminal has; themes decide how they look. */
const SGR: Readonly<Record<Tone, readonly [on: number, off: number]>> = {
  good: [32, 39],
  bad: [31, 39],
  warning: [33, 39],
  faint: [2, 22],
  strong: [1, 22],
};

export interface OutputStream {
  readonly isTTY?: boolean;
  readonly columns?: number;
  /** Node's own answer, which heeds a dumb terminal. */
  hasColors?(): boolean;
}

/** With colours where the user wants them, else where it is a terminal that shows them. */
export function terminalOf(
  stream: OutputStream,
  { colours }: Pick<TerminalWishes, 'colours'> = terminalWishes(),
): Terminal {
  const isTerminal = stream.isTTY === true;
  // A pseudo-terminal whose size nobody has set says 0.
  const width = isTerminal && stream.columns !== 0 ? (stream.columns ?? DEFAULT_WIDTH) : DEFAULT_WIDTH;
  const isColoured =
    colours === 'always' || (colours === undefined && isTerminal && stream.hasColors?.() === true);
  return { width: Math.min(MAX_WIDTH, Math.max(MIN_WIDTH, width)), paint: isColoured ? coloured : plain };
}

/** Hanging text below a mark of one column, which may be painted already. */
export function marked(mark: string, text: string, width: number): string[] {
  return hanging('  ', text, width).map((line, index) => (index === 0 ? `${mark} ${line.slice(2)}` : line));
}

function coloured(tone: Tone, text: string): string {
  const [on, off] = SGR[tone];
  return `\u001B[${on}m${text}\u001B[${off}m`;
}

function plain(_tone: Tone, text: string): string {
  return text;
}

/** A stranger's text cannot move the cursor, recolour the screen or turn the reading direction. */
export function printable(text: string): string {
  return text.replace(/[\p{C}\p{Zl}\p{Zp}]+/gu, ' ').trim();
}

/** JSON for a program, or for a person who looks at it: a stranger's text in it is as harmless as in a report. */
export function jsonText(value: unknown): string {
  return `${harmlessJson(JSON.stringify(value, null, 2))}\n`;
}

/** The same JSON, with escapes for what a terminal would obey and JSON lets stand. */
export function harmlessJson(json: string): string {
  return json.replace(/(?!\n)[\p{C}\p{Zl}\p{Zp}]/gu, (character) =>
    Array.from({ length: character.length }, (_, index) => {
      const unit = character.charCodeAt(index).toString(16).padStart(4, '0');
      return String.raw`\u${unit}`;
    }).join(''),
  );
}

/** Unicode Standard Annex 11 (wide and fullwidth), roughly: enough to keep columns straight. */
const TWO_COLUMNS =
  /^[\p{Script=Han}\p{Script=Hangul}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Bopomofo}\p{Script=Yi}\p{Emoji_Presentation}\u3000-\u33FF\uFE30-\uFE6F\uFF01-\uFF60\uFFE0-\uFFE6]$/u;
/** Halfwidth forms of the same scripts. */
const ONE_COLUMN = /^[\uFF61-\uFFDC]$/u;
/** Marks, and the vowels and finals that are drawn into a Hangul syllable. */
const NO_COLUMN = /^[\p{M}\u1160-\u11FF]$/u;

/** Columns that the text takes. */
export function widthOf(text: string): number {
  let width = 0;
  for (const character of text) width += columnsOf(character);
  return width;
}

function columnsOf(character: string): number {
  if (character <= '~') return 1;
  if (NO_COLUMN.test(character)) return 0;
  return TWO_COLUMNS.test(character) && !ONE_COLUMN.test(character) ? 2 : 1;
}

export function padded(text: string, width: number): string {
  return text + ' '.repeat(Math.max(0, width - widthOf(text)));
}

/** Lines of at most `width` columns, at least one. An address stays whole, so that it can be clicked on. */
export function wrapped(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of printable(text).split(/\s+/)) {
    const longer = line === '' ? word : `${line} ${word}`;
    if (widthOf(longer) <= width) {
      line = longer;
      continue;
    }
    if (line !== '') lines.push(line);
    const pieces = /^https?:/.test(word) ? [word] : piecesOf(word, width);
    lines.push(...pieces.slice(0, -1));
    line = pieces.at(-1) ?? '';
  }
  return [...lines, line];
}

function piecesOf(word: string, width: number): string[] {
  const pieces: string[] = [];
  let piece = '';
  for (const character of word) {
    if (piece !== '' && widthOf(piece + character) > width) {
      pieces.push(piece);
      piece = '';
    }
    piece += character;
  }
  return [...pieces, piece];
}

/** Wrapped text with `first` before its first line, and as many spaces before the others. */
export function hanging(first: string, text: string, width: number): string[] {
  const indent = widthOf(first);
  return wrapped(text, Math.max(1, width - indent)).map((line, index) =>
    `${index === 0 ? first : ' '.repeat(indent)}${line}`.trimEnd(),
  );
}
