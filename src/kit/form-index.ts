import { MIN_SEARCHED_LENGTH } from './secret-forms.ts';

/** Where a form stands in a text, from `start` to before `end`, and what was said of it. */
export interface Found<H> {
  readonly start: number;
  readonly end: number;
  readonly holders: readonly H[];
}

/** The prime of the 32-bit FNV hash, and another odd number without a pattern: two hashes make one of 64 bits. */
const FACTOR = 0x0100_0193;
const OTHER_FACTOR = 0x9e37_79b1;

/** Of the second hash: both together fit into the 53 bits of a number. */
const KEPT_BITS = 21;

/** A text whose parts are hashed in constant time each, once its prefixes have been. */
class HashedText {
  readonly text: string;
  #prefixes: { readonly one: Int32Array; readonly other: Int32Array } | undefined;

  constructor(text: string) {
    this.text = text;
  }

  digest(start: number, end: number, { one, other }: Powers): number {
    const prefixes = (this.#prefixes ??= prefixesOf(this.text));
    return combined(
      (at(prefixes.one, end) - Math.imul(at(prefixes.one, start), one)) | 0,
      (at(prefixes.other, end) - Math.imul(at(prefixes.other, start), other)) | 0,
    );
  }
}

/** Both factors, raised to the number of characters of a form. */
interface Powers {
  readonly one: number;
  readonly other: number;
}

/** Enough random characters to tell forms apart behind an ending that many share, such as `%3D%3D`. */
const LONG_ENDING = 12;

/** Of `#marks`, in bits; a power of two. A thousand values in twenty forms each leave three quarters of them free. */
const MARKS = 65_536;

/**
 * Forms by their last characters, then by length, then by the hash of the whole. By their first characters it would be
 * a slow search: a thousand JWTs of one issuer begin alike, and they end in their signatures. Where many do end alike, a
 * place in a text costs one look for each length among them, whatever their number. Nearly every place costs one bit.
 *
 * No form is kept as a text, so that a thousand long tokens in a dozen forms each stay small. A hash may be hit by
 * something else: that is masked for nothing, once in 2^53 looks. A form itself is never missed.
 */
export class FormIndex<H> {
  /** A bit for the last characters of each form that was ever added. */
  readonly #marks = new Uint32Array(MARKS / 32);
  /** Forms of fewer characters than a long ending, by their last few. */
  readonly #short: ByEnding<H> = new Map();
  /** The others, by the hash of a long ending. */
  readonly #long: ByEnding<H> = new Map();

  add(form: string, holder: H): void {
    const recent = recentIn(form);
    const mark = markOf(recent);
    this.#marks[mark >>> 5] = (this.#marks[mark >>> 5] ?? 0) | (1 << (mark & 31));
    const { byEnding, ending } = this.#placeOf(form, recent);
    const byLength = byEnding.get(ending) ?? new Map<number, SameLength<H>>();
    byEnding.set(ending, byLength);
    const same = byLength.get(form.length) ?? {
      powers: { one: power(FACTOR, form.length), other: power(OTHER_FACTOR, form.length) },
      byDigest: new Map<number, readonly H[]>(),
    };
    byLength.set(form.length, same);
    const digest = digestOf(form);
    same.byDigest.set(digest, [...(same.byDigest.get(digest) ?? []), holder]);
  }

  remove(form: string, holder: H): void {
    const { byEnding, ending } = this.#placeOf(form, recentIn(form));
    const byLength = byEnding.get(ending);
    const same = byLength?.get(form.length);
    if (byLength === undefined || same === undefined) return;
    const digest = digestOf(form);
    const holders = (same.byDigest.get(digest) ?? []).filter((one) => one !== holder);
    if (holders.length > 0) same.byDigest.set(digest, holders);
    else same.byDigest.delete(digest);
    if (same.byDigest.size === 0) byLength.delete(form.length);
    if (byLength.size === 0) byEnding.delete(ending);
  }

  /** Everything that ends at each place, in the order of the places. */
  *findIn(text: string): Generator<Found<H>> {
    const hashed = new HashedText(text);
    for (let end = this.#markedFrom(text, 1); end !== undefined; end = this.#markedFrom(text, end + 1)) {
      yield* endingAt(this.#short.get(recentIn(text, end)), hashed, end);
      if (end < LONG_ENDING || this.#long.size === 0) continue;
      yield* endingAt(this.#long.get(hashOf(text, FACTOR, end - LONG_ENDING, end)), hashed, end);
    }
  }

  /** The first place from `end` on at which a form may end. Here nearly all of the time goes: so no generator. */
  #markedFrom(text: string, end: number): number | undefined {
    const marks = this.#marks;
    let recent = recentIn(text, end - 1);
    for (let place = end; place <= text.length; place += 1) {
      recent = moved(recent, text.charCodeAt(place - 1));
      const mark = markOf(recent);
      if (((marks[mark >>> 5] ?? 0) & (1 << (mark & 31))) !== 0) return place;
    }
    return undefined;
  }

  #placeOf(form: string, recent: number): { byEnding: ByEnding<H>; ending: number } {
    const { length } = form;
    if (length < LONG_ENDING) return { byEnding: this.#short, ending: recent };
    return { byEnding: this.#long, ending: hashOf(form, FACTOR, length - LONG_ENDING, length) };
  }
}

type ByEnding<H> = Map<number, Map<number, SameLength<H>>>;

function* endingAt<H>(
  byLength: ReadonlyMap<number, SameLength<H>> | undefined,
  hashed: HashedText,
  end: number,
): Generator<Found<H>> {
  if (byLength === undefined) return;
  for (const [length, { powers, byDigest }] of byLength) {
    if (length > end) continue;
    const holders = byDigest.get(hashed.digest(end - length, end, powers));
    if (holders !== undefined) yield { start: end - length, end, holders };
  }
}

interface SameLength<H> {
  readonly powers: Powers;
  readonly byDigest: Map<number, readonly H[]>;
}

/** The last few characters in one number: what came before them is shifted out. */
function moved(recent: number, char: number): number {
  return (recent << (32 / MIN_SEARCHED_LENGTH)) ^ char;
}

/** Of the characters before `end`; fewer where there are not so many. */
function recentIn(text: string, end = text.length): number {
  let recent = 0;
  for (let index = Math.max(0, end - MIN_SEARCHED_LENGTH); index < end; index += 1) {
    recent = moved(recent, text.charCodeAt(index));
  }
  return recent;
}

/** By the high bits of a product, in which all characters have a part. */
function markOf(recent: number): number {
  return Math.imul(recent, OTHER_FACTOR) >>> 16;
}

/** A polynomial over the characters, because its value moves along a text at two multiplications a step. */
function hashOf(text: string, factor: number, start = 0, end = text.length): number {
  let hash = 0;
  for (let index = start; index < end; index += 1) {
    hash = (Math.imul(hash, factor) + text.charCodeAt(index)) | 0;
  }
  return hash;
}

function digestOf(form: string): number {
  return combined(hashOf(form, FACTOR), hashOf(form, OTHER_FACTOR));
}

function combined(one: number, other: number): number {
  return (one >>> 0) * 2 ** KEPT_BITS + (other >>> (32 - KEPT_BITS));
}

/** Modulo 2^32, by squaring. */
function power(factor: number, exponent: number): number {
  let result = 1;
  for (let square = factor, rest = exponent; rest > 0; rest >>>= 1) {
    if ((rest & 1) === 1) result = Math.imul(result, square);
    square = Math.imul(square, square);
  }
  return result;
}

function prefixesOf(text: string): { one: Int32Array; other: Int32Array } {
  const one = new Int32Array(text.length + 1);
  const other = new Int32Array(text.length + 1);
  for (let index = 0; index < text.length; index += 1) {
    const char = text.charCodeAt(index);
    one[index + 1] = Math.imul(at(one, index), FACTOR) + char;
    other[index + 1] = Math.imul(at(other, index), OTHER_FACTOR) + char;
  }
  return { one, other };
}

function at(prefixes: Int32Array, index: number): number {
  return prefixes[index] ?? 0;
}
