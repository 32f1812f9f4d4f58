import { DelegateError, reasonOf } from '../kit/errors.ts';
import type { Secret } from '../kit/secret.ts';
import { secretError } from './errors.ts';
import type { SecretsLog } from './log.ts';
import type { Lookup } from './lookup.ts';
import { traitsOf } from './traits.ts';

/** A value is written by hand at most once an hour or so; the token server's answer can't be had again. */
const WRITE_WITHIN_MS = 30_000;

/** What a value is wanted for. */
export interface SecretUse {
  readonly signal: AbortSignal;
  /** Where it is meant to go, and may go; none: it is used on this machine alone. */
  readonly origins: readonly string[];
  /** Told the provider reference, once the value is allowed and there. */
  readonly onUse?: (name: string) => void;
}

export interface SecretResolver {
  /**
   * @param reference such as `env:NAME` or `file:relative/path`, or a bare name that the configuration maps to one
   * Rejects with an error of this room, or what `admit` says.
   */
  resolve(reference: string, use: SecretUse): Promise<Secret>;
  /**
   * Puts a new value in the place of the one that the reference leads to. False if the customer has not allowed that
   * for this reference, or if it can't be done, which is logged; never rejects.
   */
  replace(reference: string, value: Secret): Promise<boolean>;
}

export interface ResolverOptions {
  lookup: Lookup;
  /** The provider references whose values may be replaced. */
  writable: readonly string[];
  /** Whether the secret of this provider reference may go there; rejects with a `policy` error if not. */
  admit: (name: string, origins: readonly string[], signal: AbortSignal) => Promise<void>;
  /** Told of each value that was found, before anybody gets it: rejects if it must not be handed out after all. */
  pin?: ((name: string, origins: readonly string[], signal: AbortSignal) => Promise<void>) | undefined;
  protect: (value: string, origins: readonly string[]) => Secret;
  log: SecretsLog;
}

export function createResolver(options: ResolverOptions): SecretResolver {
  const { lookup, admit, pin, protect, log } = options;
  const writable = new Set(options.writable);
  const warned = new Set<string>();
  /** Once for each reference, however often it is read. */
  const warnOfShort = (name: string, value: string): void => {
    if (warned.has(name) || !traitsOf(value).isShort) return;
    warned.add(name);
    log.warn(
      { code: 'secret-short', reference: name },
      'this secret is too short to be found in every text that it must not stand in',
    );
  };
  return {
    async resolve(reference, { signal, origins, onUse }) {
      const { name, provider, locator } = lookup.find(reference);
      await admit(name, origins, signal);
      const { value } = await provider.read(locator, signal);
      if (value === '') throw emptySecret(reference);
      await pin?.(name, origins, signal);
      onUse?.(name);
      const secret = protect(value, origins);
      warnOfShort(name, value);
      return secret;
    },
    async replace(reference, value) {
      const name = lookup.nameOf(reference);
      // What passes here is the operator's own word, and may be printed.
      if (name === undefined || !writable.has(name)) return false;
      try {
        const { provider, locator } = lookup.find(name);
        if (provider.write === undefined) throw new Error('secrets of this kind cannot be written');
        await provider.write(locator, value.reveal(), AbortSignal.timeout(WRITE_WITHIN_MS));
        log.info({ reference: name }, 'a secret was replaced by the one that a server gave in its place');
        return true;
      } catch (thrown) {
        const remedy = thrown instanceof DelegateError ? { code: thrown.code, hint: thrown.hint } : {};
        log.warn(
          { reference: name, why: reasonOf(thrown), ...remedy },
          'a secret that may be replaced could not be',
        );
        return false;
      }
    },
  };
}

function emptySecret(reference: string): DelegateError {
  return secretError('secret-empty', `The secret ${reference} is empty.`, { details: { reference } });
}
