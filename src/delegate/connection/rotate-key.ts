import { randomUUID } from 'node:crypto';
import { SignJWT } from 'jose';
import { forbidden, ManagerRefusal, parseOrUndefined } from './manager-refusal.ts';
import { retryAfterMs, type HttpSend } from '../../kit/http-exchange.ts';
import {
  rotateKeyResponseSchema,
  type KeyProofClaims,
  type RotateKeyRequest,
} from '../../protocol/key-rotation.ts';
import {
  CONNECT_TOKEN_LIFE_S,
  KEY_PROOF_TYPE,
  ROTATE_KEY_PATH,
  ROTATE_KEY_TOKEN_TYPE,
} from '../../protocol/limits.ts';
import { signToken, type Enrolment, type IdentityKey } from '../state/identity.ts';

/** Statuses of a manager, or of something before it, that has no such route. */
const NO_SUCH_ROUTE: readonly number[] = [404, 405, 501];

export interface KeyChange {
  readonly from: IdentityKey;
  readonly to: IdentityKey;
  readonly enrolment: Enrolment;
  /** Milliseconds since the epoch, by the clock that tokens go by. */
  readonly epochMs: number;
}

/**
 * Asks the manager to accept another key in the place of the one in use (PROTOCOL.md, section 8.1). Asking again is
 * the same as asking once. Rejects with `ManagerRefusal` or an error of the transport.
 *
 * @param protect is given the bearer token
 */
export async function requestKeyChange(
  send: HttpSend,
  change: KeyChange,
  protect: (token: string) => unknown,
  signal: AbortSignal,
): Promise<'accepted' | 'unsupported'> {
  const { from, to, enrolment, epochMs } = change;
  const token = await signToken(ROTATE_KEY_TOKEN_TYPE, from, enrolment, epochMs);
  protect(token);
  const body: RotateKeyRequest = { publicKey: to.publicJwk, proof: await signProof(change) };
  const {
    status,
    headers,
    body: answer,
  } = await send({
    method: 'POST',
    url: new URL(enrolment.managerUrl + ROTATE_KEY_PATH),
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
    signal,
  });
  if (status === 200) {
    const parsed = rotateKeyResponseSchema.safeParse(parseOrUndefined(answer));
    if (parsed.success && parsed.data.keyId === to.keyId) return 'accepted';
  }
  if (NO_SUCH_ROUTE.includes(status)) return 'unsupported';
  if (status === 403) throw forbidden(answer);
  throw new ManagerRefusal(
    'key-rotation-refused',
    `The manager answered the change of the delegate's key with HTTP ${status}.`,
    { status, next: 'reconnect', retryAfterMs: retryAfterMs(headers, epochMs) },
  );
}

/** That whoever asks holds the new key, and means it for this delegate in the place of that key. */
async function signProof({ from, to, enrolment, epochMs }: KeyChange): Promise<string> {
  const iat = Math.floor(epochMs / 1_000);
  const claims: KeyProofClaims = {
    delegateId: enrolment.delegateId,
    replaces: from.keyId,
    aud: enrolment.managerUrl,
    iat,
    exp: iat + CONNECT_TOKEN_LIFE_S,
    jti: randomUUID(),
  };
  return await new SignJWT({ ...claims })
    .setProtectedHeader({ alg: 'EdDSA', typ: KEY_PROOF_TYPE, kid: to.keyId })
    .sign(to.privateKey);
}
