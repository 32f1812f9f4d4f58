import { MIN_SEARCHED_LENGTH } from '../../kit/secret-forms.ts';
import { Redactor, type Secret } from '../../kit/secret.ts';

type RegisterOptions = Parameters<Redactor['register']>[1];

/**
 * A redactor that also remembers, in the clear, what it was told to hide: so that somebody else than the redactor can
 * look whether it is hidden. For a command that ends soon; a delegate in service keeps no such list.
 */
export class KnownSecrets extends Redactor {
  readonly #values = new Set<string>();

  override register(value: string, options?: RegisterOptions): Secret {
    if (value.length >= MIN_SEARCHED_LENGTH) this.#values.add(value);
    // Never forgotten: the very first is to be hidden in the last line, too.
    return super.register(value, { ...options, pinned: true });
  }

  /** Every value, in the order in which they came. */
  values(): readonly string[] {
    return [...this.#values];
  }
}
