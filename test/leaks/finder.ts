/**
 * Looks for secrets as a reader would who suspects them: it undoes every encoding that it can think of, in any order,
 * and looks for the value itself. It shares no code with the redactor, which goes the other way.
 */

/** How many encodings may lie upon each other. */
const MAX_DEPTH = 4;
/** Texts that are looked at for one output. */
const MAX_TEXTS = 3_000;

type Decoder = (text: string) => readonly string[];

const latin1 = (bytes: readonly number[]): string => Buffer.from(bytes).toString('latin1');

/** Both readings of bytes that are no text yet. */
function textsOf(bytes: Buffer): string[] {
  return [bytes.toString('utf8'), bytes.toString('utf16le'), bytes.subarray(1).toString('utf16le')];
}

function replaced(text: string, pattern: RegExp, by: (...groups: string[]) => string): string[] {
  if (!pattern.test(text)) return [];
  return [text.replace(pattern, (...parts) => by(...parts.filter((part) => typeof part === 'string')))];
}

const bytesOfHex = (hex: string): number[] => [...Buffer.from(hex.replace(/[^0-9a-f]/gi, ''), 'hex')];

const utf8 = (bytes: readonly number[]): string => Buffer.from(bytes).toString('utf8');

const SIMPLE: Readonly<Record<string, string>> = {
  n: '\n',
  r: '\r',
  t: '\t',
  b: '\b',
  f: '\f',
  v: '\v',
  0: '\0',
};

const NAMED: Readonly<Record<string, string>> = {
  amp: '&',
  lt: '<',
  gt: '>',
  quot: '"',
  apos: "'",
  auml: 'ä',
  ouml: 'ö',
  uuml: 'ü',
  Auml: 'Ä',
  szlig: 'ß',
  eacute: 'é',
  sect: '§',
  euro: '€',
  excl: '!',
  sol: '/',
  plus: '+',
  colon: ':',
  percnt: '%',
  num: '#',
  equals: '=',
  quest: '?',
  commat: '@',
  dollar: '$',
};

const DECODERS: readonly Decoder[] = [
  // Backslashes.
  (text) =>
    replaced(text, /\\u\{([\da-f]+)\}|\\u([\da-f]{4})|\\x([\da-f]{2})|\\([^ux])/gi, (match) => {
      const digits = /^\\[ux]\{?([\da-f]+)/i.exec(match)?.[1];
      if (digits !== undefined) return String.fromCodePoint(Number.parseInt(digits, 16));
      return SIMPLE[match.charAt(1)] ?? match.charAt(1);
    }),
  (text) => replaced(text, /(?:\\x[\da-f]{2})+/gi, (match) => utf8(bytesOfHex(match.replaceAll('x', '')))),
  // URLs.
  (text) => replaced(text, /(?:%[\da-f]{2})+/gi, (match) => utf8(bytesOfHex(match))),
  (text) =>
    replaced(text, /%u([\da-f]{4})/gi, (_, code = '') => String.fromCharCode(Number.parseInt(code, 16))),
  (text) => replaced(text, /\+/g, () => ' '),
  // Markup.
  (text) =>
    replaced(text, /&(#x?[\da-f]+|\w+);/gi, (match, name = '') => {
      if (!name.startsWith('#')) return NAMED[name] ?? match;
      const isHex = /^#x/i.test(name);
      return String.fromCodePoint(Number.parseInt(name.slice(isHex ? 2 : 1), isHex ? 16 : 10));
    }),
  // Mail.
  (text) => replaced(text.replace(/=\r?\n/g, ''), /(?:=[\da-f]{2})+/gi, (match) => utf8(bytesOfHex(match))),
  (text) =>
    /[\x80-\xff]/.test(text) && !/[^\0-\xff]/.test(text) ? textsOf(Buffer.from(text, 'latin1')) : [],
  // Code that was broken over lines; UTF-16 read as bytes; white space.
  (text) => replaced(text, /(['"])\s*\+\s*\1/g, () => ''),
  (text) => replaced(text, /\0/g, () => ''),
  (text) => replaced(text, /\s+/g, () => ''),
  // Bytes as numbers.
  (text) => replaced(text, /"\d+":(?=\d)/g, () => ''),
  (text) =>
    [...text.matchAll(/\d{1,3}(?:\s*,\s*\d{1,3})+/g)].flatMap(([list]) =>
      textsOf(Buffer.from(latin1(list.split(',').map(Number)), 'latin1')),
    ),
  // Hexadecimal, with and without something between the digits, from either of two places.
  (text) =>
    [...text.matchAll(/[\da-f]{2}(?:[\s:,-]*(?:0x)?[\da-f]{2}){5,}/gi)].flatMap(([run]) => {
      const digits = run.replace(/0x|[\s:,-]/gi, '');
      return [0, 1].flatMap((from) => textsOf(Buffer.from(digits.slice(from), 'hex')));
    }),
  // Base64 in both alphabets, from each of four places.
  (text) =>
    [...text.matchAll(/[\w+/-]{6,}/g)].flatMap(([run]) =>
      [0, 1, 2, 3].flatMap((from) => textsOf(Buffer.from(run.slice(from), 'base64'))),
    ),
];

/** Which of these pieces a text holds, in whatever way. */
export function piecesIn(text: string, pieces: readonly string[]): string[] {
  const found = new Set<string>();
  const seen = new Set([text]);
  let layer = [text];
  for (let depth = 0; depth <= MAX_DEPTH && layer.length > 0; depth += 1) {
    for (const one of layer) for (const piece of pieces) if (one.includes(piece)) found.add(piece);
    if (found.size > 0) break;
    const next: string[] = [];
    for (const decoded of layer.flatMap((one) => DECODERS.flatMap((decode) => decode(one)))) {
      if (seen.has(decoded) || decoded.length < 8 || seen.size >= MAX_TEXTS || !isText(decoded)) continue;
      seen.add(decoded);
      next.push(decoded);
    }
    layer = next;
  }
  return [...found];
}

/** What was decoded by mistake is full of what nobody writes; to decode that again finds nothing. */
function isText(text: string): boolean {
  const odd = text.match(/[^\P{Cc}\s\0]|[\ufffd\u3400-\ud7ff\ue000-\uf8ff]/gu)?.length ?? 0;
  return odd * 2 < text.length;
}
