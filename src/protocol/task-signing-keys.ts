import { z } from 'zod';
import { ed25519PublicJwkSchema } from './enrolment.ts';

/** What `task-signing-keys.signed` says: from now on these keys, and no other (PROTOCOL.md, section 8.2). */
export const taskSigningKeysClaimsSchema = z.object({
  keys: z.array(ed25519PublicJwkSchema).min(1).max(16),
  /** Grows with each set of a manager: an older set than the known one is not taken. */
  sequence: z.number().int().min(1).max(Number.MAX_SAFE_INTEGER),
  iat: z.number(),
});

export type TaskSigningKeysClaims = z.infer<typeof taskSigningKeysClaimsSchema>;
