import type { DelegateError } from '../kit/errors.ts';
import type { HttpSend } from '../kit/http-exchange.ts';
import type { Secret } from '../kit/secret.ts';
import type { Clock } from '../kit/time.ts';
import { secretError } from './errors.ts';
import type { SecretsLog } from './log.ts';
import type { StoreSettings } from './store-settings.ts';

/** What a reference led to. */
export interface FoundSecret {
  readonly value: string;
  /** Where it was found, for people: a variable, a path, a version. It is printed and logged. */
  readonly place: string;
}

/**
 * One kind of place where secrets are kept. `read` gets the part of a reference after the provider's name, or rejects
 * with one of the errors of this room.
 */
export interface Provider extends Partial<AsyncDisposable> {
  read(locator: string, signal: AbortSignal): Promise<FoundSecret>;
  /**
   * Replaces the value of a secret that is there: whatever happens, there is the old one or the new. Resolves when the
   * new one would survive a power cut; rejects, saying why, if it can't be. Undefined: these can't be written at all.
   */
  readonly write: ((locator: string, value: string, signal: AbortSignal) => Promise<void>) | undefined;
}

/** What providers stand on. */
export interface StorePorts {
  /** A client of their own: it reaches the stores that the operator has named, and nothing else. */
  readonly send: HttpSend;
  readonly clock: Clock;
  /** Remembers what a store is told or tells, and where that may be sent. */
  readonly protect: (value: string, origins: readonly string[]) => Secret;
  /**
   * Lets a value go there, too, if it is one that is remembered. One that isn't stays so: what stands beside a secret in
   * a store may be a user's name, which is in every request and in many texts.
   */
  readonly permit: (value: string, origins: readonly string[]) => void;
  /** A stranger's text without the secrets in it. */
  readonly scrub: (text: string) => string;
  readonly log: SecretsLog;
}

export interface ProviderOptions {
  /** A snapshot of the environment. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** `DELEGATE_SECRETS_DIR` */
  readonly directory: string | undefined;
  /** Files and folders of the delegate itself, which no reference may lead to. */
  readonly ownPlaces: readonly string[];
  /** Undefined: nothing but variables and files. */
  readonly stores: { readonly settings: StoreSettings; readonly ports: StorePorts } | undefined;
}

/** One row of the table of providers. */
export interface ProviderKind {
  /** How a reference is written. */
  readonly form: string;
  /** The setting that switches it on; undefined if it is always on. */
  readonly setting: string | undefined;
  /** Undefined if the settings do not switch it on. Nothing is opened before the first read. */
  make(options: ProviderOptions): Provider | undefined;
}

export function invalidLocator(reference: string, why: string): DelegateError {
  return secretError('secret-reference-invalid', `The secret reference ${reference} is not valid: ${why}.`, {
    details: { reference },
  });
}

export function secretNotFound(reference: string, message: string, hint: string): DelegateError {
  return secretError('secret-not-found', message, { hint, details: { reference } });
}
