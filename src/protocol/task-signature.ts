import { createHash } from 'node:crypto';
import { z } from 'zod';
import { taskIdSchema, type Json } from './messages.ts';

/** Claims of `task.assign.signature`, a compact JWS with EdDSA (PROTOCOL.md, section 5). */
export const taskSignatureClaimsSchema = z.object({
  taskId: taskIdSchema,
  attempt: z.number().int().min(1),
  name: z.string(),
  version: z.number().int(),
  delegateId: z.string(),
  inputHash: z.string(),
  iat: z.number(),
  exp: z.number(),
});

export type TaskSignatureClaims = z.infer<typeof taskSignatureClaimsSchema>;

/** `sha-256:` and the base64url SHA-256 of the canonical form of a task's input. */
export function inputHash(input: Json): string {
  return `sha-256:${createHash('sha256').update(canonicalJson(input)).digest('base64url')}`;
}

/**
 * RFC 8785 (JSON Canonicalization Scheme). ECMAScript's own number and string forms are the ones that the RFC
 * prescribes, and its default sort is by UTF-16 code units, so only the order of keys is left to do.
 * Depth is bounded by the codec (`MAX_JSON_DEPTH`).
 */
export function canonicalJson(value: Json): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (typeof value === 'object' && value !== null) {
    const members = Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, item]) => `${JSON.stringify(key)}:${canonicalJson(item)}`);
    return `{${members.join(',')}}`;
  }
  return JSON.stringify(value);
}
