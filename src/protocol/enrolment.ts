import { z } from 'zod';
import { VERSION_PATTERN } from './version.ts';

/** The public half of an Ed25519 key as a JWK (RFC 8037). Strict: a `d` in it would be the private half. */
export const ed25519PublicJwkSchema = z.strictObject({
  kty: z.literal('OKP'),
  crv: z.literal('Ed25519'),
  x: z.string().regex(/^[A-Za-z0-9_-]{43}$/),
  kid: z.string().max(256).optional(),
  alg: z.string().max(32).optional(),
  use: z.string().max(32).optional(),
});

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
  taskSigningKeys: z.object({ keys: z.array(ed25519PublicJwkSchema).max(16) }).optional(),
});

export type Ed25519PublicJwk = z.infer<typeof ed25519PublicJwkSchema>;
export type EnrolRequest = z.infer<typeof enrolRequestSchema>;
export type EnrolResponse = z.infer<typeof enrolResponseSchema>;
