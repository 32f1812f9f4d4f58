import { calculateJwkThumbprint, compactVerify, errors, importJWK } from 'jose';
import { z } from 'zod';
import type { Ed25519PublicJwk } from '../protocol/enrolment.ts';

/** The readable parts of a compact JWS (RFC 7515, section 7.1). */
interface CompactJws {
  readonly header: Readonly<Record<string, unknown>>;
  readonly payload: Readonly<Record<string, unknown>>;
}

export type JwsVerdict =
  | ({ readonly is: 'signed' } & CompactJws)
  /** Which check failed; never a value that a stranger wrote. */
  | { readonly is: 'fault'; readonly why: string };

/**
 * Header members that ask the reader to do something else than check this signature by a key of its own: trust a key
 * or a certificate that came along, fetch one, read the payload in another form, know an extension.
 */
const FORBIDDEN_MEMBERS = ['crit', 'b64', 'zip', 'jwk', 'jku', 'x5u', 'x5c'] as const;
const ALGORITHMS = ['EdDSA', 'Ed25519'] as const;

const headerSchema = z.object({ alg: z.enum(ALGORITHMS), kid: z.string().optional() });

/** Whether a compact JWS over a JSON object is by one of these keys. Nothing in it is believed before that. */
export async function verifyJws(text: string, keys: readonly Ed25519PublicJwk[]): Promise<JwsVerdict> {
  if (keys.length === 0) return fault('No signing key is known here.');
  const jws = readCompactJws(text);
  if (jws === undefined) return fault('The signature is not a compact JWS of JSON without repeated members.');
  const forbidden = FORBIDDEN_MEMBERS.find((member) => Object.hasOwn(jws.header, member));
  if (forbidden !== undefined)
    return fault(`The header of the signature has ${forbidden}, which is not taken here.`);
  const header = headerSchema.safeParse(jws.header);
  if (!header.success) {
    const isAlgorithm = header.error.issues.some(({ path }) => path[0] === 'alg');
    return fault(
      isAlgorithm
        ? 'The signature is not by the algorithm EdDSA.'
        : 'The header of the signature has a kid that is no text.',
    );
  }
  const { kid } = header.data;
  // A `kid` only leaves out the keys that say that they are another.
  const candidates = kid === undefined ? keys : await keysNamed(kid, keys);
  if (candidates.length === 0) return fault('The signature names a key that is not known here.');
  for (const key of candidates) if (await isSignedBy(text, key)) return { is: 'signed', ...jws };
  return fault('The signature is not by a known key.');
}

/** Those of that name, which is their own `kid` or their thumbprint (RFC 7638); else those without a name. */
async function keysNamed(
  kid: string,
  keys: readonly Ed25519PublicJwk[],
): Promise<readonly Ed25519PublicJwk[]> {
  const named = [];
  for (const key of keys) {
    const { kty, crv, x } = key;
    if (key.kid === kid || (await calculateJwkThumbprint({ kty, crv, x })) === kid) named.push(key);
  }
  return named.length > 0 ? named : keys.filter((key) => key.kid === undefined);
}

async function isSignedBy(text: string, { kty, crv, x }: Ed25519PublicJwk): Promise<boolean> {
  try {
    const key = await importJWK({ kty, crv, x }, 'EdDSA');
    await compactVerify(text, key, { algorithms: [...ALGORITHMS] });
    return true;
  } catch (thrown) {
    // Whatever else is thrown is ours.
    if (!(thrown instanceof errors.JOSEError)) throw thrown;
    return false;
  }
}

/** Base64url without padding; a decoder that forgives anything else would read one text in two ways. */
const PART = /^[A-Za-z0-9_-]+$/;

const objectSchema = z.record(z.string(), z.unknown());

/** A string of JSON, and the colon behind it if it is a member's name. */
const STRING = /"(?:[^"\\]|\\.)*"(\s*:)?/g;

/**
 * Undefined for anything but three parts of which two are JSON objects. An object that names a member twice is none:
 * two readers may take it for two things, and both would be right (RFC 7515, section 4; RFC 7519, section 4). Nothing
 * of it is verified.
 */
export function readCompactJws(text: string): CompactJws | undefined {
  const parts = text.split('.');
  if (parts.length !== 3 || !parts.every((part) => PART.test(part))) return undefined;
  const [header, payload] = parts.map(objectOf);
  return header === undefined || payload === undefined ? undefined : { header, payload };
}

function objectOf(part: string): Record<string, unknown> | undefined {
  const text = Buffer.from(part, 'base64url').toString('utf8');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  const parsed = objectSchema.safeParse(value);
  if (!parsed.success) return undefined;
  const written = [...text.matchAll(STRING)].filter(([, colon]) => colon !== undefined).length;
  return written === membersIn(value) ? parsed.data : undefined;
}

/** Of a value and of all in it, level by level: nobody has bounded its depth. */
function membersIn(value: unknown): number {
  let count = 0;
  let level: unknown[] = [value];
  while (level.length > 0) {
    level = level.flatMap((item) => {
      if (typeof item !== 'object' || item === null) return [];
      const values: unknown[] = Object.values(item);
      if (!Array.isArray(item)) count += values.length;
      return values;
    });
  }
  return count;
}

function fault(why: string): JwsVerdict {
  return { is: 'fault', why };
}
