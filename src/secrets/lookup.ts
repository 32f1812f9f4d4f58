import type { DelegateError } from '../kit/errors.ts';
import { secretError } from './errors.ts';
import type { Provider, ProviderKind, ProviderOptions } from './provider.ts';

/** Where a reference leads. */
export interface Target {
  /** The provider reference, never a bare name. */
  readonly name: string;
  readonly scheme: string;
  readonly locator: string;
  readonly provider: Provider;
}

export interface Lookup extends AsyncDisposable {
  /** The provider reference; undefined for a bare name that is not mapped. */
  nameOf(reference: string): string | undefined;
  /** Throws `secret-reference-invalid`, `secret-store-off`, or `secret-not-found` for a bare name that is not mapped. */
  find(reference: string): Target;
}

export interface LookupOptions {
  readonly kinds: Readonly<Record<string, ProviderKind>>;
  readonly names: Readonly<Record<string, string>>;
  readonly options: ProviderOptions;
}

const BARE_NAME = /^[A-Za-z_][A-Za-z0-9_.-]{0,127}$/;
const PROVIDER_REFERENCE = /^([a-z][a-z0-9-]{0,31}):(.{1,512})$/;

/** From what stands in a connector to the provider that has it. It owns the providers. */
export function createLookup({ kinds, names, options }: LookupOptions): Lookup {
  const providers = new Map<string, Provider>();
  for (const [scheme, kind] of Object.entries(kinds)) {
    const provider = kind.make(options);
    if (provider !== undefined) providers.set(scheme, provider);
  }
  const forms = [...providers.keys()].map((scheme) => kinds[scheme]?.form ?? scheme).join(', ');

  const nameOf = (reference: string): string | undefined => {
    if (!BARE_NAME.test(reference)) return reference;
    return Object.hasOwn(names, reference) ? names[reference] : undefined;
  };
  return {
    nameOf,
    find(reference) {
      const name = nameOf(reference);
      if (name === undefined) throw notMapped(reference, forms);
      const [, scheme = '', locator = ''] = PROVIDER_REFERENCE.exec(name) ?? [];
      const provider = providers.get(scheme);
      if (provider !== undefined) return { name, scheme, locator, provider };
      const kind = Object.hasOwn(kinds, scheme) ? kinds[scheme] : undefined;
      if (kind !== undefined) throw storeOff(scheme, kind);
      throw invalidReference(reference, forms);
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(
        Array.from(providers.values(), async (provider) => await provider[Symbol.asyncDispose]?.()),
      );
    },
  };
}

function notMapped(reference: string, forms: string): DelegateError {
  return secretError('secret-not-found', 'A secret name is not mapped on this delegate.', {
    hint: `Map the name in the delegate's configuration under secretNames, to one of ${forms}. A value never belongs here.`,
    details: { length: reference.length },
  });
}

/** Nothing of it is quoted, nor of a name that is not mapped: it may be a password, pasted where its name belongs. */
function invalidReference(reference: string, forms: string): DelegateError {
  return secretError('secret-reference-invalid', 'A secret reference is not valid: no provider has it.', {
    hint: `Give one of ${forms}, or a name mapped under secretNames. A value never belongs here.`,
    details: { length: reference.length },
  });
}

function storeOff(scheme: string, { form, setting }: ProviderKind): DelegateError {
  return secretError(
    'secret-store-off',
    `A secret reference asks for ${form}, and this delegate is not set up for it.`,
    { hint: `Set ${setting ?? 'it up'} on the delegate, or use another reference.`, details: { scheme } },
  );
}
