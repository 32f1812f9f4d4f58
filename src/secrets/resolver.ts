import { reasonOf, type DelegateError } from '../kit/errors.ts';
import type { Secret } from '../kit/secret.ts';
import { secretError } from './errors.ts';
import type { SecretsLog } from './log.ts';

/**
 * One kind of place where secrets are kept. `read` gets the part of a reference after the provider's name and
 * answers the value, or rejects with one of the errors of this room.
 */
export interface Provider {
  read(locator: string, signal: AbortSignal): Promise<string>;
  /**
   * Replaces the value of a secret that is there: whatever happens, there is the old one or the new. Resolves when the
   * new one would survive a power cut; rejects, saying why, if it can't be. Undefined: these can't be written at all.
   */
  readonly write: ((locator: string, value: string) => Promise<void>) | undefined;
}

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
   * @param reference `env:NAME`, `file:relative/path`, or a bare name that the configuration maps to one of them
   * Rejects with `secret-reference-invalid`, `secret-not-found`, `secret-unreadable`, `secret-empty` or what `admit` says.
   */
  resolve(reference: string, use: SecretUse): Promise<Secret>;
  /**
   * Puts a new value in the place of the one that the reference leads to. False if the customer has not allowed that
   * for this reference, or if it can't be done, which is logged; never rejects.
   */
  replace(reference: string, value: Secret): Promise<boolean>;
}

export interface ResolverOptions {
  providers: Readonly<Record<string, Provider>>;
  /** Bare names and the provider references that they stand for. */
  names: Readonly<Record<string, string>>;
  /** The provider references whose values may be replaced. */
  writable: readonly string[];
  /** Whether the secret of this provider reference may go there; rejects with a `policy` error if not. */
  admit: (name: string, origins: readonly string[], signal: AbortSignal) => Promise<void>;
  protect: (value: string, origins: readonly string[]) => Secret;
  log: SecretsLog;
}

const BARE_NAME = /^[A-Za-z_][A-Za-z0-9_.-]{0,127}$/;
const PROVIDER_REFERENCE = /^([a-z][a-z0-9-]{0,31}):(.{1,512})$/;

export function createResolver(options: ResolverOptions): SecretResolver {
  const { providers, names, admit, protect, log } = options;
  const writable = new Set(options.writable);
  const find = (target: string, reference: string): { provider: Provider; locator: string } => {
    const [, scheme = '', locator = ''] = PROVIDER_REFERENCE.exec(target) ?? [];
    const provider = Object.hasOwn(providers, scheme) ? providers[scheme] : undefined;
    if (provider === undefined) throw invalidReference(reference, Object.keys(providers));
    return { provider, locator };
  };
  return {
    async resolve(reference, { signal, origins, onUse }) {
      const target = targetOf(reference, names);
      if (target === undefined) throw notMapped(reference);
      const { provider, locator } = find(target, reference);
      await admit(target, origins, signal);
      const value = await provider.read(locator, signal);
      if (value === '') throw emptySecret(reference);
      onUse?.(target);
      return protect(value, origins);
    },
    async replace(reference, value) {
      const target = targetOf(reference, names);
      // What passes here is the operator's own word, and may be printed.
      if (target === undefined || !writable.has(target)) return false;
      try {
        const { provider, locator } = find(target, reference);
        if (provider.write === undefined) throw new Error('secrets of this kind cannot be written');
        await provider.write(locator, value.reveal());
        log.info({ reference: target }, 'a secret was replaced by the one that a server gave in its place');
        return true;
      } catch (thrown) {
        log.warn({ reference: target, why: reasonOf(thrown) }, 'a secret that may be replaced could not be');
        return false;
      }
    },
  };
}

/** The provider reference; undefined for a bare name that is not mapped. */
function targetOf(reference: string, names: Readonly<Record<string, string>>): string | undefined {
  if (!BARE_NAME.test(reference)) return reference;
  return Object.hasOwn(names, reference) ? names[reference] : undefined;
}

function notMapped(name: string): DelegateError {
  return secretError('secret-not-found', 'A secret name is not mapped on this delegate.', {
    hint: `Map the name in the delegate's configuration under secretNames, to env:NAME or file:relative/path. A value never belongs here.`,
    details: { length: name.length },
  });
}

/** Nothing of it is quoted, nor of a name that is not mapped: it may be a password, pasted where its name belongs. */
function invalidReference(reference: string, schemes: readonly string[]): DelegateError {
  return secretError('secret-reference-invalid', 'A secret reference is not valid: no provider has it.', {
    hint: `Give ${schemes.map((name) => `${name}:…`).join(' or ')}, or a name mapped under secretNames. A value never belongs here.`,
    details: { length: reference.length },
  });
}

export function invalidLocator(reference: string, why: string): DelegateError {
  return secretError('secret-reference-invalid', `The secret reference ${reference} is not valid: ${why}.`, {
    details: { reference },
  });
}

export function secretNotFound(reference: string, message: string, hint: string): DelegateError {
  return secretError('secret-not-found', message, { hint, details: { reference } });
}

function emptySecret(reference: string): DelegateError {
  return secretError('secret-empty', `The secret ${reference} is empty.`, { details: { reference } });
}
