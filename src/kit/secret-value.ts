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
