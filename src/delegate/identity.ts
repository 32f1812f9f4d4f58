import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  randomUUID,
  type KeyObject,
} from 'node:crypto';
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { calculateJwkThumbprint, SignJWT } from 'jose';
import { z } from 'zod';
import { DelegateError, systemCode } from '../kit/errors.ts';
import { ed25519PublicJwkSchema, type Ed25519PublicJwk, type EnrolResponse } from '../protocol/enrolment.ts';
import { CONNECT_TOKEN_LIFE_S, CONNECT_TOKEN_TYPE } from '../protocol/limits.ts';

const FILE_NAME = 'identity.json';
const FILE_MODE = 0o600;
const FOLDER_MODE = 0o700;

const privateJwkSchema = z.object({
  kty: z.literal('OKP'),
  crv: z.literal('Ed25519'),
  x: z.string(),
  d: z.string(),
});

const enrolmentSchema = z.object({
  /** The manager that knows this delegate. Another address means another enrolment. */
  managerUrl: z.string(),
  delegateId: z.string(),
  taskSigningKeys: z.array(ed25519PublicJwkSchema).optional(),
});

const fileSchema = z.object({
  format: z.literal(1),
  instanceId: z.guid(),
  key: privateJwkSchema,
  enrolment: enrolmentSchema.optional(),
});

type IdentityFile = z.infer<typeof fileSchema>;
export type Enrolment = z.infer<typeof enrolmentSchema>;

/** Who this delegate is. Replaced, never changed, when it enrols. */
export interface Identity {
  readonly instanceId: string;
  readonly publicJwk: Ed25519PublicJwk;
  /** RFC 7638 thumbprint of the public key. */
  readonly keyId: string;
  readonly privateKey: KeyObject;
  readonly enrolment: Enrolment | undefined;
}

/** Reads the identity of this state folder, or makes one at the first start. */
export async function loadIdentity(stateDir: string, protect: (value: string) => unknown): Promise<Identity> {
  const path = join(stateDir, FILE_NAME);
  const existing = await readIdentityFile(path);
  const file = existing ?? newIdentityFile();
  protect(file.key.d);
  if (existing === undefined) await writeIdentityFile(stateDir, file);
  return await toIdentity(file);
}

/** Keeps what the manager answered. It is on disk, and was read back, before anybody can use it. */
export async function saveEnrolment(
  stateDir: string,
  identity: Identity,
  managerUrl: string,
  response: EnrolResponse,
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
  await writeIdentityFile(stateDir, file);
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

/** Throws if the parts of the key do not make one. */
function privateKeyOf(file: IdentityFile): KeyObject {
  return createPrivateKey({ key: file.key, format: 'jwk' });
}

async function readIdentityFile(path: string): Promise<IdentityFile | undefined> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (thrown) {
    if (systemCode(thrown) === 'ENOENT') return undefined;
    throw stateError(path, `cannot be read (${systemCode(thrown) ?? 'unknown'})`, thrown);
  }
  try {
    const file = fileSchema.parse(JSON.parse(text));
    privateKeyOf(file);
    return file;
  } catch {
    // Neither text nor cause: both may hold the key. Not replaced either: a new key is a new delegate, and
    // whether this one is to be forgotten is for the operator to say.
    throw stateError(path, 'is damaged', undefined);
  }
}

/** Temporary file, fsync, rename, fsync of the folder: after a crash there is the old file or the new one. */
async function writeIdentityFile(stateDir: string, file: IdentityFile): Promise<void> {
  const path = join(stateDir, FILE_NAME);
  const temporary = `${path}.${randomUUID()}.tmp`;
  const text = `${JSON.stringify(file, null, 2)}\n`;
  let kept: string;
  try {
    await mkdir(stateDir, { recursive: true, mode: FOLDER_MODE });
    {
      // Made by us or not at all: a name that is taken could be a link, or open to others.
      await using handle = await open(temporary, 'wx', FILE_MODE);
      await handle.writeFile(text);
      await handle.sync();
    }
    await rename(temporary, path);
    await using folder = await open(stateDir, 'r');
    await folder.sync();
    kept = await readFile(path, 'utf8');
  } catch (thrown) {
    // As far as that is possible: what stood in the way of writing is what is told.
    await rm(temporary, { force: true }).catch(() => {});
    throw stateError(path, `cannot be written (${systemCode(thrown) ?? 'unknown'})`, thrown);
  }
  if (kept !== text) throw stateError(path, 'was not kept as written', undefined);
}

function stateError(path: string, what: string, cause: unknown): DelegateError {
  return new DelegateError('identity-unusable', `The identity file ${path} ${what}.`, {
    category: 'internal',
    hint:
      what === 'is damaged'
        ? 'Restore it from a backup, or remove it and give an enrolment token: the delegate then enrols as a new one.'
        : 'Give the user that the delegate runs as a state folder that it may read and write (DELEGATE_STATE_DIR), on a disk with room.',
    details: { path },
    cause,
  });
}
