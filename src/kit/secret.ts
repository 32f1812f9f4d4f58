import { inspect } from 'node:util';

/** What a secret prints as, everywhere. */
export const MASK = '[secret]';

/**
 * A value that must not be printed. `reveal()` alone gives it; string conversion, JSON, `util.inspect` and the
 * debugger's property list say `[secret]` or nothing.
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
 */
export class Redactor {
  readonly #values = new Set<string>();
  #pattern: RegExp | undefined;

  /** Remembers a value together with the forms in which it is likely to be seen. Returns it as a `Secret`. */
  register(value: string): Secret {
    if (value.length >= MIN_SCRUBBED_LENGTH) {
      // Re-adding moves the value to the young end, so that a secret in use is never the one that is forgotten.
      this.#values.delete(value);
      this.#values.add(value);
      if (this.#values.size > MAX_REMEMBERED_VALUES) {
        for (const oldest of this.#values) {
          this.#values.delete(oldest);
          break;
        }
      }
      this.#pattern = undefined;
    }
    return new Secret(value);
  }

  scrub(text: string): string {
    if (this.#values.size === 0 || text.length < MIN_SCRUBBED_LENGTH) return text;
    this.#pattern ??= patternOf(this.#values);
    return text.replace(this.#pattern, MASK);
  }

  /** A copy of plain data (JSON values, errors) with every string scrubbed, keys included. */
  scrubDeep(value: unknown): unknown {
    return this.#scrubDeep(value, 0);
  }

  #scrubDeep(value: unknown, depth: number): unknown {
    if (typeof value === 'string') return this.scrub(value);
    if (typeof value !== 'object' || value === null) return value;
    if (value instanceof Secret) return MASK;
    if (depth >= MAX_SCRUB_DEPTH) return '[too deep]';
    if (Array.isArray(value)) return value.map((item) => this.#scrubDeep(item, depth + 1));
    if (value instanceof Error) return this.#scrubError(value, depth);
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => [this.scrub(key), this.#scrubDeep(item, depth + 1)]),
    );
  }

  #scrubError(error: Error, depth: number): Record<string, unknown> {
    return {
      type: error.name,
      message: this.scrub(error.message),
      ...(error.stack === undefined ? {} : { stack: this.scrub(error.stack) }),
      ...(error.cause === undefined ? {} : { cause: this.#scrubDeep(error.cause, depth + 1) }),
      ...Object.fromEntries(
        Object.entries(error)
          .filter(([key]) => !['name', 'message', 'stack', 'cause'].includes(key))
          .map(([key, item]) => [key, this.#scrubDeep(item, depth + 1)]),
      ),
    };
  }
}

function patternOf(values: ReadonlySet<string>): RegExp {
  const forms = new Set<string>();
  for (const value of values) for (const form of formsOf(value)) forms.add(form);
  // Longest first: of two secrets where one begins with the other, the whole of the longer one must go.
  const alternatives = [...forms].sort((a, b) => b.length - a.length).map(escapeForRegExp);
  return new RegExp(alternatives.join('|'), 'g');
}

/** Raw, JSON-escaped, URL (both dialects), hex, and base64 and base64url at each of the three byte offsets. */
function* formsOf(value: string): Iterable<string> {
  yield value;
  const json = JSON.stringify(value).slice(1, -1);
  yield json;
  // A PEM pasted into one line carries the two characters \n for a line break; logs escape them once more.
  yield JSON.stringify(json).slice(1, -1);
  // A lone surrogate has no URL form; such a value can't have been sent in one either.
  if (value.isWellFormed()) {
    yield encodeURIComponent(value);
    yield new URLSearchParams({ v: value }).toString().slice(2);
  }
  const bytes = Buffer.from(value, 'utf8');
  yield bytes.toString('hex');
  for (const offset of [0, 1, 2]) {
    const encoded = base64Core(bytes, offset);
    if (encoded.length < MIN_SCRUBBED_LENGTH) continue;
    yield encoded;
    yield encoded.replaceAll('+', '-').replaceAll('/', '_');
  }
}

/** The base64 characters that depend on `bytes` alone when `offset` (0–2) unknown bytes stand before them. */
function base64Core(bytes: Buffer, offset: number): string {
  const encoded = Buffer.concat([Buffer.alloc(offset), bytes]).toString('base64');
  const start = offset === 0 ? 0 : offset + 1;
  const wholeBits = (offset + bytes.length) * 8;
  return encoded.slice(start, Math.floor(wholeBits / 6));
}

function escapeForRegExp(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/-]/g, String.raw`\$&`);
}
