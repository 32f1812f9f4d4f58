import { inspect } from 'node:util';

/** What a secret prints as, everywhere. */
export const MASK = '[secret]';

/**
 * A value that must not be printed. `reveal()` alone gives it; string conversion, JSON and `util.inspect`
 * say `[secret]`.
 */
export class Secret {
  readonly #value: string;

  constructor(value: string) {
    this.#value = value;
  }

  reveal(): string {
    return this.#value;
  }

  toString(): string {
    return MASK;
  }

  toJSON(): string {
    return MASK;
  }

  [inspect.custom](): string {
    return MASK;
  }
}

/** Shorter values are not searched for: replacing every `abc` in every text would destroy the text. */
const MIN_SCRUBBED_LENGTH = 4;

/** Shorter ones may be a part of anybody's words: whether one is sent is asked of whole words alone. */
const MIN_LOOSE_LENGTH = 16;

/** Shorter lines of a value are not searched for on their own: they may be anybody's words. */
const MIN_LINE_LENGTH = 16;

/** Longer values are found as they are, in JSON, and by their lines; all forms of them would fill the memory. */
const MAX_EXPANDED_LENGTH = 65_536;

/** Bound on the lines of one value; a key file of 256 KiB has so many. */
const MAX_LINES = 4_096;

/** Bound on the values a redactor remembers; the oldest goes first. Tokens are renewed, so the set would grow. */
const MAX_REMEMBERED_VALUES = 1_000;

/** Bound on nesting followed by `scrubDeep`; what lies deeper is replaced whole. */
const MAX_SCRUB_DEPTH = 32;

/** Enough random characters to tell forms apart behind an ending that many share, such as `%3D%3D`. */
const LONG_ENDING = 12;

/**
 * Replaces known secret values in any text that leaves: logs, errors, results. It goes by value, not by field
 * name, because a value turns up where no list of names expects it (in a mirrored header, in another's message).
 *
 * Forms are found by their endings in one pass over the text, so the cost of a line does not grow with the number
 * of secrets, and registering one does not rebuild anything. One large regular expression was tried: with a
 * thousand values it took seconds to compile, after every new token.
 */
export class Redactor {
  /** By value; the oldest first. */
  readonly #values = new Map<string, Remembered>();
  /** Likewise; these are never forgotten. */
  readonly #pinned = new Map<string, Remembered>();
  readonly #long = new FormIndex(LONG_ENDING);
  readonly #short = new FormIndex(MIN_SCRUBBED_LENGTH);

  /**
   * Remembers a value together with the forms in which it is likely to be seen. Returns it as a `Secret`.
   *
   * @param pinned remembered for good: for the few values that are in use from start to end
   * @param origins where the value may be sent, beside where it was said before that it may; none at all: nowhere.
   *   Not given: nobody has said yet
   */
  register(value: string, { pinned = false, origins }: RegisterOptions = {}): Secret {
    if (value.length >= MIN_SCRUBBED_LENGTH) {
      const remembered = this.#pinned.get(value) ?? this.#values.get(value) ?? this.#learn(value);
      if (origins !== undefined) remembered.origins = new Set([...(remembered.origins ?? []), ...origins]);
      // Re-adding moves the value to the young end, so that a secret in use is never the one that is forgotten.
      this.#values.delete(value);
      const place = pinned || this.#pinned.has(value) ? this.#pinned : this.#values;
      place.set(value, remembered);
      if (this.#values.size > MAX_REMEMBERED_VALUES) this.#forgetOldest();
    }
    return new Secret(value);
  }

  /** Whether the text holds, in any form, a value that may be sent elsewhere and not to this origin. */
  isBoundElsewhere(text: string, origin: string): boolean {
    for (const { start, end, holders } of [...this.#long.findIn(text), ...this.#short.findIn(text)]) {
      const isFree = holders.some(({ origins }) => origins === undefined || origins.has(origin));
      if (isFree) continue;
      const found = text.slice(start, end);
      // What is encoded stands in the middle of other letters, and is nobody's word.
      const isTelling = found.length >= MIN_LOOSE_LENGTH || !holders.some(({ value }) => value === found);
      if (isTelling || isWhole(text, start, end)) return true;
    }
    return false;
  }

  scrub(text: string): string {
    const found = [...this.#long.findIn(text), ...this.#short.findIn(text)];
    if (found.length === 0) return text;
    found.sort((one, other) => one.start - other.start);
    let scrubbed = '';
    let copiedTo = 0;
    for (const { start, end } of found) {
      // What overlaps the last one goes under the same mask: its remainder would be a piece of a secret.
      if (start >= copiedTo) scrubbed += text.slice(copiedTo, start) + MASK;
      copiedTo = Math.max(copiedTo, end);
    }
    return scrubbed + text.slice(copiedTo);
  }

  /** A copy of plain data (JSON values, errors) with every string scrubbed, keys included. */
  scrubDeep(value: unknown): unknown {
    return this.#scrubDeep(value, 0, new Map());
  }

  #learn(value: string): Remembered {
    const forms = [...formsOf(value)].filter((form) => form.length >= MIN_SCRUBBED_LENGTH);
    const remembered: Remembered = { value, forms, origins: undefined };
    for (const form of forms) this.#indexOf(form).add(form, remembered);
    return remembered;
  }

  #forgetOldest(): void {
    for (const [oldest, remembered] of this.#values) {
      this.#values.delete(oldest);
      for (const form of remembered.forms) this.#indexOf(form).remove(form, remembered);
      return;
    }
  }

  #indexOf(form: string): FormIndex {
    return form.length < LONG_ENDING ? this.#short : this.#long;
  }

  #scrubDeep(value: unknown, depth: number, seen: Map<object, unknown>): unknown {
    if (typeof value === 'string') return this.scrub(value);
    if (typeof value !== 'object' || value === null) return value;
    if (value instanceof Secret) return MASK;
    if (depth >= MAX_SCRUB_DEPTH) return '[too deep]';
    if (seen.has(value)) return seen.get(value);
    // Stands for the value while its members are copied: what leads back to it is a circle.
    seen.set(value, '[circular]');
    const copy = this.#copyOf(value, (item) => this.#scrubDeep(item, depth + 1, seen));
    seen.set(value, copy);
    return copy;
  }

  #copyOf(value: object, scrubItem: (item: unknown) => unknown): unknown {
    if (Array.isArray(value)) return value.map(scrubItem);
    const members = Object.entries(value).map(([key, item]) => [this.scrub(key), scrubItem(item)] as const);
    if (!(value instanceof Error)) return Object.fromEntries(members);
    return {
      ...Object.fromEntries(members),
      type: value.name,
      message: this.scrub(value.message),
      ...(value.stack === undefined ? {} : { stack: this.scrub(value.stack) }),
      ...(value.cause === undefined ? {} : { cause: scrubItem(value.cause) }),
    };
  }
}

export interface RegisterOptions {
  pinned?: boolean;
  origins?: readonly string[];
}

/** What is known of a value. */
interface Remembered {
  readonly value: string;
  readonly forms: readonly string[];
  origins: ReadonlySet<string> | undefined;
}

/** Where a form stands in a text, from `start` to before `end`, and whose form it is. */
interface Found {
  start: number;
  end: number;
  holders: readonly Remembered[];
}

/** Whether what is found is no part of a longer word. */
function isWhole(text: string, start: number, end: number): boolean {
  return !/\w/.test(text.charAt(start - 1)) && !/\w/.test(text.charAt(end));
}

/**
 * Forms by the hash of their last characters. By their first ones it would be a slow search: a thousand JWTs of
 * one issuer begin alike, and they end in their signatures.
 */
class FormIndex {
  /** Number of characters hashed; no form is shorter. */
  readonly #ending: number;
  /** What a character has been multiplied by when it leaves the hash. */
  readonly #leavingFactor: number;
  /** Hash of the ending → the forms that end so, each with the values that have it. */
  readonly #byEnding = new Map<number, Map<string, readonly Remembered[]>>();

  constructor(ending: number) {
    this.#ending = ending;
    let factor = 1;
    for (let count = 0; count < ending; count += 1) factor = Math.imul(factor, HASH_FACTOR);
    this.#leavingFactor = factor;
  }

  add(form: string, holder: Remembered): void {
    const key = hashOf(form.slice(-this.#ending));
    const forms = this.#byEnding.get(key) ?? new Map<string, readonly Remembered[]>();
    this.#byEnding.set(key, forms);
    forms.set(form, [...(forms.get(form) ?? []), holder]);
  }

  remove(form: string, holder: Remembered): void {
    const key = hashOf(form.slice(-this.#ending));
    const forms = this.#byEnding.get(key);
    const holders = (forms?.get(form) ?? []).filter((one) => one !== holder);
    if (holders.length > 0) forms?.set(form, holders);
    else forms?.delete(form);
    if (forms?.size === 0) this.#byEnding.delete(key);
  }

  /**
   * At each place the longest form that ends there. A form is not looked for within its own last find: of a long
   * run of one character, every place would be compared at full length.
   */
  *findIn(text: string): Generator<Found> {
    if (this.#byEnding.size === 0) return;
    const lastEnd = new Map<string, number>();
    let hash = 0;
    for (let end = 1; end <= text.length; end += 1) {
      hash = (Math.imul(hash, HASH_FACTOR) + text.charCodeAt(end - 1)) | 0;
      const leaving = end - 1 - this.#ending;
      if (leaving >= 0) hash = (hash - Math.imul(text.charCodeAt(leaving), this.#leavingFactor)) | 0;
      const forms = this.#byEnding.get(hash);
      if (forms === undefined) continue;
      const form = longestEndingAt(text, end, forms.keys(), lastEnd);
      if (form === undefined) continue;
      lastEnd.set(form, end);
      yield { start: end - form.length, end, holders: forms.get(form) ?? [] };
    }
  }
}

/** Of two secrets where one ends the other, the longer has to go. */
function longestEndingAt(
  text: string,
  end: number,
  forms: Iterable<string>,
  lastEnd: ReadonlyMap<string, number>,
): string | undefined {
  let longest: string | undefined;
  for (const form of forms) {
    const start = end - form.length;
    if (start < 0 || form.length <= (longest?.length ?? 0)) continue;
    if (start >= (lastEnd.get(form) ?? 0) && text.startsWith(form, start)) longest = form;
  }
  return longest;
}

/** The prime of the 32-bit FNV hash; any odd number without a pattern would do. */
const HASH_FACTOR = 0x0100_0193;

/** A polynomial over the characters, because its value moves along a text at two multiplications a step. */
function hashOf(text: string): number {
  let hash = 0;
  for (let index = 0; index < text.length; index += 1) {
    hash = (Math.imul(hash, HASH_FACTOR) + text.charCodeAt(index)) | 0;
  }
  return hash;
}

/** A value in each layout and each escape, and its bytes in hex and base64. */
function formsOf(value: string): Set<string> {
  if (value.length > MAX_EXPANDED_LENGTH) {
    return new Set([value, inJson(value), ...longLines(value.split(LINE_BREAK))]);
  }
  return new Set([...layoutsOf(value).flatMap((layout) => escapesOf(layout)), ...encodingsOf(value)]);
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
  if (lines.length === 1 && !PEM_ARMOUR.test(value)) return layouts;
  const bodies = base64Bodies(value);
  const rewrapped = bodies.flatMap((body) => BASE64_LINE_LENGTHS.flatMap((length) => wrapped(body, length)));
  return [
    ...layouts,
    lines.join('\n'),
    lines.join('\r\n'),
    ...longLines(lines),
    ...bodies,
    ...longLines(rewrapped),
  ];
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

/** As it is, and within JSON, JSON within JSON, HTML and URLs. */
function escapesOf(text: string): string[] {
  const json = inJson(text);
  return [
    text,
    json,
    inJson(json),
    json.replaceAll('/', String.raw`\/`),
    inHtmlSafeJson(json),
    inHtmlSafeJson(json)
      .replaceAll(String.raw`\u003c`, String.raw`\u003C`)
      .replaceAll(String.raw`\u003e`, String.raw`\u003E`),
    ...htmlForms(text),
    // A lone surrogate has no URL form; such a value can't have been sent in one either.
    ...(text.isWellFormed() ? urlForms(text) : []),
  ];
}

function inJson(text: string): string {
  return JSON.stringify(text).slice(1, -1);
}

/** As encoders write JSON that may come to stand in a page. */
function inHtmlSafeJson(json: string): string {
  return json
    .replaceAll('&', String.raw`\u0026`)
    .replaceAll('<', String.raw`\u003c`)
    .replaceAll('>', String.raw`\u003e`);
}

/** Quotes are escaped by some encoders, and the single one in several ways. */
function htmlForms(text: string): string[] {
  const content = text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
  const attribute = content.replaceAll('"', '&quot;');
  return [
    content,
    attribute,
    ...['&#39;', '&#x27;', '&apos;'].map((quote) => attribute.replaceAll("'", quote)),
  ];
}

/** Encoded once, and once more: a server may mirror the form that it was sent as a part of a URL. */
function urlForms(text: string): string[] {
  const once = urlEncoded(text);
  const inLowerCase = once.map((form) => form.replace(/%[0-9A-F]{2}/g, (escape) => escape.toLowerCase()));
  return [...once, ...inLowerCase, ...once.flatMap(urlEncoded)];
}

/** As a part of a path, and as a form writes it. */
function urlEncoded(text: string): string[] {
  return [encodeURIComponent(text), new URLSearchParams({ v: text }).toString().slice(2)];
}

/** Hex, and base64 and base64url at each of the three byte offsets. */
function encodingsOf(value: string): string[] {
  const bytes = Buffer.from(value, 'utf8');
  const hex = bytes.toString('hex');
  const base64 = [0, 1, 2].map((offset) => base64Core(bytes, offset));
  const base64url = base64.map((encoded) => encoded.replaceAll('+', '-').replaceAll('/', '_'));
  return [hex, hex.toUpperCase(), ...base64, ...base64url];
}

/** The base64 characters that depend on `bytes` alone when `offset` (0–2) unknown bytes stand before them. */
function base64Core(bytes: Buffer, offset: number): string {
  const encoded = Buffer.concat([Buffer.alloc(offset), bytes]).toString('base64');
  const start = offset === 0 ? 0 : offset + 1;
  const wholeBits = (offset + bytes.length) * 8;
  return encoded.slice(start, Math.floor(wholeBits / 6));
}
