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

/** Bound on the values a redactor remembers; the oldest goes first. Tokens are renewed, so the set would grow. */
const MAX_REMEMBERED_VALUES = 1_000;

/** Bound on nesting followed by `scrubDeep`; what lies deeper is replaced whole. */
const MAX_SCRUB_DEPTH = 32;

/**
 * Replaces known secret values in any text that leaves: logs, errors, results. It goes by value, not by field
 * name, because a value turns up where no list of names expects it (in a mirrored header, in another's message).
 *
 * Forms are found by their first two characters in one pass over the text, so the cost of a line does not grow
 * with the number of secrets, and registering one does not rebuild anything. One large regular expression was
 * tried: with a thousand values it took seconds to compile, after every new token.
 */
export class Redactor {
  /** Value → its forms; the oldest first. */
  readonly #values = new Map<string, readonly string[]>();
  /** First two characters of a form → the forms that begin so, each with the number of values that have it. */
  readonly #byPrefix = new Map<number, Map<string, number>>();

  /** Remembers a value together with the forms in which it is likely to be seen. Returns it as a `Secret`. */
  register(value: string): Secret {
    if (value.length >= MIN_SCRUBBED_LENGTH) {
      const known = this.#values.get(value);
      const forms = known ?? [...formsOf(value)];
      // Re-adding moves the value to the young end, so that a secret in use is never the one that is forgotten.
      this.#values.delete(value);
      this.#values.set(value, forms);
      if (known === undefined) this.#remember(forms);
      if (this.#values.size > MAX_REMEMBERED_VALUES) this.#forgetOldest();
    }
    return new Secret(value);
  }

  scrub(text: string): string {
    let scrubbed = '';
    let copiedTo = 0;
    for (let index = 0; index <= text.length - MIN_SCRUBBED_LENGTH;) {
      const length = this.#matchAt(text, index);
      if (length === 0) {
        index += 1;
      } else {
        scrubbed += text.slice(copiedTo, index) + MASK;
        index += length;
        copiedTo = index;
      }
    }
    return copiedTo === 0 ? text : scrubbed + text.slice(copiedTo);
  }

  /** A copy of plain data (JSON values, errors) with every string scrubbed, keys included. */
  scrubDeep(value: unknown): unknown {
    return this.#scrubDeep(value, 0, new Map());
  }

  /** The length of the longest form at this place: of two secrets where one begins the other, all must go. */
  #matchAt(text: string, index: number): number {
    let longest = 0;
    const candidates = this.#byPrefix.get(prefixAt(text, index));
    if (candidates === undefined) return longest;
    for (const form of candidates.keys()) {
      if (form.length > longest && text.startsWith(form, index)) longest = form.length;
    }
    return longest;
  }

  #remember(forms: readonly string[]): void {
    for (const form of forms) {
      const prefix = prefixAt(form, 0);
      const bucket = this.#byPrefix.get(prefix) ?? new Map<string, number>();
      this.#byPrefix.set(prefix, bucket);
      bucket.set(form, (bucket.get(form) ?? 0) + 1);
    }
  }

  #forgetOldest(): void {
    for (const [oldest, forms] of this.#values) {
      this.#values.delete(oldest);
      for (const form of forms) {
        const bucket = this.#byPrefix.get(prefixAt(form, 0));
        const holders = (bucket?.get(form) ?? 1) - 1;
        if (holders > 0) bucket?.set(form, holders);
        else bucket?.delete(form);
      }
      return;
    }
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

function prefixAt(text: string, index: number): number {
  return text.charCodeAt(index) * 0x1_0000 + text.charCodeAt(index + 1);
}

/** Raw, JSON-escaped, URL-encoded, hex, and base64 and base64url at each of the three byte offsets. */
function formsOf(value: string): Set<string> {
  const json = JSON.stringify(value).slice(1, -1);
  const bytes = Buffer.from(value, 'utf8');
  const hex = bytes.toString('hex');
  const forms = new Set([value, json, json.replaceAll('/', String.raw`\/`), hex, hex.toUpperCase()]);
  // A PEM pasted into one line carries the two characters \n for a line break; logs escape them once more.
  forms.add(JSON.stringify(json).slice(1, -1));
  // A lone surrogate has no URL form; such a value can't have been sent in one either.
  if (value.isWellFormed()) {
    for (const encoded of [
      encodeURIComponent(value),
      new URLSearchParams({ v: value }).toString().slice(2),
    ]) {
      forms.add(encoded);
      forms.add(encoded.replace(/%[0-9A-F]{2}/g, (escape) => escape.toLowerCase()));
    }
  }
  for (const offset of [0, 1, 2]) {
    const encoded = base64Core(bytes, offset);
    if (encoded.length < MIN_SCRUBBED_LENGTH) continue;
    forms.add(encoded);
    forms.add(encoded.replaceAll('+', '-').replaceAll('/', '_'));
  }
  return forms;
}

/** The base64 characters that depend on `bytes` alone when `offset` (0–2) unknown bytes stand before them. */
function base64Core(bytes: Buffer, offset: number): string {
  const encoded = Buffer.concat([Buffer.alloc(offset), bytes]).toString('base64');
  const start = offset === 0 ? 0 : offset + 1;
  const wholeBits = (offset + bytes.length) * 8;
  return encoded.slice(start, Math.floor(wholeBits / 6));
}
