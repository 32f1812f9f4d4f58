import { invalidLocator } from '../provider.ts';

/** Nothing that a URL, a proxy or Vault itself could read in two ways; what has other letters needs another name. */
const SEGMENT = /^[A-Za-z0-9_.@+=-]{1,128}$/;
const FIELD = /^[A-Za-z0-9_.@+=-]{1,128}$/;

/**
 * What Vault has beside engines: `auth/token/lookup-self` would give the delegate's own token for a secret. That an engine
 * is key-value is asked of the server as well, unless its version is stated.
 */
const RESERVED: ReadonlySet<string> = new Set(['auth', 'sys', 'identity', 'cubbyhole']);

/** `mount/path/to/secret#field`, taken apart. Which of the first segments are the mount, the server knows. */
export interface VaultLocator {
  readonly path: readonly string[];
  readonly field: string;
}

export function parseVaultLocator(locator: string): VaultLocator {
  const [path = '', field, ...more] = locator.split('#');
  const segments = path.split('/');
  if (field === undefined || more.length > 0 || !FIELD.test(field)) {
    throw invalidLocator(
      'vault:…',
      'give mount/path#field, with one field of letters, digits and _ . @ + = -',
    );
  }
  if (segments.length < 2 || !segments.every(isPlain)) {
    throw invalidLocator(
      'vault:…',
      'give mount/path#field, with path segments of letters, digits and _ . @ + = - alone',
    );
  }
  if (RESERVED.has(segments[0] ?? '')) {
    throw invalidLocator('vault:…', "it leads to Vault's own affairs, and not to a key-value engine");
  }
  return { path: segments, field };
}

/**
 * Whether a path may be asked for as it stands, without `data/` before it: the first segment could be a namespace, and
 * lead to the same affairs there.
 */
export function isOfEngine(path: readonly string[]): boolean {
  return !path.some((segment) => RESERVED.has(segment));
}

function isPlain(segment: string): boolean {
  return SEGMENT.test(segment) && !/^\.+$/.test(segment);
}
