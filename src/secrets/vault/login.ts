import { z } from 'zod';
import type { DelegateError } from '../../kit/errors.ts';
import type { Secret } from '../../kit/secret.ts';
import { secretError } from '../errors.ts';
import { readSecretFile } from '../text-file.ts';
import type { VaultLogin } from '../store-settings.ts';
import { vaultBadAnswer, type VaultAnswer, type VaultApi } from './api.ts';

/** A token, as the server gave it. */
export interface VaultGrant {
  readonly token: Secret;
  /** Milliseconds until it ends; undefined: it does not end, or nobody says. */
  readonly leaseMs: number | undefined;
  readonly renewable: boolean;
}

/** What is sent to log in, read from its files; two of the same text are the same credentials. */
export interface VaultCredentials {
  readonly path: string;
  readonly body: Readonly<Record<string, string>>;
}

type ProtectForVault = (value: string) => Secret;

const HINTS: Readonly<Record<VaultLogin['method'], string>> = {
  token: 'Put a valid token into DELEGATE_VAULT_TOKEN_FILE, or let a Vault Agent keep one there.',
  approle:
    'Look whether role id and secret id belong to one role, and whether the secret id has expired, is used up, or is bound to other addresses; put a new one into DELEGATE_VAULT_SECRET_ID_FILE.',
  kubernetes:
    'Look at the role: its bound service account names and namespaces, and its audience; and whether Vault may ask the TokenReview API.',
  jwt: 'Look at the role: bound audiences, subject and claims; and whether the JWT in DELEGATE_VAULT_JWT_FILE has expired.',
};

/** Read anew each time: what rotates them (a kubelet, an agent) replaces the file. */
export async function vaultCredentials(
  login: Exclude<VaultLogin, { method: 'token' }>,
  protect: ProtectForVault,
): Promise<VaultCredentials> {
  const path = `auth/${login.mount}/login`;
  const read = (file: string, setting: string): Promise<string> => readCredential(file, setting, protect);
  if (login.method === 'approle') {
    const role_id = await read(login.roleIdFile, 'DELEGATE_VAULT_ROLE_ID_FILE');
    const secret_id = await read(login.secretIdFile, 'DELEGATE_VAULT_SECRET_ID_FILE');
    return { path, body: { role_id, secret_id } };
  }
  return {
    path,
    body: { role: login.role, jwt: await read(login.jwtFile, 'DELEGATE_VAULT_JWT_FILE') },
  };
}

export async function readCredential(
  file: string,
  setting: string,
  protect: ProtectForVault,
): Promise<string> {
  const text = await readSecretFile(file, { reference: `of ${setting}`, where: 'at that path' });
  const value = text.trim();
  if (value === '') throw secretError('secret-empty', `The file of ${setting} is empty.`);
  return protect(value).reveal();
}

const authSchema = z.object({
  client_token: z.string().min(1),
  lease_duration: z.number().nonnegative(),
  renewable: z.boolean(),
});

const lookupSchema = z.object({ ttl: z.number().nonnegative(), renewable: z.boolean().optional() });

export async function logIn(
  api: VaultApi,
  { method }: VaultLogin,
  { path, body }: VaultCredentials,
  protect: ProtectForVault,
  signal: AbortSignal,
): Promise<VaultGrant> {
  return grantOf(
    await api({ method: 'POST', path, body, signal }),
    (answer) => refused(method, path, answer),
    protect,
  );
}

/** What is known of a token that was put into a file. It may not be allowed to ask; then its lease is unknown. */
export async function lookUp(api: VaultApi, token: Secret, signal: AbortSignal): Promise<VaultGrant> {
  const { status, body } = await api({ method: 'GET', path: 'auth/token/lookup-self', token, signal });
  const read = status === 200 ? lookupSchema.safeParse(body.data) : undefined;
  if (read?.success !== true) return { token, leaseMs: undefined, renewable: false };
  const { ttl, renewable = false } = read.data;
  return { token, leaseMs: ttl === 0 ? undefined : ttl * 1_000, renewable };
}

/** The same token with a new lease; undefined if the server doesn't renew it any more. */
export async function renew(
  api: VaultApi,
  token: Secret,
  protect: ProtectForVault,
  signal: AbortSignal,
): Promise<VaultGrant | undefined> {
  const answer = await api({ method: 'POST', path: 'auth/token/renew-self', token, body: {}, signal });
  if (answer.status !== 200) return undefined;
  return grantOf(answer, () => vaultBadAnswer('a lease', answer.status), protect);
}

/** Whether a token that was refused is still one at all. */
export async function isAlive(api: VaultApi, token: Secret, signal: AbortSignal): Promise<boolean> {
  return (await api({ method: 'GET', path: 'auth/token/lookup-self', token, signal })).status === 200;
}

export function tokenRefused(words: string): DelegateError {
  return secretError(
    'secret-store-login-refused',
    `Vault does not take the token of DELEGATE_VAULT_TOKEN_FILE.${said(words)}`,
    { status: 403, hint: HINTS.token },
  );
}

function grantOf(
  answer: VaultAnswer,
  otherwise: (answer: VaultAnswer) => DelegateError,
  protect: ProtectForVault,
): VaultGrant {
  if (answer.status !== 200) throw otherwise(answer);
  const read = authSchema.safeParse(answer.body.auth);
  if (!read.success) throw vaultBadAnswer('a token', answer.status);
  const { client_token, lease_duration, renewable } = read.data;
  return {
    token: protect(client_token),
    leaseMs: lease_duration === 0 ? undefined : lease_duration * 1_000,
    renewable,
  };
}

function refused(method: VaultLogin['method'], path: string, { status, words }: VaultAnswer): DelegateError {
  const details = { method, path };
  if (status === 404 || status === 405) {
    return secretError(
      'secret-store-login-refused',
      `Vault has no way to log in at ${path} (HTTP ${status}).${said(words)}`,
      {
        status,
        hint: `Enable the auth method, or correct DELEGATE_VAULT_AUTH_MOUNT and DELEGATE_VAULT_NAMESPACE: vault auth list shows what is there.`,
        details,
      },
    );
  }
  return secretError(
    'secret-store-login-refused',
    `Vault refuses the login at ${path} (HTTP ${status}).${said(words)}`,
    { status, hint: HINTS[method], details },
  );
}

function said(words: string): string {
  return words === '' ? '' : ` It says: ${words}`;
}
