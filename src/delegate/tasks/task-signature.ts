import type { Ed25519PublicJwk } from '../../protocol/enrolment.ts';
import { MAX_TASK_SIGNATURE_LIFE_S, TASK_SIGNATURE_SKEW_S } from '../../protocol/limits.ts';
import type { TaskAssign } from '../../protocol/messages.ts';
import {
  inputHashOrUndefined,
  taskSignatureClaimsSchema,
  type TaskSignatureClaims,
} from '../../protocol/task-signature.ts';
import { verifyJws } from '../jws.ts';

export interface SignatureRules {
  /** Any one of them will do. */
  keys: readonly Ed25519PublicJwk[];
  /** The operator refuses unsigned tasks even without a key. */
  required: boolean;
  delegateId: string;
}

/** Seconds since the epoch between which a signature holds, by the signer's clock. */
export interface SignatureTerm {
  readonly issuedAtS: number;
  readonly expiresAtS: number;
}

export type SignatureVerdict =
  | { readonly is: 'not-asked' }
  | { readonly is: 'good'; readonly term: SignatureTerm }
  /** Which check failed; never a value that a stranger wrote. */
  | { readonly is: 'fault'; readonly why: string };

/**
 * Whether an assign's signature does, if one is asked for (PROTOCOL.md, section 5). The claims are compared with the
 * frame one by one: a signature of another task, attempt, delegate or input is a valid signature, of something else.
 *
 * Times are judged by this machine's clock and never by what the manager says of the time: who could move the clock
 * could make an old signature new.
 *
 * @param nowS seconds since the epoch
 */
export async function judgeSignature(
  assign: TaskAssign,
  rules: SignatureRules,
  nowS: number,
): Promise<SignatureVerdict> {
  if (rules.keys.length === 0) {
    return rules.required
      ? fault('Signed tasks are required here, and no signing key is known.')
      : { is: 'not-asked' };
  }
  if (assign.signature === undefined) return fault('The task is not signed.');
  const jws = await verifyJws(assign.signature, rules.keys);
  if (jws.is === 'fault') return jws;
  const claims = taskSignatureClaimsSchema.safeParse(jws.payload);
  if (!claims.success) return fault('The signature lacks claims.');
  const wrong = claimsFault(claims.data, assign, rules.delegateId) ?? termFault(claims.data, nowS);
  if (wrong !== undefined) return fault(wrong);
  return { is: 'good', term: { issuedAtS: claims.data.iat, expiresAtS: claims.data.exp } };
}

function claimsFault(
  claims: TaskSignatureClaims,
  assign: TaskAssign,
  delegateId: string,
): string | undefined {
  if (claims.taskId !== assign.taskId || claims.attempt !== assign.attempt)
    return 'The signature is of another task or attempt.';
  if (claims.name !== assign.name || claims.version !== assign.version)
    return 'The signature is of another task type.';
  if (claims.delegateId !== delegateId) return 'The signature is for another delegate.';
  if (claims.inputHash !== inputHashOrUndefined(assign.input)) return 'The signature is of another input.';
  return undefined;
}

function termFault({ iat, exp }: TaskSignatureClaims, nowS: number): string | undefined {
  if (exp - iat > MAX_TASK_SIGNATURE_LIFE_S)
    return `The signature holds for longer than ${MAX_TASK_SIGNATURE_LIFE_S} s.`;
  if (exp < nowS - TASK_SIGNATURE_SKEW_S)
    return "The signature has expired, by this machine's clock and all that it has seen.";
  if (iat > nowS + TASK_SIGNATURE_SKEW_S)
    return "The signature is from the future, by this machine's clock; check the clocks.";
  return undefined;
}

function fault(why: string): SignatureVerdict {
  return { is: 'fault', why };
}
