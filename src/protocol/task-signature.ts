import { createHash } from 'node:crypto';
import { z } from 'zod';
import { DelegateError, errorsOf, type ErrorKinds } from '../kit/errors.ts';
import { taskIdSchema, type Json } from './messages.ts';

export const SIGNATURE_ERRORS = {
  'input-not-canonical': {
    category: 'invalid-input',
    means:
      'The input of a task that is to be signed has no canonical form (RFC 8785), so that no signature over it could be checked.',
    remedy: 'Send numbers that a double can hold, and text that is well-formed Unicode.',
  },
} as const satisfies ErrorKinds;

const signatureError = errorsOf(SIGNATURE_ERRORS);

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

/**
 * `sha-256:` and the base64url SHA-256 of the canonical form of a task's input.
 * Throws `input-not-canonical` for an input that has none; a signature over it can't be right.
 */
export function inputHash(input: Json): string {
  return `sha-256:${createHash('sha256').update(canonicalJson(input)).digest('base64url')}`;
}

/** The same; undefined for an input that has no canonical form: nobody can have signed it. */
export function inputHashOrUndefined(input: Json): string | undefined {
  try {
    return inputHash(input);
  } catch (thrown) {
    if (thrown instanceof DelegateError) return undefined;
    throw thrown;
  }
}

/**
 * RFC 8785 (JSON Canonicalization Scheme). ECMAScript's own number and string forms are the ones that the RFC
 * prescribes, and its default sort is by UTF-16 code units, so only the order of keys is left to do.
 * Depth is bounded by the codec (`MAX_JSON_DEPTH`).
 *
 * The RFC (sections 3.2.2.2, 3.2.2.3) demands an error for what ECMAScript writes all the same: `1e400` reads as
 * Infinity and is written as `null`, and so would share the hash of a `null` that somebody did sign.
 */
export function canonicalJson(value: Json): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (typeof value === 'object' && value !== null) {
    const members = Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, item]) => `${canonicalJson(key)}:${canonicalJson(item)}`);
    return `{${members.join(',')}}`;
  }
  if (typeof value === 'number' && !Number.isFinite(value)) throw notCanonical('a number out of range');
  if (typeof value === 'string' && !value.isWellFormed()) throw notCanonical('half a surrogate pair');
  return JSON.stringify(value);
}

function notCanonical(what: string): DelegateError {
  return signatureError('input-not-canonical', `The task input has no canonical JSON form: ${what}.`);
}
