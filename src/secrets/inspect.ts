import { wrap, type WireError } from '../kit/errors.ts';
import { secretError } from './errors.ts';
import type { Lookup } from './lookup.ts';
import { traitsOf, type SecretTraits } from './traits.ts';

/** What can be said of a reference without using what it leads to. */
export interface Inspection {
  readonly reference: string;
  /** The provider reference behind a bare name; undefined if there is none. */
  readonly name: string | undefined;
  readonly provider: string | undefined;
  readonly outcome:
    | {
        readonly resolves: true;
        readonly place: string;
        readonly traits: SecretTraits;
        readonly canBeWritten: boolean;
      }
    | { readonly resolves: false; readonly error: WireError };
}

/** Reads a secret and forgets it: nothing but what is said of it leaves. Rejects with the signal's reason alone. */
export async function inspectSecret(
  lookup: Lookup,
  reference: string,
  protect: (value: string) => unknown,
  signal: AbortSignal,
): Promise<Inspection> {
  const facts = { reference, name: lookup.nameOf(reference), provider: undefined };
  try {
    const { name, scheme, locator, provider } = lookup.find(reference);
    try {
      const { value, place } = await provider.read(locator, signal);
      if (value === '') throw secretError('secret-empty', `The secret ${reference} is empty.`);
      // The place is a text of the store's; it may not tell the value either.
      protect(value);
      const canBeWritten = provider.write !== undefined;
      return {
        ...facts,
        provider: scheme,
        outcome: { resolves: true, place, traits: traitsOf(value), canBeWritten },
      };
    } catch (thrown) {
      signal.throwIfAborted();
      return { ...facts, name, provider: scheme, outcome: { resolves: false, error: wrap(thrown).toWire() } };
    }
  } catch (thrown) {
    signal.throwIfAborted();
    return { ...facts, outcome: { resolves: false, error: wrap(thrown).toWire() } };
  }
}
