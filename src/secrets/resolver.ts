import { DelegateError } from '../kit/errors.ts';
import type { Secret } from '../kit/secret.ts';

/**
 * One kind of place where secrets are kept. `read` gets the part of a reference after the provider's name and
 * answers the value, or rejects with one of the errors of this file.
 */
export interface Provider {
  read(locator: string, signal: AbortSignal): Promise<string>;
}

export interface SecretResolver {
  /**
   * @param reference `env:NAME`, `file:relative/path`, or a bare name that the configuration maps to one of them
   * Rejects with `secret-reference-invalid`, `secret-not-found`, `secret-unreadable` or `secret-empty`.
   */
  resolve(reference: string, signal: AbortSignal): Promise<Secret>;
}

const BARE_NAME = /^[A-Za-z_][A-Za-z0-9_.-]{0,127}$/;
const PROVIDER_REFERENCE = /^([a-z][a-z0-9-]{0,31}):(.{1,512})$/;

export function createResolver(
  providers: Readonly<Record<string, Provider>>,
  names: Readonly<Record<string, string>>,
  protect: (value: string) => Secret,
): SecretResolver {
  return {
    async resolve(reference, signal) {
      const target = BARE_NAME.test(reference) ? mapped(reference, names) : reference;
      const [, scheme = '', locator = ''] = PROVIDER_REFERENCE.exec(target) ?? [];
      const provider = Object.hasOwn(providers, scheme) ? providers[scheme] : undefined;
      if (provider === undefined) throw invalidReference(reference, Object.keys(providers));
      const value = await provider.read(locator, signal);
      if (value === '') throw emptySecret(reference);
      return protect(value);
    },
  };
}

function mapped(name: string, names: Readonly<Record<string, string>>): string {
  const target = Object.hasOwn(names, name) ? names[name] : undefined;
  if (target !== undefined) return target;
  throw new DelegateError('secret-not-found', 'A secret name is not mapped on this delegate.', {
    category: 'secret',
    hint: `Map the name in the delegate's configuration under secretNames, to env:NAME or file:relative/path. A value never belongs here.`,
    details: { length: name.length },
  });
}

/** Nothing of it is quoted, nor of a name that is not mapped: it may be a password, pasted where its name belongs. */
function invalidReference(reference: string, schemes: readonly string[]): DelegateError {
  return new DelegateError(
    'secret-reference-invalid',
    'A secret reference is not valid: no provider has it.',
    {
      category: 'secret',
      hint: `Give ${schemes.map((name) => `${name}:…`).join(' or ')}, or a name mapped under secretNames. A value never belongs here.`,
      details: { length: reference.length },
    },
  );
}

export function invalidLocator(reference: string, why: string): DelegateError {
  return new DelegateError(
    'secret-reference-invalid',
    `The secret reference ${reference} is not valid: ${why}.`,
    {
      category: 'secret',
      details: { reference },
    },
  );
}

export function secretNotFound(reference: string, message: string, hint: string): DelegateError {
  return new DelegateError('secret-not-found', message, { category: 'secret', hint, details: { reference } });
}

function emptySecret(reference: string): DelegateError {
  return new DelegateError('secret-empty', `The secret ${reference} is empty.`, {
    category: 'secret',
    hint: 'Put the value there; an empty one is never sent.',
    details: { reference },
  });
}
