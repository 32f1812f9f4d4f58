import { TASK_SIGNING_KEYS_TYPE } from '../../protocol/limits.ts';
import { taskSigningKeysClaimsSchema } from '../../protocol/task-signing-keys.ts';
import { readCompactJws, verifyJws } from '../jws.ts';
import type { Enrolment } from '../state/identity.ts';

export type KeySetVerdict =
  | { readonly is: 'newer'; readonly enrolment: Enrolment }
  /** Known already: a manager tells all of its sets at each opening. */
  | { readonly is: 'known' }
  | { readonly is: 'fault'; readonly why: string };

/**
 * Whether a set of task-signing keys takes the place of those of the enrolment (PROTOCOL.md, section 8.2): by one of
 * the keys known now, and younger than they are. Without a known key nobody can vouch for one: that takes enrolment.
 */
export async function judgeKeySet(signed: string, enrolment: Enrolment): Promise<KeySetVerdict> {
  const { taskSigningKeys = [], taskSigningSequence = 0 } = enrolment;
  const claims = taskSigningKeysClaimsSchema.safeParse(readCompactJws(signed)?.payload);
  // Before the signature: who signed an old set may be known no more, and to pass it over does no harm.
  if (claims.success && claims.data.sequence <= taskSigningSequence) return { is: 'known' };
  const jws = await verifyJws(signed, taskSigningKeys);
  if (jws.is === 'fault') return jws;
  if (jws.header['typ'] !== TASK_SIGNING_KEYS_TYPE) return fault('The signature is of another kind.');
  if (!claims.success) return fault('The signature lacks claims.');
  const { keys, sequence } = claims.data;
  return {
    is: 'newer',
    enrolment: { ...enrolment, taskSigningKeys: keys, taskSigningSequence: sequence },
  };
}

function fault(why: string): KeySetVerdict {
  return { is: 'fault', why };
}
