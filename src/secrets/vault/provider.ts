import { forgetOldest } from '../../kit/bounds.ts';
import type { Secret } from '../../kit/secret.ts';
import { secretError } from '../errors.ts';
import { secretNotFound, type Provider, type StorePorts } from '../provider.ts';
import { ShortMemory } from '../short-memory.ts';
import { MAX_SECRET_BYTES } from '../text-file.ts';
import type { StoreSettings, VaultSettings } from '../store-settings.ts';
import { createVaultApi } from './api.ts';
import {
  assertWritten,
  changedMeanwhile,
  dataPath,
  mountRequest,
  readMount,
  readSecret,
  statedMount,
  writeRequest,
  type KeyValuePath,
  type KeyValueSecret,
} from './key-value.ts';
import { parseVaultLocator } from './locator.ts';
import { VaultSession } from './session.ts';

/** An engine does not move, and is seldom upgraded. */
const MOUNT_KEPT_MS = 300_000;
/** References that may be written are few. */
const MAX_HANDED_OUT = 500;

/**
 * `vault:mount/path/to/secret#field` reads a field of a secret in a key-value engine, version 1 or 2, of HashiCorp Vault
 * or OpenBao. All fields of a path come from one read, so that a user and its password are of one version.
 */
export function vaultProvider(
  settings: VaultSettings,
  { cacheMs }: Pick<StoreSettings, 'cacheMs'>,
  ports: StorePorts,
): Provider {
  const { origin } = new URL(settings.address);
  const { clock } = ports;
  const protect = (value: string): Secret => ports.protect(value, [origin]);
  const session = new VaultSession({ settings, api: createVaultApi(settings, ports), protect, ports });
  const mounts = new ShortMemory<KeyValuePath>({ store: 'Vault', clock, keepMs: MOUNT_KEPT_MS });
  const secrets = new ShortMemory<KeyValueSecret>({ store: 'Vault', clock, keepMs: cacheMs });
  /** By locator: what a task was given last, so that a later change by somebody else is seen. */
  const handedOut = new Map<string, string>();

  const locate = async (
    path: readonly string[],
    reference: string,
    signal: AbortSignal,
  ): Promise<KeyValuePath> => {
    if (settings.kvVersion !== undefined) return statedMount(path, settings.kvVersion, reference);
    return await mounts.get(path.join('/'), signal, async (within) => {
      const answer = await session.call({ method: 'GET', path: mountRequest(path), signal: within });
      return { value: readMount(answer, path, reference) };
    });
  };
  const fetchSecret = async (
    path: readonly string[],
    reference: string,
    signal: AbortSignal,
  ): Promise<KeyValueSecret> => {
    const at = await locate(path, reference, signal);
    const answer = await session.call({ method: 'GET', path: dataPath(at), signal });
    return readSecret(answer, at, reference);
  };

  return {
    async read(locator, signal) {
      const { path, field } = parseVaultLocator(locator);
      const reference = `vault:${locator}`;
      const secret = await secrets.get(path.join('/'), signal, async (within) => {
        const value = await fetchSecret(path, reference, within);
        return { value, goodForMs: value.leaseMs };
      });
      const value = fieldOf(secret, field, reference);
      handedOut.delete(locator);
      handedOut.set(locator, value);
      forgetOldest(handedOut, MAX_HANDED_OUT);
      return { value, place: placeOf(secret, field, settings) };
    },

    async write(locator, value, signal) {
      const { path, field } = parseVaultLocator(locator);
      const reference = `vault:${locator}`;
      const current = await fetchSecret(path, reference, signal);
      const known = handedOut.get(locator);
      // Check-and-set alone sees only who writes between this read and the write, and not who did before it.
      if (known !== undefined && fieldOf(current, field, reference) !== known)
        throw changedMeanwhile(reference);
      const body = writeRequest(current, field, value);
      protect(value);
      // What the engine holds may go back to it, with the fields beside: they came from there a moment ago.
      for (const one of Object.values(current.fields)) {
        if (typeof one === 'string') ports.permit(one, [origin]);
      }
      try {
        const answer = await session.call({ method: 'POST', path: dataPath(current.at), body, signal });
        assertWritten(answer, current.at, reference);
      } finally {
        // Whatever came back: it may have been written.
        secrets.forget(path.join('/'));
      }
      handedOut.set(locator, value);
    },

    async [Symbol.asyncDispose]() {
      await Promise.all([secrets[Symbol.asyncDispose](), mounts[Symbol.asyncDispose]()]);
      await session[Symbol.asyncDispose]();
      handedOut.clear();
    },
  };
}

function fieldOf({ fields }: KeyValueSecret, field: string, reference: string): string {
  const value = Object.hasOwn(fields, field) ? fields[field] : undefined;
  if (value === undefined) {
    // The other names are not told: whoever reads tasks needs none of them.
    throw secretNotFound(
      reference,
      `The secret in Vault where ${reference} leads has no field ${field}.`,
      'Correct the part behind "#", or write the field: vault kv patch.',
    );
  }
  if (typeof value === 'string' && Buffer.byteLength(value) <= MAX_SECRET_BYTES) return value;
  const why = typeof value === 'string' ? `has over ${MAX_SECRET_BYTES} bytes` : 'is not text';
  throw secretError('secret-unreadable', `The field ${field} of ${reference} ${why}.`, {
    hint: 'Write the value as text; a number loses its leading zeros on the way.',
    details: { reference },
  });
}

function placeOf({ at, version }: KeyValueSecret, field: string, settings: VaultSettings): string {
  const { address, namespace } = settings;
  const parts = [
    `Vault ${address}`,
    ...(namespace === undefined ? [] : [`namespace ${namespace}`]),
    `mount ${at.mount} (KV version ${at.version})`,
    `path ${at.path}`,
    `field ${field}`,
    ...(version === undefined ? [] : [`version ${version}`]),
  ];
  return parts.join(', ');
}
