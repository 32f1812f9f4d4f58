import { compactVerify, errors, importJWK } from 'jose';
import { DelegateError } from '../../kit/errors.ts';
import type { Ed25519PublicJwk } from '../../protocol/enrolment.ts';
import { TASK_SIGNATURE_SKEW_S } from '../../protocol/limits.ts';
import type { Json, TaskAssign } from '../../protocol/messages.ts';
import { inputHash, taskSignatureClaimsSchema } from '../../protocol/task-signature.ts';

export interface SignatureRules {
  /** Any one of them will do. */
  keys: readonly Ed25519PublicJwk[];
  /** The operator refuses unsigned tasks even without a key. */
  required: boolean;
  delegateId: string;
}

/**
 * Why an assign's signature does not do; undefined if it does, or if none is asked for (PROTOCOL.md, section 5).
 * The claims are compared with the frame one by one: a signature of another task, attempt, delegate or input is
 * a valid signature, of something else.
 *
 * @param epochMs wall time
 */
export async function signatureFault(
  assign: TaskAssign,
  rules: SignatureRules,
  epochMs: number,
): Promise<string | undefined> {
  if (rules.keys.length === 0) {
    return rules.required ? 'Signed tasks are required here, and no signing key is known.' : undefined;
  }
  if (assign.signature === undefined) return 'The task is not signed.';
  const payload = await verifiedPayload(assign.signature, rules.keys);
  if (payload === undefined) return 'The signature is not by a known key.';
  const claims = taskSignatureClaimsSchema.safeParse(payload);
  if (!claims.success) return 'The signature lacks claims.';
  const { data } = claims;
  const nowS = epochMs / 1_000;
  if (data.taskId !== assign.taskId || data.attempt !== assign.attempt)
    return 'The signature is of another task.';
  if (data.name !== assign.name || data.version !== assign.version)
    return 'The signature is of another task type.';
  if (data.delegateId !== rules.delegateId) return 'The signature is for another delegate.';
  if (data.inputHash !== hashOrUndefined(assign.input)) return 'The signature is of another input.';
  if (data.exp < nowS - TASK_SIGNATURE_SKEW_S) return 'The signature has expired.';
  if (data.iat > nowS + TASK_SIGNATURE_SKEW_S) return 'The signature is from the future; check the clocks.';
  return undefined;
}

/** Undefined for input without a canonical form; nobody can have signed that. */
function hashOrUndefined(input: Json): string | undefined {
  try {
    return inputHash(input);
  } catch (thrown) {
    if (thrown instanceof DelegateError) return undefined;
    throw thrown;
  }
}

async function verifiedPayload(jws: string, keys: readonly Ed25519PublicJwk[]): Promise<unknown> {
  for (const jwk of keys) {
    try {
      const key = await importJWK({ kty: jwk.kty, crv: jwk.crv, x: jwk.x }, 'EdDSA');
      const { payload } = await compactVerify(jws, key, { algorithms: ['EdDSA', 'Ed25519'] });
      return JSON.parse(Buffer.from(payload).toString('utf8'));
    } catch (thrown) {
      // Not by this key, or not a JWS, or not JSON: all of them leave the task unsigned. Anything else is ours.
      if (!(thrown instanceof errors.JOSEError) && !(thrown instanceof SyntaxError)) throw thrown;
    }
  }
  return undefined;
}
