import { z } from 'zod';
import { VERSION_PATTERN } from './version.ts';

/**
 * The public half of an Ed25519 key as a JWK (RFC 8037). Members that it does not know are ignored (RFC 7517,
 * section 4), but for `d`: that would be the private half.
 */
export const ed25519PublicJwkSchema = z.object({
  kty: z.literal('OKP'),
  crv: z.literal('Ed25519'),
  x: z.string().regex(/^[A-Za-z0-9_-]{43}$/),
  kid: z.string().max(256).optional(),
  alg: z.string().max(32).optional(),
  use: z.string().max(32).optional(),
  d: z.never().optional(),
});

const jwkSet = z.object({
  keys: z.array(ed25519PublicJwkSchema).max(16),
  /** Of the set, for a manager that replaces its keys (PROTOCOL.md, section 8.2). */
  sequence: z.number().int().min(1).max(Number.MAX_SAFE_INTEGER).optional(),
});
const anyJwkSet = z.looseObject({ keys: z.array(z.looseObject({})).min(1) });

/**
 * Takes the keys of other kinds out of a set: the manager may have them for others. A set with no key for us is
 * handed on as it is, and so refused: without keys, unsigned tasks would be taken.
 */
function withoutOtherKinds(set: unknown): unknown {
  if (set === null) return undefined;
  const parsed = anyJwkSet.safeParse(set);
  if (!parsed.success) return set;
  const ours = parsed.data.keys.filter((key) => key['kty'] === 'OKP' && key['crv'] === 'Ed25519');
  return ours.length === 0 ? set : { ...parsed.data, keys: ours };
}

/** `POST M/delegate/v1/enroll`, with `Authorization: Bearer <enrolment token>`. */
export const enrolRequestSchema = z.object({
  name: z.string().min(1).max(256),
  instanceId: z.guid(),
  publicKey: ed25519PublicJwkSchema,
  version: z.string().regex(VERSION_PATTERN),
});

/** Its answer, with status 201. */
export const enrolResponseSchema = z.object({
  delegateId: z.string().min(1).max(256),
  taskSigningKeys: z.preprocess(withoutOtherKinds, jwkSet.optional()).optional(),
});

export type Ed25519PublicJwk = z.infer<typeof ed25519PublicJwkSchema>;
export type EnrolRequest = z.infer<typeof enrolRequestSchema>;
export type EnrolResponse = z.infer<typeof enrolResponseSchema>;
