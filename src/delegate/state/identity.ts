import { createPublicKey, generateKeyPairSync, randomUUID, type KeyObject } from 'node:crypto';
import { calculateJwkThumbprint, SignJWT } from 'jose';
import { fileCalls, type FileCalls } from '../../kit/durable-file.ts';
import type { Logger } from '../../observability/logger.ts';
import {
  ed25519PublicJwkSchema,
  type Ed25519PublicJwk,
  type EnrolResponse,
} from '../../protocol/enrolment.ts';
import { CONNECT_TOKEN_LIFE_S, CONNECT_TOKEN_TYPE } from '../../protocol/limits.ts';
import {
  privateJwkSchema,
  privateKeyOf,
  recoverIdentityFile,
  writeIdentityFile,
  type Enrolment,
  type IdentityFile,
} from './identity-file.ts';

export type { Enrolment } from './identity-file.ts';

/** Who this delegate is. Replaced, never changed, when it enrols. */
export interface Identity {
  readonly instanceId: string;
  readonly publicJwk: Ed25519PublicJwk;
  /** RFC 7638 thumbprint of the public key. */
  readonly keyId: string;
  readonly privateKey: KeyObject;
  readonly enrolment: Enrolment | undefined;
}

/**
 * Reads the identity of this state folder, or makes one at the first start. For the one process that has locked the
 * folder: it mends what it finds. Rejects with `identity-unusable`.
 *
 * @param protect is given the private key
 */
export async function loadIdentity(
  stateDir: string,
  protect: (value: string) => unknown,
  log: Logger,
  calls: FileCalls = fileCalls,
): Promise<Identity> {
  const kept = await recoverIdentityFile(stateDir, log, calls);
  const file = kept ?? newIdentityFile();
  protect(file.key.d);
  if (kept === undefined) await writeIdentityFile(stateDir, file, log, calls);
  return await toIdentity(file);
}

/** Keeps what the manager answered. It is on disk, and was read back, before anybody can use it. */
export async function saveEnrolment(
  stateDir: string,
  identity: Identity,
  managerUrl: string,
  response: EnrolResponse,
  log: Logger,
): Promise<Identity & { readonly enrolment: Enrolment }> {
  const enrolment: Enrolment = {
    managerUrl,
    delegateId: response.delegateId,
    ...(response.taskSigningKeys === undefined ? {} : { taskSigningKeys: response.taskSigningKeys.keys }),
  };
  const file: IdentityFile = {
    format: 1,
    instanceId: identity.instanceId,
    key: privateJwkSchema.parse(identity.privateKey.export({ format: 'jwk' })),
    enrolment,
  };
  await writeIdentityFile(stateDir, file, log, fileCalls);
  return { ...(await toIdentity(file)), enrolment };
}

/** The bearer of one connect attempt (PROTOCOL.md, section 2). */
export async function signConnectToken(
  identity: Identity,
  enrolment: Enrolment,
  epochMs: number,
): Promise<string> {
  const issuedAt = Math.floor(epochMs / 1_000);
  return await new SignJWT()
    .setProtectedHeader({ alg: 'EdDSA', typ: CONNECT_TOKEN_TYPE, kid: identity.keyId })
    .setIssuer(enrolment.delegateId)
    .setSubject(enrolment.delegateId)
    .setAudience(enrolment.managerUrl)
    .setIssuedAt(issuedAt)
    .setExpirationTime(issuedAt + CONNECT_TOKEN_LIFE_S)
    .setJti(randomUUID())
    .sign(identity.privateKey);
}

function newIdentityFile(): IdentityFile {
  const { privateKey } = generateKeyPairSync('ed25519');
  return {
    format: 1,
    instanceId: randomUUID(),
    key: privateJwkSchema.parse(privateKey.export({ format: 'jwk' })),
  };
}

async function toIdentity(file: IdentityFile): Promise<Identity> {
  const privateKey = privateKeyOf(file);
  const publicJwk = ed25519PublicJwkSchema.parse(createPublicKey(privateKey).export({ format: 'jwk' }));
  return {
    instanceId: file.instanceId,
    publicJwk,
    keyId: await calculateJwkThumbprint({ kty: publicJwk.kty, crv: publicJwk.crv, x: publicJwk.x }),
    privateKey,
    enrolment: file.enrolment,
  };
}
