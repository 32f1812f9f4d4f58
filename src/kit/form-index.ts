/** Where a form stands in a text, from `start` to before `end`, and what was said of it. */
export interface Found<H> {
  readonly start: number;
  readonly end: number;
  readonly holders: readonly H[];
}

/** The prime of the 32-bit FNV hash, and another odd number without a pattern: two hashes make one of 64 bits. */
const FACTOR = 0x0100_0193;
const OTHER_FACTOR = 0x9e37_79b1;

/** A power of two. A thousand values in twenty forms each leave two thirds of them free. */
const MARKS = 65_536;

/** Of the second hash: both together fit into the 53 bits of a number. */
const KEPT_BITS = 21;

/** A text whose parts are hashed in constant time each, once its prefixes have been. */
export class HashedText {
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

/**
 * Forms by the hash of their last characters, then by length, then by the hash of the whole. By their first characters
 * it would be a slow search: a thousand JWTs of one issuer begin alike, and they end in their signatures. Where many
 * do end alike, a place in a text costs one look for each length among them, whatever their number.
 *
 * No form is kept as a text, so that a thousand long tokens in a dozen forms each stay small. A hash may be hit by
 * something else: that is masked for nothing, once in 2^53 looks. A form itself is never missed.
 */
export class FormIndex<H> {
  /** Number of characters hashed; no form is shorter. */
  readonly #ending: number;
  readonly #endingPower: number;
  readonly #byEnding = new Map<number, Map<number, SameLength<H>>>();
  /** A bit for each hash of an ending that was ever added: a place without one, as nearly all, is passed in a step. */
  readonly #marks = new Uint32Array(MARKS / 32);

  constructor(ending: number) {
    this.#ending = ending;
    this.#endingPower = power(FACTOR, ending);
  }

  add(form: string, holder: H): void {
    const ending = this.#hashOfEnding(form);
    const mark = markOf(ending);
    this.#marks[mark >>> 5] = (this.#marks[mark >>> 5] ?? 0) | (1 << (mark & 31));
    const byLength = this.#byEnding.get(ending) ?? new Map<number, SameLength<H>>();
    this.#byEnding.set(ending, byLength);
    const same = byLength.get(form.length) ?? {
      powers: { one: power(FACTOR, form.length), other: power(OTHER_FACTOR, form.length) },
      byDigest: new Map<number, readonly H[]>(),
    };
    byLength.set(form.length, same);
    const digest = digestOf(form);
    same.byDigest.set(digest, [...(same.byDigest.get(digest) ?? []), holder]);
  }

  remove(form: string, holder: H): void {
    const ending = this.#hashOfEnding(form);
    const byLength = this.#byEnding.get(ending);
    const same = byLength?.get(form.length);
    if (byLength === undefined || same === undefined) return;
    const digest = digestOf(form);
    const holders = (same.byDigest.get(digest) ?? []).filter((one) => one !== holder);
    if (holders.length > 0) same.byDigest.set(digest, holders);
    else same.byDigest.delete(digest);
    if (same.byDigest.size === 0) byLength.delete(form.length);
    if (byLength.size === 0) this.#byEnding.delete(ending);
  }

  /** Everything that ends at each place, in the order of the places. */
  *findIn(hashed: HashedText): Generator<Found<H>> {
    if (this.#byEnding.size === 0) return;
    const { text } = hashed;
    const ending = this.#ending;
    const endingPower = this.#endingPower;
    const marks = this.#marks;
    let hash = 0;
    for (let end = 1; end <= text.length; end += 1) {
      hash = (Math.imul(hash, FACTOR) + text.charCodeAt(end - 1)) | 0;
      if (end > ending) hash = (hash - Math.imul(text.charCodeAt(end - 1 - ending), endingPower)) | 0;
      const mark = markOf(hash);
      if (((marks[mark >>> 5] ?? 0) & (1 << (mark & 31))) === 0) continue;
      const byLength = this.#byEnding.get(hash);
      if (byLength === undefined) continue;
      for (const [length, { powers, byDigest }] of byLength) {
        if (length > end) continue;
        const holders = byDigest.get(hashed.digest(end - length, end, powers));
        if (holders !== undefined) yield { start: end - length, end, holders };
      }
    }
  }

  #hashOfEnding(form: string): number {
    return hashOf(form.slice(-this.#ending), FACTOR);
  }
}

interface SameLength<H> {
  readonly powers: Powers;
  readonly byDigest: Map<number, readonly H[]>;
}

/** The high bits of a product: those of a hash itself say little about a short form's first characters. */
function markOf(hash: number): number {
  return Math.imul(hash, OTHER_FACTOR) >>> 16;
}

/** A polynomial over the characters, because its value moves along a text at two multiplications a step. */
function hashOf(text: string, factor: number): number {
  let hash = 0;
  for (let index = 0; index < text.length; index += 1) {
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
