import { readingsOf } from './escapes.ts';
import { FormIndex } from './form-index.ts';
import { formsOf, MIN_SEARCHED_LENGTH, type FormKind } from './secret-forms.ts';
import { MASK, Secret } from './secret-value.ts';

/** Shorter ones may be a part of anybody's words: whether one is sent is asked of whole words alone. */
const MIN_LOOSE_LENGTH = 16;

/** Bound on the values a redactor remembers; the oldest goes first. Tokens are renewed, so the set would grow. */
const MAX_REMEMBERED_VALUES = 1_000;

/** Bound on nesting followed by `scrubDeep`; what lies deeper is replaced whole. */
const MAX_SCRUB_DEPTH = 32;

/** Of data that is looked at in one piece, in characters, and the readings of it: below every bound of `readingsOf`. */
const MAX_LENGTH_AT_ONCE = 65_536;
const MAX_READINGS_AT_ONCE = 12;
/** Stands between texts that are looked at together: part of no escape, of no word, and of nothing that is joined. */
const BETWEEN_TEXTS = '\u0001';

/**
 * Replaces known secret values in any text that leaves: logs, errors, results. It goes by value, not by field
 * name, because a value turns up where no list of names expects it (in a mirrored header, in another's message).
 *
 * A text is read as it is and with its escapes undone, and in each reading the forms of all values are found by their
 * endings in one pass. So the cost of a line does not grow with the number of secrets, and registering one does not
 * rebuild anything. One large regular expression was tried: with a thousand values it took seconds to compile, after
 * every new token.
 */
export class Redactor {
  /** By value; the oldest first. */
  readonly #values = new Map<string, Remembered>();
  /** Likewise; what servers issue has a bound of its own: one that issues thousands makes nobody forget the others. */
  readonly #issued = new Map<string, Remembered>();
  /** Likewise; these are never forgotten. */
  readonly #pinned = new Map<string, Remembered>();
  /** How many values were ever learned. */
  #learned = 0;
  /** By a value in which nothing was found, how many were known then. */
  readonly #cleanSince = new WeakMap<object, number>();
  readonly #forms = new FormIndex<Holder>();

  /**
   * Remembers a value together with the forms in which it is likely to be seen. Returns it as a `Secret`.
   *
   * @param pinned remembered for good: for the few values that are in use from start to end
   * @param issued made by a server, as a token is, and as many as it likes
   * @param origins where the value may be sent, beside where it was said before that it may; none at all: nowhere.
   *   Not given: nobody has said yet
   */
  register(value: string, { pinned = false, issued = false, origins }: RegisterOptions = {}): Secret {
    if (value.length >= MIN_SEARCHED_LENGTH) {
      const known = this.#placeOf(value);
      const remembered = known?.get(value) ?? this.#learn(value);
      if (origins !== undefined) remembered.origins = new Set([...(remembered.origins ?? []), ...origins]);
      // Re-adding moves the value to the young end, so that a secret in use is never the one that is forgotten.
      known?.delete(value);
      const unpinned = issued ? (known ?? this.#issued) : this.#values;
      const place = pinned || known === this.#pinned ? this.#pinned : unpinned;
      place.set(value, remembered);
      if (place !== this.#pinned && place.size > MAX_REMEMBERED_VALUES) this.#forgetOldest(place);
    }
    return new Secret(value);
  }

  /** Lets a value that is remembered be sent there, too; of any other nothing is remembered. */
  permit(value: string, origins: readonly string[]): void {
    const remembered = this.#placeOf(value)?.get(value);
    // Of which nobody has said where it may go, it may go there already.
    if (remembered?.origins !== undefined) remembered.origins = new Set([...remembered.origins, ...origins]);
  }

  /**
   * Whether the text holds, in any form, a value that may be sent elsewhere and not to this origin. Within another value
   * that may go there it may: a token has the names of user and client in it because whoever issued it wrote them there.
   */
  isBoundElsewhere(text: string, origin: string): boolean {
    for (const reading of readingsOf(text)) {
      const bound: Range[] = [];
      const free: Range[] = [];
      for (const { start, end, holders } of this.#forms.findIn(reading.text)) {
        const isTelling = (kind: FormKind): boolean =>
          kind === 'encoded' ||
          (!reading.joins && (end - start >= MIN_LOOSE_LENGTH || isWhole(reading.text, start, end)));
        const meant = holders.filter(({ kind }) => isTelling(kind));
        if (meant.some(({ of: { origins } }) => origins?.has(origin) === true)) free.push({ start, end });
        else if (meant.length > 0 && meant.every(({ of: { origins } }) => origins !== undefined)) {
          bound.push({ start, end });
        }
      }
      const isWithinFree = ({ start, end }: Range): boolean =>
        free.some((one) => one.start <= start && end <= one.end);
      if (!bound.every(isWithinFree)) return true;
    }
    return false;
  }

  /**
   * @param said what the reader of the text has said itself, asked for when something is found. What stands in it letter
   *   for letter is left: it is no news to them, and a mask in its place would confirm a guess. Texts of strangers are
   *   scrubbed without it
   */
  scrub(text: string, said?: () => string): string {
    return masked(text, this.#rangesIn(text, said));
  }

  /** The first `length` characters, scrubbed, and the rest as it is. A value that is partly in both goes with the first. */
  scrubUpTo(text: string, length: number): { scrubbed: string; rest: string } {
    const found = this.#rangesIn(text);
    const cut = found.find(({ start, end }) => start < length && end > length)?.end ?? length;
    const before = found.filter(({ end }) => end <= cut);
    return { scrubbed: masked(text.slice(0, cut), before), rest: text.slice(cut) };
  }

  /**
   * One JSON text, which stays one: a number that is a secret becomes a string, and no escape is cut in half.
   * Undefined if it can't be kept JSON.
   */
  scrubJson(json: string): string | undefined {
    const scrubbed = this.scrub(json);
    if (scrubbed === json || parsed(scrubbed) !== undefined) return scrubbed;
    const value = parsed(json);
    if (value === undefined) return undefined;
    const rewritten = JSON.stringify(this.scrubDeep(value.json));
    // Found across what separates the members, a value is in none of them.
    return this.#rangesIn(rewritten).length === 0 ? rewritten : undefined;
  }

  /**
   * A copy of plain data (JSON values, errors, bytes, collections) with every string scrubbed, keys included. A number
   * that is a secret, and bytes that hold one, are replaced whole.
   *
   * @param said as in `scrub`
   */
  scrubDeep(value: unknown, said?: () => string): unknown {
    if (this.#isKnownClean(value)) return value;
    return this.#scrubDeep(value, { depth: 0, seen: new Map(), said });
  }

  /**
   * As `scrubDeep`, for a value that nobody changes from here on: one in which nothing was found is not searched again
   * before there is something else to look for. A result passes several such doors.
   */
  scrubFinal(value: unknown, said?: () => string): unknown {
    if (typeof value !== 'object' || value === null) return this.scrubDeep(value, said);
    if (this.#cleanSince.get(value) === this.#learned) return value;
    const scrubbed = this.scrubDeep(value, said);
    if (scrubbed === value) this.#cleanSince.set(value, this.#learned);
    return scrubbed;
  }

  #learn(value: string): Remembered {
    this.#learned += 1;
    const remembered = new Remembered();
    for (const [form, kind] of formsOf(value)) this.#forms.add(form, remembered.as[kind]);
    return remembered;
  }

  #placeOf(value: string): Map<string, Remembered> | undefined {
    return [this.#pinned, this.#values, this.#issued].find((place) => place.has(value));
  }

  #forgetOldest(place: Map<string, Remembered>): void {
    for (const [oldest, remembered] of place) {
      place.delete(oldest);
      for (const [form, kind] of formsOf(oldest)) this.#forms.remove(form, remembered.as[kind]);
      return;
    }
  }

  /**
   * Whether plain JSON is certain to hold nothing: told by all its texts in one, at a fifth of what each of them alone
   * would cost. Not of what can be read in more ways than are tried of every text: there they are looked at alone.
   */
  #isKnownClean(value: unknown): boolean {
    const texts: string[] = [];
    if (!collectTexts(value, MAX_SCRUB_DEPTH, texts)) return false;
    const all = texts.join(BETWEEN_TEXTS);
    if (all.length > MAX_LENGTH_AT_ONCE) return false;
    let readings = 0;
    for (const { text } of readingsOf(all)) {
      readings += 1;
      if (readings > MAX_READINGS_AT_ONCE || this.#forms.findIn(text).next().done !== true) return false;
    }
    return true;
  }

  /** What has to go, in order. What overlaps goes under one mask: its remainder would be a piece of a secret. */
  #rangesIn(text: string, said?: () => string): Range[] {
    const ranges: Range[] = [];
    for (const reading of readingsOf(text)) {
      for (const { start, end, holders } of this.#forms.findIn(reading.text)) {
        const isMeant = ({ kind }: Holder): boolean =>
          kind === 'encoded' || (!reading.joins && (kind === 'plain' || isWhole(reading.text, start, end)));
        if (!holders.some(isMeant)) continue;
        const range = reading.sourceOf(start, end);
        const isSaid = (words: string): boolean => said?.().includes(words) === true;
        if (isSaid(reading.text.slice(start, end)) || isSaid(text.slice(range.start, range.end))) continue;
        // Of a long run of one character every place is found: merged at once, they need no room.
        include(ranges, range);
      }
    }
    const inOrder = ranges.toSorted((one, other) => one.start - other.start);
    const merged: Range[] = [];
    for (const range of inOrder) include(merged, range);
    return merged;
  }

  #scrubDeep(value: unknown, walk: Walk): unknown {
    if (typeof value === 'string') return this.scrub(value, walk.said);
    if (typeof value === 'number' || typeof value === 'bigint') {
      return this.#rangesIn(String(value), walk.said).length > 0 ? MASK : value;
    }
    if (typeof value !== 'object' || value === null) return value;
    if (value instanceof Secret) return MASK;
    if (walk.depth >= MAX_SCRUB_DEPTH) return '[too deep]';
    if (walk.seen.has(value)) return walk.seen.get(value);
    // Stands for the value while its members are copied: what leads back to it is a circle.
    walk.seen.set(value, '[circular]');
    const deeper = { ...walk, depth: walk.depth + 1 };
    const copy = this.#copyOf(value, (item) => this.#scrubDeep(item, deeper), walk.said);
    walk.seen.set(value, copy);
    return copy;
  }

  #copyOf(value: object, scrubItem: (item: unknown) => unknown, said: (() => string) | undefined): unknown {
    const bytes = bytesOf(value);
    if (bytes !== undefined && this.#isIn(bytes)) return MASK;
    if (ArrayBuffer.isView(value)) return bytes === undefined ? {} : [...bytes];
    if (Array.isArray(value)) return value.map(scrubItem);
    if (value instanceof Map || value instanceof Set) return [...value].map(scrubItem);
    if (value instanceof Date || value instanceof URL) return scrubItem(value.toJSON());
    const members = Object.entries(value).map(
      ([key, item]) => [this.scrub(key, said), scrubItem(item)] as const,
    );
    if (!(value instanceof Error)) return Object.fromEntries(members);
    return {
      ...Object.fromEntries(members),
      type: value.name,
      message: scrubItem(value.message),
      ...(value.stack === undefined ? {} : { stack: scrubItem(value.stack) }),
      ...(value.cause === undefined ? {} : { cause: scrubItem(value.cause) }),
    };
  }

  #isIn(bytes: Buffer): boolean {
    const encodings = ['utf8', 'utf16le', 'latin1'] as const;
    return encodings.some((encoding) => this.#rangesIn(bytes.toString(encoding)).length > 0);
  }
}

export interface RegisterOptions {
  pinned?: boolean;
  issued?: boolean;
  origins?: readonly string[];
}

/** What is known of a value. The value itself is the key that it is kept under, and nowhere else. */
class Remembered {
  origins: ReadonlySet<string> | undefined;
  readonly as: Readonly<Record<FormKind, Holder>> = {
    word: { kind: 'word', of: this },
    plain: { kind: 'plain', of: this },
    encoded: { kind: 'encoded', of: this },
  };
}

/** Whose form it is, and of which kind. */
interface Holder {
  readonly kind: FormKind;
  readonly of: Remembered;
}

interface Range {
  readonly start: number;
  readonly end: number;
}

interface Walk {
  readonly depth: number;
  /** By the original, its copy. */
  readonly seen: Map<object, unknown>;
  readonly said: (() => string) | undefined;
}

/** Into ranges that are in the order of their ends, or of their starts: so what it overlaps are the last ones. */
function include(ranges: Range[], { start, end }: Range): void {
  let merged = { start, end };
  for (let last = ranges.at(-1); last !== undefined && merged.start < last.end; last = ranges.at(-1)) {
    if (last.start >= merged.end) break;
    merged = { start: Math.min(last.start, merged.start), end: Math.max(last.end, merged.end) };
    ranges.pop();
  }
  ranges.push(merged);
}

function masked(text: string, ranges: readonly Range[]): string {
  let scrubbed = '';
  let copiedTo = 0;
  for (const { start, end } of ranges) {
    scrubbed += text.slice(copiedTo, start) + MASK;
    copiedTo = end;
  }
  return scrubbed + text.slice(copiedTo);
}

const LETTER = /[\p{L}\p{N}_]/u;

/** Whether what is found is no part of a longer word. */
function isWhole(text: string, start: number, end: number): boolean {
  const goesOn = (inside: number, outside: number): boolean =>
    LETTER.test(text.charAt(inside)) && LETTER.test(text.charAt(outside));
  return !goesOn(start, start - 1) && !goesOn(end - 1, end);
}

/** All that would be looked at in plain JSON, keys included. False for anything else, and for what may be bytes. */
function collectTexts(value: unknown, depth: number, texts: string[]): boolean {
  if (typeof value === 'string' || typeof value === 'number') {
    texts.push(String(value));
    return true;
  }
  if (typeof value !== 'object' || value === null) return value === null || typeof value === 'boolean';
  if (depth === 0) return false;
  if (Array.isArray(value)) {
    return bytesOf(value) === undefined && value.every((item) => collectTexts(item, depth - 1, texts));
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return false;
  for (const [key, item] of Object.entries(value)) {
    texts.push(key);
    if (item !== undefined && !collectTexts(item, depth - 1, texts)) return false;
  }
  return true;
}

/** Of a buffer, or of a list that can be nothing but bytes. */
function bytesOf(value: object): Buffer | undefined {
  if (ArrayBuffer.isView(value)) return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  if (!Array.isArray(value) || value.length < MIN_SEARCHED_LENGTH) return undefined;
  return value.every(isByte) ? Buffer.from(value) : undefined;
}

function isByte(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= 0xff;
}

function parsed(text: string): { json: unknown } | undefined {
  try {
    return { json: JSON.parse(text) };
  } catch {
    return undefined;
  }
}
