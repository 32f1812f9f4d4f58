import { createPublicKey, generateKeyPairSync, randomUUID, type KeyObject } from 'node:crypto';
import { calculateJwkThumbprint, SignJWT } from 'jose';
import { fileCalls, type FileCalls } from '../../kit/durable-file.ts';
import { toTimestamp } from '../../kit/time.ts';
import type { Logger } from '../../observability/logger.ts';
import {
  ed25519PublicJwkSchema,
  type Ed25519PublicJwk,
  type EnrolResponse,
} from '../../protocol/enrolment.ts';
import { CONNECT_TOKEN_LIFE_S, CONNECT_TOKEN_TYPE } from '../../protocol/limits.ts';
import {
  keysIn,
  privateJwkSchema,
  privateKeyOf,
  recoverIdentityFile,
  stateKeyOf,
  writeIdentityFile,
  type Enrolment,
  type IdentityFile,
  type PrivateJwk,
} from './identity-file.ts';

export type { Enrolment } from './identity-file.ts';

export interface IdentityKey {
  readonly publicJwk: Ed25519PublicJwk;
  /** RFC 7638 thumbprint of the public key. */
  readonly keyId: string;
  readonly privateKey: KeyObject;
}

/** Who this delegate is. Replaced, never changed: by `saveIdentity` and what calls it. */
export interface Identity extends IdentityKey {
  readonly instanceId: string;
  /** Milliseconds since the epoch; undefined until somebody asks for the key's age. */
  readonly keySinceMs: number | undefined;
  readonly nextKey: IdentityKey | undefined;
  readonly previousKey: IdentityKey | undefined;
  /** What the state folder's own encryption is derived from. It is the first key, and stays when that is replaced. */
  readonly stateKey: KeyObject;
  readonly enrolment: Enrolment | undefined;
}

/** How an identity is kept. */
export interface IdentityFolder {
  readonly stateDir: string;
  /** Is given every private key, before it is used. */
  readonly protect: (value: string) => unknown;
  readonly log: Logger;
  readonly calls?: FileCalls;
}

/**
 * Reads the identity of this state folder, or makes one at the first start. For the one process that has locked the
 * folder: it mends what it finds. Rejects with `identity-unusable`.
 *
 * @param protect is given the private keys
 */
export async function loadIdentity(
  stateDir: string,
  protect: (value: string) => unknown,
  log: Logger,
  calls: FileCalls = fileCalls,
): Promise<Identity> {
  const kept = await recoverIdentityFile(stateDir, log, calls);
  const file = kept ?? newIdentityFile();
  for (const { d } of keysIn(file)) protect(d);
  if (kept === undefined) await writeIdentityFile(stateDir, file, log, calls);
  return await toIdentity(file);
}

/** Keeps an identity. It is on disk, and was read back, before anybody can use it. */
export async function saveIdentity<I extends Identity>(
  { stateDir, protect, log, calls = fileCalls }: IdentityFolder,
  identity: I,
): Promise<I> {
  const file = toFile(identity);
  for (const { d } of keysIn(file)) protect(d);
  await writeIdentityFile(stateDir, file, log, calls);
  return identity;
}

/** Keeps what the manager answered to the key that is in use; it knows no other from then on. */
export async function saveEnrolment(
  stateDir: string,
  identity: Identity,
  managerUrl: string,
  response: EnrolResponse,
  log: Logger,
): Promise<Identity & { readonly enrolment: Enrolment }> {
  const { delegateId, taskSigningKeys } = response;
  const enrolment: Enrolment = {
    managerUrl,
    delegateId,
    ...(taskSigningKeys === undefined ? {} : { taskSigningKeys: taskSigningKeys.keys }),
    ...(taskSigningKeys?.sequence === undefined ? {} : { taskSigningSequence: taskSigningKeys.sequence }),
  };
  const enrolled = { ...identity, nextKey: undefined, previousKey: undefined, enrolment };
  return await saveIdentity({ stateDir, protect: () => {}, log }, enrolled);
}

/** The key that the manager is to know this delegate by. */
export async function keyOfFile({ key }: IdentityFile): Promise<IdentityKey> {
  return await toKey(privateKeyOf(key));
}

export async function newKey(): Promise<IdentityKey> {
  return await toKey(generateKeyPairSync('ed25519').privateKey);
}

/** The bearer of one connect attempt (PROTOCOL.md, section 2). */
export async function signConnectToken(
  key: IdentityKey,
  enrolment: Enrolment,
  epochMs: number,
): Promise<string> {
  return await signToken(CONNECT_TOKEN_TYPE, key, enrolment, epochMs);
}

/** A token in the form of a connect token, for the purpose that its type names. */
export async function signToken(
  typ: string,
  key: IdentityKey,
  enrolment: Enrolment,
  epochMs: number,
): Promise<string> {
  const issuedAt = Math.floor(epochMs / 1_000);
  return await new SignJWT()
    .setProtectedHeader({ alg: 'EdDSA', typ, kid: key.keyId })
    .setIssuer(enrolment.delegateId)
    .setSubject(enrolment.delegateId)
    .setAudience(enrolment.managerUrl)
    .setIssuedAt(issuedAt)
    .setExpirationTime(issuedAt + CONNECT_TOKEN_LIFE_S)
    .setJti(randomUUID())
    .sign(key.privateKey);
}

function newIdentityFile(): IdentityFile {
  const { privateKey } = generateKeyPairSync('ed25519');
  return { format: 1, instanceId: randomUUID(), key: toJwk(privateKey) };
}

async function toIdentity(file: IdentityFile): Promise<Identity> {
  const { instanceId, key, keySince, nextKey, previousKey, enrolment } = file;
  return {
    instanceId,
    ...(await toKey(privateKeyOf(key))),
    keySinceMs: keySince === undefined ? undefined : Date.parse(keySince),
    nextKey: nextKey && (await toKey(privateKeyOf(nextKey))),
    previousKey: previousKey && (await toKey(privateKeyOf(previousKey))),
    stateKey: stateKeyOf(file),
    enrolment,
  };
}

function toFile(identity: Identity): IdentityFile {
  const { instanceId, privateKey, keySinceMs, nextKey, previousKey, stateKey, enrolment } = identity;
  return {
    format: 1,
    instanceId,
    key: toJwk(privateKey),
    ...(keySinceMs === undefined ? {} : { keySince: toTimestamp(keySinceMs) }),
    ...(nextKey === undefined ? {} : { nextKey: toJwk(nextKey.privateKey) }),
    ...(previousKey === undefined ? {} : { previousKey: toJwk(previousKey.privateKey) }),
    ...(stateKey.equals(privateKey) ? {} : { stateKey: toJwk(stateKey) }),
    ...(enrolment === undefined ? {} : { enrolment }),
  };
}

async function toKey(privateKey: KeyObject): Promise<IdentityKey> {
  const publicJwk = ed25519PublicJwkSchema.parse(createPublicKey(privateKey).export({ format: 'jwk' }));
  const { kty, crv, x } = publicJwk;
  return { publicJwk, keyId: await calculateJwkThumbprint({ kty, crv, x }), privateKey };
}

function toJwk(key: KeyObject): PrivateJwk {
  return privateJwkSchema.parse(key.export({ format: 'jwk' }));
}
