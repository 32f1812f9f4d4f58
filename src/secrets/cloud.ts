import { DelegateError, systemCode, type ErrorDetails } from '../kit/errors.ts';
import { isTransportFailure } from '../kit/http-exchange.ts';
import { secretError, type SECRET_ERRORS } from './errors.ts';
import type { StorePorts } from './provider.ts';

/** What AWS and Google allow; Azure allows less. */
const MAX_VALUE_BYTES = 65_536;

/** How deep a library may have wrapped what our own HTTP client said. */
const MAX_CAUSES = 8;

/** What the providers of the three clouds stand on. */
export interface CloudOptions {
  /** A snapshot of the environment: the clouds hand credentials to a container in variables of their own. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** How long a value that was read is taken for current. */
  readonly cacheMs: number;
  readonly ports: StorePorts;
}

export type CloudAction = 'read' | 'replaced';

/** One sentence for one way in which a cloud says no. */
export interface CloudRefusal {
  readonly code: keyof typeof SECRET_ERRORS;
  /** Follows the name of the store: "does not know it". */
  readonly says: string;
  /** What to do about it; the code's own remedy if there is nothing more exact. */
  readonly hint?: string;
}

export const BUSY: CloudRefusal = {
  code: 'secret-store-unavailable',
  says: 'is asked too often, and says no',
};
export const FAILING: CloudRefusal = { code: 'secret-store-unavailable', says: 'fails' };

/** What is known of a code. Whoever answers in the place of the cloud may well say `constructor`. */
export function refusalNamed(
  name: string | undefined,
  refusals: Readonly<Record<string, CloudRefusal>>,
): CloudRefusal | undefined {
  return name !== undefined && Object.hasOwn(refusals, name) ? refusals[name] : undefined;
}

/** By its HTTP status alone, a refusal whose own code says nothing that is known. */
export function refusalByStatus(status: number | undefined): CloudRefusal {
  if (status === 429) return BUSY;
  if (status !== undefined && status >= 500) return FAILING;
  return { code: 'secret-store-bad-answer', says: 'answered in a way that this delegate does not know' };
}

/**
 * Loads a vendor's client, when the first secret is wanted: an image without the optional packages works for everybody
 * who keeps no secrets there.
 *
 * @param packageName as it is installed
 */
export async function loadClient<T>(packageName: string, load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch (thrown) {
    const code = systemCode(thrown);
    if (code !== 'ERR_MODULE_NOT_FOUND' && code !== 'MODULE_NOT_FOUND') throw thrown;
    throw secretError(
      'secret-provider-missing',
      `The client library ${packageName} is not installed with this delegate.`,
      {
        hint: `Use an image or a bundle that was built with it (CLOUD_CLIENTS=include); a delegate that runs from its packages takes it beside them: npm install ${packageName}.`,
        details: { package: packageName },
        cause: thrown,
      },
    );
  }
}

/** Makes it once, with the first use; what could not be made is tried again with the next. */
export function lazily<T>(make: () => Promise<T>): () => Promise<T> {
  let making: Promise<T> | undefined;
  return async () => {
    making ??= make();
    try {
      return await making;
    } catch (thrown) {
      making = undefined;
      throw thrown;
    }
  };
}

/**
 * One call of a vendor's client. Rejects with the signal's reason, with what our own HTTP client had to say, or with
 * what `judge` makes of an error that is the client's own.
 */
export async function asked<T>(
  store: string,
  signal: AbortSignal,
  call: () => Promise<T>,
  judge?: (thrown: unknown) => DelegateError,
): Promise<T> {
  try {
    return await call();
  } catch (thrown) {
    signal.throwIfAborted();
    const ours = delegateErrorIn(thrown);
    if (ours !== undefined) throw isTransportFailure(ours) ? unreachable(store, ours) : ours;
    throw judge?.(thrown) ?? thrown;
  }
}

/**
 * A vendor's error is no cause of ours: some hold the request with its token, and others quote an answer. Only of a
 * mistake in a program the place is wanted.
 */
export function refused(
  store: string,
  action: CloudAction,
  reference: string,
  { code, says, hint }: CloudRefusal,
  details: ErrorDetails,
  thrown?: unknown,
): DelegateError {
  return secretError(code, `The secret ${reference} cannot be ${action}: ${store} ${says}.`, {
    hint,
    details: { reference, ...details },
    cause: thrown instanceof TypeError ? thrown : undefined,
  });
}

/** Strict: a password with a replaced character would be sent, and would count towards a lockout. */
export function textOf(bytes: Uint8Array, reference: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw secretError('secret-unreadable', `The secret ${reference} is not UTF-8 text.`, {
      hint: 'Store a binary key store as base64 text.',
      details: { reference },
    });
  }
}

/** The value itself, if it is not larger than a secret may be. */
export function withinBounds(value: string, reference: string): string {
  const bytes = Buffer.byteLength(value);
  if (bytes <= MAX_VALUE_BYTES) return value;
  throw secretError(
    'secret-unreadable',
    `The secret ${reference} has ${bytes} bytes, over ${MAX_VALUE_BYTES}.`,
    { hint: 'Store the password, key or certificate chain alone.', details: { reference } },
  );
}

function unreachable(store: string, failure: DelegateError): DelegateError {
  return secretError('secret-store-unreachable', `${store} could not be asked: ${failure.message}`, {
    retryable: failure.retryable,
    hint: failure.hint,
    details: failure.details,
    cause: failure,
  });
}

function delegateErrorIn(thrown: unknown): DelegateError | undefined {
  let error = thrown;
  for (let depth = 0; error instanceof Error && depth < MAX_CAUSES; depth += 1) {
    if (error instanceof DelegateError) return error;
    error = error.cause;
  }
  return undefined;
}
