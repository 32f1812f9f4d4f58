/** Shorter values are not searched for: replacing every `abc` in every text would destroy the text. */
export const MIN_SEARCHED_LENGTH = 4;

/** Shorter values are searched for as whole words alone: `test` is a part of too many. */
const MIN_ANYWHERE_LENGTH = 8;

/** Shorter lines of a value are not searched for on their own: they may be anybody's words. */
const MIN_LINE_LENGTH = 16;

/** Bound on the lines of one value; a key file of 256 KiB has so many. */
const MAX_LINES = 4_096;

/** Longer values are not tokens or keys; each further form of one costs a pass over it. */
const MAX_RESPELLED_LENGTH = 16_384;

/**
 * How a form is told from anybody's words. A `word` counts where no letter or digit stands beside it; `encoded`
 * bytes are nobody's words, and are found over line breaks, too.
 */
export type FormKind = 'word' | 'plain' | 'encoded';

/**
 * What has to be searched for, so that a value is found as it is, in another layout, in hex and in base64. Escapes are
 * none of it: the reader undoes them (`readingsOf`).
 */
export function formsOf(value: string): Map<string, FormKind> {
  const forms = new Map<string, FormKind>();
  const add = (kind: FormKind, texts: readonly string[]): void => {
    for (const text of texts) {
      if (text.length >= MIN_SEARCHED_LENGTH && !forms.has(text)) forms.set(text, kind);
    }
  };
  add(value.length < MIN_ANYWHERE_LENGTH ? 'word' : 'plain', layoutsOf(value));
  add('encoded', bodiesOf(value));
  add('encoded', misreadingsOf(value));
  for (const spelling of value.length > MAX_RESPELLED_LENGTH ? [value] : spellingsOf(value)) {
    add('encoded', encodingsOf(Buffer.from(spelling)));
  }
  if (value.length > MAX_RESPELLED_LENGTH) return forms;
  // PowerShell encodes the UTF-16 of a command; a Basic header within a document that is encoded, too, is so twice.
  add('encoded', base64Forms(Buffer.from(value, 'utf16le')));
  add(
    'encoded',
    base64Forms(Buffer.from(value)).flatMap((once) => base64Forms(Buffer.from(once))),
  );
  return forms;
}

/**
 * Line breaks; a PEM pasted into one line carries the two characters \n instead, escaped up to twice more. Without
 * a bound on the backslashes, a long run of them would be read anew from each of its places.
 */
const LINE_BREAK = /\\{1,4}r\\{1,4}n|\\{1,4}[rn]|\r\n|\r|\n/;

const PEM_ARMOUR = /-----(?:BEGIN|END) [A-Z0-9 ]+-----/;

/** Of PEM (RFC 7468) and of MIME (RFC 2045). */
const BASE64_LINE_LENGTHS = [64, 76] as const;

/** The value with its white space and line breaks as other hands may have set them, and its longer lines. */
function layoutsOf(value: string): string[] {
  const layouts = [value, value.replace(/[\p{C}\p{Z}]+/gu, ' ').trim()];
  const lines = value.split(LINE_BREAK);
  if (lines.length === 1) return layouts;
  return [...layouts, lines.join('\n'), lines.join('\r\n'), ...longLines(lines)];
}

/** Bytes of another encoding, taken for Latin 1: all that is beyond ASCII looks different then. */
function misreadingsOf(value: string): string[] {
  if (!/[^\0-\x7f]/.test(value)) return [];
  const misread = (encoding: 'utf8' | 'utf16le'): string => Buffer.from(value, encoding).toString('latin1');
  // A reader drops the zeros of UTF-16, for they are in nearly every character of it.
  return [misread('utf8'), misread('utf16le').replaceAll('\0', '')];
}

/** Of a key: what stands between the armour, on one line and in the lines that other tools would make of it. */
function bodiesOf(value: string): string[] {
  if (!LINE_BREAK.test(value) && !PEM_ARMOUR.test(value)) return [];
  return base64Bodies(value).flatMap((body) => [
    body,
    ...longLines(BASE64_LINE_LENGTHS.flatMap((length) => wrapped(body, length))),
  ]);
}

/** Lines that are long enough to be told from anybody's words. Armour is the same for every key. */
function longLines(lines: readonly string[]): string[] {
  return lines
    .map((line) => line.trim())
    .filter((line) => line.length >= MIN_LINE_LENGTH && !line.startsWith('-----'))
    .slice(0, MAX_LINES);
}

/** What stands between the armour of each block, without white space and RFC 1421 headers (`DEK-Info: …`). */
function base64Bodies(value: string): string[] {
  return value
    .split(PEM_ARMOUR)
    .map((block) => block.split(LINE_BREAK).filter((line) => !line.includes(':')))
    .map((lines) => lines.join('').replace(/\s+/g, ''))
    .filter((body) => body.length >= MIN_LINE_LENGTH && /^[A-Za-z0-9+/]+=*$/.test(body));
}

function wrapped(text: string, length: number): string[] {
  return Array.from({ length: Math.ceil(text.length / length) }, (_, index) =>
    text.slice(index * length, (index + 1) * length),
  );
}

/** What is encoded as a whole may have been escaped before: the claims of a JWT are JSON, a body may be a form. */
function spellingsOf(value: string): Set<string> {
  const json = JSON.stringify(value).slice(1, -1);
  // A lone surrogate has no URL form; such a value can't have been sent in one either.
  if (!value.isWellFormed()) return new Set([value, json]);
  const form = new URLSearchParams({ v: value }).toString().slice(2);
  return new Set([value, json, encodeURIComponent(value), form]);
}

function encodingsOf(bytes: Buffer): string[] {
  const hex = bytes.toString('hex');
  return [hex, hex.toUpperCase(), ...base64Forms(bytes)];
}

/** Base64 and base64url at each of the three byte offsets. */
function base64Forms(bytes: Buffer): string[] {
  const base64 = [0, 1, 2].map((offset) => base64Core(bytes, offset));
  return [...base64, ...base64.map((encoded) => encoded.replaceAll('+', '-').replaceAll('/', '_'))];
}

/** The base64 characters that depend on `bytes` alone when `offset` (0–2) unknown bytes stand before them. */
function base64Core(bytes: Buffer, offset: number): string {
  const encoded = Buffer.concat([Buffer.alloc(offset), bytes]).toString('base64');
  const start = offset === 0 ? 0 : offset + 1;
  const wholeBits = (offset + bytes.length) * 8;
  return encoded.slice(start, Math.floor(wholeBits / 6));
}
