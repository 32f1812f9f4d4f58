import { DelegateError } from '../kit/errors.ts';
import { inspectSecret, type Inspection } from './inspect.ts';
import type { SecretsLog } from './log.ts';
import { createLookup, type Lookup } from './lookup.ts';
import type { ProviderOptions } from './provider.ts';
import { PROVIDER_KINDS } from './providers.ts';
import { createResolver, type ResolverOptions, type SecretResolver } from './resolver.ts';

export interface SecretsOptions {
  /** A snapshot of the environment; only names that begin with `DELEGATE_SECRET_` are looked at. */
  environment: Readonly<Record<string, string | undefined>>;
  /** `DELEGATE_SECRETS_DIR`; undefined switches file references off. */
  directory: string | undefined;
  /** Files and folders of the delegate itself; left out: there are none. */
  ownPlaces?: readonly string[];
  /** Left out: nothing but variables and files. */
  stores?: ProviderOptions['stores'];
  /** Bare names and the provider references that they stand for. */
  names: Readonly<Record<string, string>>;
  /** The provider references whose values the delegate may replace. */
  writable: readonly string[];
  admit: ResolverOptions['admit'];
  pin?: ResolverOptions['pin'];
  protect: ResolverOptions['protect'];
  log: SecretsLog;
}

/** `[Symbol.asyncDispose]` ends what providers have open. */
export interface Secrets extends SecretResolver, AsyncDisposable {
  /** For `secrets check`: where a secret comes from and whether it is there. It is asked of nobody's policy. */
  inspect(reference: string, signal: AbortSignal): Promise<Inspection>;
}

/** The providers, behind one door. */
export function createSecrets(options: SecretsOptions): Secrets {
  const {
    environment,
    directory,
    ownPlaces = [],
    stores,
    names,
    writable,
    admit,
    pin,
    protect,
    log,
  } = options;
  const lookup = createLookup({
    kinds: PROVIDER_KINDS,
    names,
    options: { environment, directory, ownPlaces, stores },
  });
  tellMistakes(options, lookup);
  return {
    ...createResolver({ lookup, writable, admit, pin, protect, log }),
    inspect: (reference, signal) => inspectSecret(lookup, reference, (value) => protect(value, []), signal),
    [Symbol.asyncDispose]: async () => await lookup[Symbol.asyncDispose](),
  };
}

/**
 * What the settings name and no task could have: told at start, and no reason not to start. By its place in them: a
 * reference that nobody can read may be a password, pasted where one belongs.
 */
function tellMistakes({ names, writable, log }: SecretsOptions, lookup: Lookup): void {
  const tell = (setting: string, reference: string, isToBeWritten: boolean): void => {
    const warn = (why: string, hint?: string): void =>
      log.warn({ setting, why, hint }, 'a setting names a secret that cannot be used');
    try {
      const { provider } = lookup.find(reference);
      if (isToBeWritten && provider.write === undefined) warn('secrets of this kind can not be written');
    } catch (thrown) {
      if (!(thrown instanceof DelegateError)) throw thrown;
      warn(thrown.message, thrown.hint);
    }
  };
  for (const [name, reference] of Object.entries(names)) tell(`secretNames.${name}`, reference, false);
  for (const [at, reference] of writable.entries()) tell(`writableSecrets[${at}]`, reference, true);
}
