/**
 * Looks for secrets in a text as somebody would who wants them: undoes what usually hides a value, and looks for the
 * value itself. The redactor goes the other way, from the value to its forms; the two share no code, so that a mistake
 * of one is not a mistake of both.
 */

/** Values up to here may be a part of anybody's words: they count where no letter or digit stands beside them. */
const MAX_WORD_LENGTH = 16;
/** So few characters come about by chance, where something is decoded that was never encoded. */
const MIN_DECODED_LENGTH = 8;
/** How many encodings may lie upon each other: a Basic header in a document that is itself encoded has two. */
const MAX_DEPTH = 2;

type Decoder = (text: string) => readonly string[];

const DECODERS: readonly Decoder[] = [
  (text) =>
    changed(
      text,
      text.replaceAll(/\\u([\da-f]{4})/gi, (_, hex: string) => character(hex)),
    ),
  (text) => changed(text, text.replaceAll(/\\(["\\/])/g, '$1').replaceAll(/\\[nrt]/g, '\n')),
  (text) =>
    changed(
      text,
      text.replaceAll(/(?:%[\da-f]{2})+/gi, (run) => bytesText(run.replaceAll('%', ''))),
    ),
  (text) => changed(text, text.replaceAll('+', ' ')),
  (text) => changed(text, text.replaceAll(/\s+/g, '')),
  (text) =>
    Array.from(text.matchAll(/[\da-f]{8,}/gi), ([run]) => [bytesText(run), bytesText(run.slice(1))]).flat(),
  (text) =>
    Array.from(text.matchAll(/[\w+/-]{6,}/g), ([run]) =>
      [0, 1, 2, 3].map((from) => Buffer.from(run.slice(from), 'base64').toString('utf8')),
    ).flat(),
];

/** Which of the values are in the text, in whatever way: their places in the list. */
export function findValues(text: string, values: readonly string[]): number[] {
  const readings = readingsOf(text);
  return values.flatMap((value, index) => {
    const asked = value.length < MIN_DECODED_LENGTH ? [text] : readings;
    return asked.some((reading) => holds(reading, value)) ? [index] : [];
  });
}

/** The text, and what it becomes when encodings are undone. */
function readingsOf(text: string): readonly string[] {
  const seen = new Set([text]);
  let layer: readonly string[] = [text];
  for (let depth = 0; depth < MAX_DEPTH; depth += 1) {
    const decoded = layer.flatMap((one) => DECODERS.map((decode) => decode(one).join('\n')));
    layer = decoded.filter((one) => one !== '' && !seen.has(one));
    for (const one of layer) seen.add(one);
  }
  return [...seen];
}

function holds(text: string, value: string): boolean {
  for (let at = text.indexOf(value); at !== -1; at = text.indexOf(value, at + 1)) {
    if (value.length > MAX_WORD_LENGTH || isWhole(text, at, at + value.length)) return true;
  }
  return false;
}

const WORD = /[\p{L}\p{N}_]/u;

function isWhole(text: string, start: number, end: number): boolean {
  return !WORD.test(text.charAt(start - 1)) && !WORD.test(text.charAt(end));
}

function changed(before: string, after: string): readonly string[] {
  return before === after ? [] : [after];
}

function character(hex: string): string {
  return String.fromCharCode(Number.parseInt(hex, 16));
}

function bytesText(hex: string): string {
  return Buffer.from(hex, 'hex').toString('utf8');
}
