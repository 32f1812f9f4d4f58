import { z } from 'zod';
import { ed25519PublicJwkSchema } from './enrolment.ts';

/** `POST M/delegate/v1/rotate-key` (PROTOCOL.md, section 8.1), with a token by the key that is to be replaced. */
export const rotateKeyRequestSchema = z.object({
  publicKey: ed25519PublicJwkSchema,
  /** Compact JWS by the new key over `keyProofClaimsSchema`: whoever asks holds its private half. */
  proof: z.string().max(8_192),
});

/** Its answer, with status 200, the first time and every other. */
export const rotateKeyResponseSchema = z.object({
  /** RFC 7638 thumbprint of the key that is accepted from now on, beside the old one until it has connected. */
  keyId: z.string().min(1).max(256),
});

export const keyProofClaimsSchema = z.object({
  delegateId: z.string(),
  /** RFC 7638 thumbprint of the key that is to be replaced. */
  replaces: z.string(),
  aud: z.string(),
  iat: z.number(),
  exp: z.number(),
  jti: z.string().min(1).max(256),
});

export type RotateKeyRequest = z.infer<typeof rotateKeyRequestSchema>;
export type KeyProofClaims = z.infer<typeof keyProofClaimsSchema>;
