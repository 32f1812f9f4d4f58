import { HTML_NAMES } from './html-names.ts';

/** A stretch of a text and what it stands for. */
interface Spelling {
  readonly meaning: string;
  /** Characters in the text. */
  readonly width: number;
}

/** One way to write characters as others. */
interface Escape {
  /** Without it there is nothing to read. Undefined: the pattern alone tells. */
  readonly sign: string | undefined;
  readonly pattern: RegExp;
  /** What one match stands for, in pieces as small as can be told apart; undefined if it is none after all. */
  readonly read: (match: string) => readonly Spelling[] | undefined;
  /** What stands apart is put together. Words would be found that nobody wrote; what is encoded can be looked for. */
  readonly joins?: boolean;
}

/** A text after some of its escapes were undone, and where each of its characters stood in the first text. */
export class Reading {
  readonly text: string;
  readonly joins: boolean;
  /** How often escapes were undone. */
  readonly depth: number;
  readonly #parent: Reading | undefined;
  /** Of each piece that is no plain copy, four numbers: where it begins here and ends here, began there and ended. */
  readonly #pieces: readonly number[];

  constructor(text: string, from?: { parent: Reading; pieces: readonly number[]; joins: boolean }) {
    this.text = text;
    this.#parent = from?.parent;
    this.#pieces = from?.pieces ?? [];
    this.joins = from?.joins ?? false;
    this.depth = from === undefined ? 0 : from.parent.depth + 1;
  }

  /** Where in the first text that stood, whole escapes included. Not for an empty range. */
  sourceOf(start: number, end: number): { start: number; end: number } {
    if (this.#parent === undefined) return { start, end };
    return this.#parent.sourceOf(this.#placeOf(start).start, this.#placeOf(end - 1).end);
  }

  /** Where one character stood in the parent's text. */
  #placeOf(index: number): { start: number; end: number } {
    // The last piece that begins at or before the character, by halving; those of no length are behind it.
    let low = 0;
    let high = this.#pieces.length / 4;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#number(middle, 0) <= index) low = middle + 1;
      else high = middle;
    }
    if (low === 0) return { start: index, end: index + 1 };
    const piece = low - 1;
    const endHere = this.#number(piece, 1);
    const endThere = this.#number(piece, 3);
    if (index < endHere) return { start: this.#number(piece, 2), end: endThere };
    const start = endThere + index - endHere;
    return { start, end: start + 1 };
  }

  #number(piece: number, which: 0 | 1 | 2 | 3): number {
    return this.#pieces[piece * 4 + which] ?? 0;
  }
}

/** JSON within JSON within JSON, and the like. */
const MAX_DEPTH = 6;
/** Of a text that is full of every kind of escape. An ordinary one has one or two readings beside itself. */
const MAX_READINGS = 256;
/** Readings of a long one together, in characters; whatever its length, there are so many. */
const MAX_READ_CHARS = 4 * 1_048_576;
const MIN_READINGS = 16;

interface Waiting {
  readonly reading: Reading;
  /** The kind that was undone last. */
  readonly escape: Escape | undefined;
}

/**
 * The text, and what it says to whoever undoes its escapes, each kind alone: a value that has `%41` in it, and a quote,
 * is hidden in JSON by the quote alone. Every character may be escaped or not, so the forms of a value that an encoder
 * may choose from are beyond counting; the readings of a text are few.
 *
 * One kind again and again is what happens (JSON in JSON); many kinds by turns are hardly ever, and come last.
 */
export function* readingsOf(text: string): Generator<Reading> {
  // By the number of turns from one kind to another.
  const waiting: Waiting[][] = [[{ reading: new Reading(text), escape: undefined }]];
  const seen = new Set([text]);
  let readChars = 0;
  for (let turns = 0; turns < waiting.length; turns += 1) {
    for (const { reading, escape } of waiting[turns] ?? []) {
      yield reading;
      if (reading.depth === MAX_DEPTH || reading.joins) continue;
      for (const next of ESCAPES) {
        if (seen.size >= (readChars > MAX_READ_CHARS ? MIN_READINGS : MAX_READINGS)) break;
        const read = undo(next, reading);
        if (read === undefined || seen.has(read.text)) continue;
        seen.add(read.text);
        readChars += read.text.length;
        const taken = turns + (next === escape || escape === undefined ? 0 : 1);
        (waiting[taken] ??= []).push({ reading: read, escape: next });
      }
    }
  }
}

function undo({ sign, pattern, read, joins = false }: Escape, parent: Reading): Reading | undefined {
  const source = parent.text;
  if (sign !== undefined && !source.includes(sign)) return undefined;
  const pieces: number[] = [];
  const parts: string[] = [];
  let length = 0;
  let copiedTo = 0;
  // Not by `matchAll`, which makes another pattern of its own for each text. The end of a search sets this one back.
  for (let found = pattern.exec(source); found !== null; found = pattern.exec(source)) {
    const { 0: match, index } = found;
    const spellings = read(match);
    if (spellings === undefined) continue;
    parts.push(source.slice(copiedTo, index));
    length += index - copiedTo;
    copiedTo = index;
    for (const { meaning, width } of spellings) {
      pieces.push(length, length + meaning.length, copiedTo, copiedTo + width);
      parts.push(meaning);
      length += meaning.length;
      copiedTo += width;
    }
  }
  if (pieces.length === 0) return undefined;
  parts.push(source.slice(copiedTo));
  return new Reading(parts.join(''), { parent, pieces, joins });
}

// --- the kinds --------------------------------------------------------------------------------------------

/** Of JSON, JavaScript, YAML, `util.inspect` and Python. */
const BACKSLASH: Escape = {
  sign: '\\',
  pattern: /(?:\\x[\da-f]{2})+|\\u[\da-f]{4}|\\u\{[\da-f]{1,6}\}|\\[^]/gi,
  read(match) {
    const kind = match.charAt(1);
    if (kind === 'x' && match.length > 2) return bytesIn(match, /\\x([\da-f]{2})/gi, 16);
    if (kind === 'u' && match.length > 2)
      return whole(match, Number.parseInt(match.replace(/[\\u{}]/g, ''), 16));
    return [{ meaning: CONTROLS[kind] ?? kind, width: match.length }];
  },
};

const CONTROLS: Readonly<Record<string, string>> = {
  n: '\n',
  r: '\r',
  t: '\t',
  b: '\b',
  f: '\f',
  v: '\v',
  0: '\0',
};

/** RFC 3986, and what JavaScript's old `escape` writes. */
const PERCENT: Escape = {
  sign: '%',
  pattern: /(?:%[\da-f]{2})+|%u[\da-f]{4}/gi,
  read: (match) =>
    match.charAt(1) === 'u'
      ? whole(match, Number.parseInt(match.slice(2), 16))
      : bytesIn(match, /%([\da-f]{2})/gi, 16),
};

/** Likewise, with a plus for a space. */
const FORM: Escape = {
  sign: '+',
  pattern: /\+|(?:%[\da-f]{2})+/gi,
  read: (match) => (match === '+' ? [{ meaning: ' ', width: 1 }] : PERCENT.read(match)),
};

/** HTML and XML. */
const REFERENCE: Escape = {
  sign: '&',
  pattern: /&#\d{1,7};?|&#x[\da-f]{1,6};?|&[a-z][a-z\d]{1,31};/gi,
  read(match) {
    const name = match.slice(1).replace(/;$/, '');
    if (!name.startsWith('#')) {
      const meaning = HTML_NAMES.get(name);
      return meaning === undefined ? undefined : [{ meaning, width: match.length }];
    }
    const isHex = /^#x/i.test(name);
    return whole(match, Number.parseInt(name.slice(isHex ? 2 : 1), isHex ? 16 : 10));
  },
};

/** RFC 2045, section 6.7; a `=` at the end of a line stands for nothing. */
const QUOTED_PRINTABLE: Escape = {
  sign: '=',
  pattern: /(?:=[\da-f]{2})+|=[ \t]*\r?\n/gi,
  read: (match) =>
    match.endsWith('\n') ? [{ meaning: '', width: match.length }] : bytesIn(match, /=([\da-f]{2})/gi, 16),
};

/** UTF-16 read as something else. */
const NUL: Escape = {
  sign: '\0',
  pattern: /\0/g,
  read: () => [{ meaning: '', width: 1 }],
};

/** A text that was broken over lines of code, as `util.inspect` does. */
const CONCATENATION: Escape = {
  sign: '+',
  pattern: /'[ \t]*\+[ \t]*\r?\n[ \t]*'|"[ \t]*\+[ \t]*\r?\n[ \t]*"/g,
  read: (match) => [{ meaning: '', width: match.length }],
};

/** Bytes in hexadecimal with something between them: a fingerprint, a `<Buffer 70 61 …>`, a list in C. */
const SPACED_HEX: Escape = {
  sign: undefined,
  pattern: /\b(?:0x)?[\da-f]{2}(?:[\s:,-]{1,4}(?:0x)?[\da-f]{2}\b){3,}/gi,
  read: (match) => {
    const spellings = bytesIn(match, /(?:0x)?([\da-f]{2})(?:[\s:,-]{1,4}|$)/gi, 16);
    return spellings !== undefined && isTextual(spellings) ? spellings : undefined;
  },
};

/** Bytes as numbers: what JSON makes of a `Buffer` (a list) and of a `Uint8Array` (an object with indices). */
const DECIMAL_BYTES: Escape = {
  sign: ',',
  pattern:
    /(?:"\d{1,6}"\s{0,2}:\s{0,2})?\b\d{1,3}(?:\s{0,16},\s{0,16}(?:"\d{1,6}"\s{0,2}:\s{0,2})?\d{1,3}\b){3,}/g,
  read: (match) => bytesIn(match, /(?:"\d{1,6}"\s{0,2}:\s{0,2})?(\d{1,3})(?:\s{0,16},\s{0,16}|$)/g, 10),
};

/** Lines of PEM (RFC 7468) and MIME (RFC 2045), of whatever length. */
const LINES: Escape = {
  sign: '\n',
  pattern: /(?<=[\w+/=-])[ \t]{0,16}\r?\n[ \t]{0,16}(?=[\w+/=-])/g,
  read: (match) => [{ meaning: '', width: match.length }],
  joins: true,
};

const ESCAPES: readonly Escape[] = [
  BACKSLASH,
  PERCENT,
  FORM,
  REFERENCE,
  QUOTED_PRINTABLE,
  NUL,
  CONCATENATION,
  SPACED_HEX,
  DECIMAL_BYTES,
  LINES,
];

function whole(match: string, codePoint: number): readonly Spelling[] | undefined {
  if (codePoint > 0x10_ffff) return undefined;
  return [{ meaning: String.fromCodePoint(codePoint), width: match.length }];
}

/** A date with its time reads as bytes, too; but hardly any four of them in a row are characters of a text. */
const TEXTUAL = /(?:\P{Cc}|\s){4}/u;

/** Whether there is room in it for the shortest value that is looked for, also in UTF-16. */
function isTextual(spellings: readonly Spelling[]): boolean {
  const text = spellings.map(({ meaning }) => (meaning === '\0' ? '' : meaning)).join('');
  return TEXTUAL.test(text);
}

/** Bytes in a row, as UTF-8 where they are that, else one character each. Undefined if a number is no byte. */
function bytesIn(match: string, one: RegExp, base: 10 | 16): readonly Spelling[] | undefined {
  const bytes: number[] = [];
  const widths: number[] = [];
  for (let found = one.exec(match); found !== null; found = one.exec(match)) {
    const byte = Number.parseInt(found[1] ?? '', base);
    if (byte > 0xff) return undefined;
    bytes.push(byte);
    widths.push(found[0].length);
  }
  const spellings: Spelling[] = [];
  for (let index = 0; index < bytes.length;) {
    const length = sequenceLength(bytes, index);
    let width = 0;
    for (let at = index; at < index + length; at += 1) width += widths[at] ?? 0;
    const meaning =
      length === 1
        ? String.fromCharCode(bytes[index] ?? 0)
        : Buffer.from(bytes.slice(index, index + length)).toString('utf8');
    spellings.push({ meaning, width });
    index += length;
  }
  return spellings;
}

/** How many bytes make the character that begins here: 1 for what is not UTF-8 (RFC 3629, section 3). */
function sequenceLength(bytes: readonly number[], start: number): number {
  const first = bytes[start] ?? 0;
  if (first < 0xc2) return 1;
  const length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  const following = bytes.slice(start + 1, start + length);
  return following.length === length - 1 && following.every((byte) => (byte & 0xc0) === 0x80) ? length : 1;
}
