import { z } from 'zod';
import type { DelegateError } from '../../kit/errors.ts';
import { secretError } from '../errors.ts';
import { invalidLocator, secretNotFound } from '../provider.ts';
import { vaultBadAnswer, type VaultAnswer } from './api.ts';
import { isOfEngine } from './locator.ts';

/** A key-value engine, and a path below it. */
export interface KeyValuePath {
  /** Without slashes at its ends. */
  readonly mount: string;
  readonly version: 1 | 2;
  readonly path: string;
}

/** One secret of an engine: all its fields, of one version. */
export interface KeyValueSecret {
  readonly at: KeyValuePath;
  readonly fields: Readonly<Record<string, unknown>>;
  /** Undefined in version 1 of the engine, which counts none. */
  readonly version: number | undefined;
  readonly leaseMs: number | undefined;
}

const mountSchema = z.object({
  path: z.string().regex(/^[^?#%\\]{2,512}\/$/),
  type: z.string().max(64),
  options: z.object({ version: z.string().optional() }).nullish(),
});

/** Version 1 has the fields in `data`, version 2 one level deeper, beside its metadata. */
const fieldsSchema = z.record(z.string(), z.unknown());
const versionedSchema = z.object({
  data: fieldsSchema.nullable(),
  metadata: z.object({
    version: z.number().int(),
    deletion_time: z.string().optional(),
    destroyed: z.boolean().optional(),
  }),
});

/** Asked before the first read, as HashiCorp's own command line does: which of the segments are the mount. */
export function mountRequest(path: readonly string[]): string {
  return `sys/internal/ui/mounts/${path.join('/')}`;
}

export function readMount(answer: VaultAnswer, path: readonly string[], reference: string): KeyValuePath {
  const whole = path.join('/');
  if (answer.status !== 200) throw noMount(answer, whole, reference);
  const read = mountSchema.safeParse(answer.body.data);
  if (!read.success || !`${whole}/`.startsWith(read.data.path)) {
    throw vaultBadAnswer('the mount of the path', answer.status);
  }
  const { type, options, path: mountPath } = read.data;
  if (type !== 'kv' && type !== 'generic') {
    throw invalidLocator(reference, 'it leads to an engine that is not key-value');
  }
  const below = whole.slice(mountPath.length);
  if (below === '') throw invalidLocator(reference, 'it names a mount, and no path below it');
  return { mount: mountPath.slice(0, -1), version: options?.version === '2' ? 2 : 1, path: below };
}

/** For a mount whose version the operator has set: it is the first segment. */
export function statedMount(
  [mount = '', ...path]: readonly string[],
  version: 1 | 2,
  reference: string,
): KeyValuePath {
  if (version === 1 && !isOfEngine(path)) {
    throw invalidLocator(reference, 'a part of it has a name of Vault itself, such as auth or sys');
  }
  return { mount, version, path: path.join('/') };
}

export function dataPath({ mount, version, path }: KeyValuePath): string {
  return version === 2 ? `${mount}/data/${path}` : `${mount}/${path}`;
}

export function readSecret(answer: VaultAnswer, at: KeyValuePath, reference: string): KeyValueSecret {
  const { status, body } = answer;
  if (status === 403) throw denied(answer, at, 'read', reference);
  const leaseMs = (body.lease_duration ?? 0) > 0 ? (body.lease_duration ?? 0) * 1_000 : undefined;
  if (at.version === 1) {
    const fields = status === 200 ? fieldsSchema.safeParse(body.data) : undefined;
    if (fields?.success === true) return { at, fields: fields.data, version: undefined, leaseMs };
  } else {
    // A deleted version is a 404 that tells when.
    const read = status === 200 || status === 404 ? versionedSchema.safeParse(body.data) : undefined;
    if (read?.success === true) {
      const { data, metadata } = read.data;
      if (status === 200 && data !== null) {
        return { at, fields: data, version: metadata.version, leaseMs };
      }
      throw deleted(at, metadata, reference);
    }
  }
  if (status === 404) throw absent(answer, at, reference);
  throw secretError(
    'secret-store-bad-answer',
    `Vault did not give ${reference} (HTTP ${status}).${answer.words === '' ? '' : ` It says: ${answer.words}`}`,
    {
      status,
      hint: 'Look whether DELEGATE_VAULT_KV_VERSION fits the mount; detect asks the server.',
      details: { reference },
    },
  );
}

/** What is written, with the body that keeps every other field. */
export function writeRequest(
  { at, fields, version }: KeyValueSecret,
  field: string,
  value: string,
): Readonly<Record<string, unknown>> {
  const data = { ...fields, [field]: value };
  return at.version === 2 ? { options: { cas: version }, data } : data;
}

export function assertWritten(answer: VaultAnswer, at: KeyValuePath, reference: string): void {
  const { status, words } = answer;
  if (status === 200 || status === 204) return;
  if (status === 403) throw denied(answer, at, at.version === 2 ? 'update' : 'create", "update', reference);
  // The one 400 of a write with check-and-set whose body is in order.
  if (status === 400 && at.version === 2 && words.includes('check-and-set'))
    throw changedMeanwhile(reference);
  throw secretError('secret-store-bad-answer', `Vault did not take ${reference} (HTTP ${status}). ${words}`, {
    status,
    details: { reference },
  });
}

export function changedMeanwhile(reference: string): DelegateError {
  return secretError('secret-changed-meanwhile', `Somebody else has changed ${reference} in Vault.`, {
    details: { reference },
  });
}

/** A path that may not be seen and a mount that is not there look the same from outside, on purpose. */
function noMount({ status, words }: VaultAnswer, path: string, reference: string): DelegateError {
  if (status === 403) {
    return secretError(
      'secret-store-denied',
      `Vault does not let the delegate see where ${reference} is mounted.`,
      {
        status,
        hint: `Either no engine is mounted there, or it is in another namespace (DELEGATE_VAULT_NAMESPACE), or no policy of the delegate's token has the path. For KV version 2 the policy needs: path "${withData(path)}" { capabilities = ["read"] }`,
        details: { reference },
      },
    );
  }
  if (status === 404) {
    return secretNotFound(
      reference,
      `Vault has nothing mounted where ${reference} leads.`,
      'Correct the mount, or the namespace (DELEGATE_VAULT_NAMESPACE): vault secrets list shows what is there. A server that does not tell its mounts needs DELEGATE_VAULT_KV_VERSION.',
    );
  }
  const said = words === '' ? '' : ` It says: ${words}`;
  return secretError('secret-store-bad-answer', `Vault did not tell its mounts (HTTP ${status}).${said}`, {
    status,
    hint: 'Set DELEGATE_VAULT_KV_VERSION, so that they need not be asked for.',
  });
}

function withData(path: string): string {
  const [mount = '', ...rest] = path.split('/');
  return [mount, 'data', ...rest].join('/');
}

function denied(
  { status }: VaultAnswer,
  at: KeyValuePath,
  capability: string,
  reference: string,
): DelegateError {
  return secretError(
    'secret-store-denied',
    `Vault does not let the delegate ${capability === 'read' ? 'read' : 'write'} ${reference}.`,
    {
      status,
      hint: `Add to a policy of the delegate's token: path "${dataPath(at)}" { capabilities = ["${capability}"] }`,
      details: { reference, path: dataPath(at) },
    },
  );
}

function absent({ body }: VaultAnswer, at: KeyValuePath, reference: string): DelegateError {
  // The server's own warning, of which only the first words count: it is English for people.
  const isVersioned = body.warnings?.some((warning) => warning.includes('versioned')) === true;
  const hint = isVersioned
    ? 'The engine is of version 2: set DELEGATE_VAULT_KV_VERSION to v2 or detect.'
    : at.path.startsWith('data/')
      ? `Leave "data/" out of the reference: it is a part of Vault's API and not of the path.`
      : `Look for it with: vault kv get -mount=${at.mount} ${at.path}. A wrong namespace (DELEGATE_VAULT_NAMESPACE) looks the same.`;
  return secretNotFound(reference, `There is nothing in Vault where ${reference} leads.`, hint);
}

function deleted(
  at: KeyValuePath,
  { version, destroyed = false }: { version: number; destroyed?: boolean | undefined },
  reference: string,
): DelegateError {
  const hint = destroyed
    ? 'It can not be brought back: write a new version.'
    : `Bring it back: vault kv undelete -mount=${at.mount} -versions=${version} ${at.path}`;
  const what = destroyed ? 'destroyed' : 'deleted';
  return secretNotFound(reference, `Version ${version}, the newest of ${reference}, was ${what}.`, hint);
}
