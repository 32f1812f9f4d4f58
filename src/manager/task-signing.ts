import { createPrivateKey, generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import { calculateJwkThumbprint } from 'jose';
import { z } from 'zod';
import { Secret } from '../kit/secret.ts';
import type { Clock } from '../kit/time.ts';
import { ed25519PublicJwkSchema, type Ed25519PublicJwk } from '../protocol/enrolment.ts';
import type { Json, TaskAssign } from '../protocol/messages.ts';
import { inputHash, type TaskSignatureClaims } from '../protocol/task-signature.ts';
import type { ManagerStore, SigningKeyRecord } from './store.ts';

/** From the offer to the delegate's check: transit and clock skew, not the task's own time. */
const SIGNATURE_LIFE_S = 300;

export interface TaskSigner {
  /** Handed out at enrolment. */
  readonly publicKeys: readonly Ed25519PublicJwk[];
  /** @throws DelegateError `input-not-canonical`: such an input can't be signed for anyone */
  assertSignable(input: Json): void;
  /** Compact JWS for `task.assign.signature` (PROTOCOL.md, section 5). */
  sign(assign: Omit<TaskAssign, 'type' | 'signature'>, delegateId: string): string;
}

/** Signs with the stored key, or makes one: a delegate trusts the keys of its enrolment across our restarts. */
export async function openTaskSigner(store: ManagerStore, clock: Clock): Promise<TaskSigner> {
  const [stored] = store.signingKeys.values();
  const record = stored ?? (await createSigningKey());
  if (stored === undefined) store.signingKeys.put(record.kid, record);
  const key = readPrivateKey(record);
  return {
    publicKeys: [record.publicKey],
    assertSignable: (input) => {
      inputHash(input);
    },
    sign({ taskId, attempt, name, version, input }, delegateId) {
      const iat = Math.floor(clock.now() / 1000);
      const claims: TaskSignatureClaims = {
        taskId,
        attempt,
        name,
        version,
        delegateId,
        inputHash: inputHash(input),
        iat,
        exp: iat + SIGNATURE_LIFE_S,
      };
      return compactJws({ alg: 'EdDSA', kid: record.kid }, claims, key);
    },
  };
}

/**
 * RFC 7515, section 7.1. By Node rather than jose because jose signs asynchronously: between the choice of a
 * delegate and the frame no other event may come.
 */
function compactJws(header: object, claims: object, key: KeyObject): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const signingInput = `${part(header)}.${part(claims)}`;
  return `${signingInput}.${sign(null, Buffer.from(signingInput), key).toString('base64url')}`;
}

async function createSigningKey(): Promise<SigningKeyRecord> {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const { kty, crv, x } = ed25519PublicJwkSchema.parse(publicKey.export({ format: 'jwk' }));
  const kid = await calculateJwkThumbprint({ kty, crv, x });
  return {
    kid,
    publicKey: { kty, crv, x, kid, alg: 'EdDSA', use: 'sig' },
    privateKey: new Secret(JSON.stringify(privateKey.export({ format: 'jwk' }))),
  };
}

const privateJwkSchema = z.object({
  kty: z.literal('OKP'),
  crv: z.literal('Ed25519'),
  x: z.string(),
  d: z.string(),
});

function readPrivateKey(record: SigningKeyRecord): KeyObject {
  const jwk = privateJwkSchema.parse(JSON.parse(record.privateKey.reveal()));
  return createPrivateKey({ key: jwk, format: 'jwk' });
}
