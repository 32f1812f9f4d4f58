import { existsSync, readFileSync } from 'node:fs';
import { z } from 'zod';
import { systemCode } from '../kit/errors.ts';
import { Secret } from '../kit/secret.ts';
import { ed25519PublicJwkSchema, type Ed25519PublicJwk } from '../protocol/enrolment.ts';
import { labelOf } from './leaves.ts';
import type { Settings } from './schema.ts';

const STATE_KEY_BYTES = 32;

/** Unlike an enrolment token, it is needed at each start: a file that is gone is a mistake. */
export function readStateKey(settings: Settings, complaints: string[]): Secret | undefined {
  const { stateKey, stateKeyFile } = settings;
  if (stateKey !== '' && stateKeyFile !== '') {
    complaints.push('stateKey: give either DELEGATE_STATE_KEY or DELEGATE_STATE_KEY_FILE, not both');
    return undefined;
  }
  if (stateKey === '' && stateKeyFile === '') return undefined;
  const setting = stateKeyFile === '' ? 'stateKey' : 'stateKeyFile';
  const text = stateKeyFile === '' ? stateKey : readText('stateKeyFile', stateKeyFile, complaints);
  if (text === undefined) return undefined;
  const bytes = keyBytes(text.trim());
  if (bytes !== undefined) return new Secret(bytes.toString('base64'));
  complaints.push(
    `${labelOf(setting)}: must be ${STATE_KEY_BYTES} random bytes in base64 or hex, for example from openssl rand -base64 ${STATE_KEY_BYTES}`,
  );
  return undefined;
}

/** Undefined unless it is the right number of bytes in one of the usual spellings. */
function keyBytes(text: string): Buffer | undefined {
  const bytes = /^[0-9a-f]{64}$/i.test(text)
    ? Buffer.from(text, 'hex')
    : /^[A-Za-z0-9+/_-]{43}=?$/.test(text)
      ? Buffer.from(text, 'base64')
      : undefined;
  return bytes?.length === STATE_KEY_BYTES ? bytes : undefined;
}

/** A file that is gone is only worth a warning: operators remove the token once the delegate has enrolled. */
export function readEnrolmentToken(
  settings: Settings,
  complaints: string[],
  warnings: string[],
): Secret | undefined {
  if (settings.enrolmentTokenFile === '') {
    const token = settings.enrolmentToken.trim();
    return token === '' ? undefined : new Secret(token);
  }
  if (settings.enrolmentToken !== '') {
    complaints.push(
      'enrolmentToken: give either DELEGATE_ENROLMENT_TOKEN or DELEGATE_ENROLMENT_TOKEN_FILE, not both',
    );
    return undefined;
  }
  if (!existsSync(settings.enrolmentTokenFile)) {
    warnings.push(
      `${labelOf('enrolmentTokenFile')}: there is no such file; without it the delegate can't enrol.`,
    );
    return undefined;
  }
  const token = readText('enrolmentTokenFile', settings.enrolmentTokenFile, complaints)?.trim();
  if (token === '') complaints.push(`${labelOf('enrolmentTokenFile')}: the file is empty`);
  return token === undefined || token === '' ? undefined : new Secret(token);
}

const jwkSetSchema = z.object({ keys: z.array(ed25519PublicJwkSchema).min(1).max(16) });

export function readTaskSigningKeys(
  path: string,
  complaints: string[],
): readonly Ed25519PublicJwk[] | undefined {
  if (path === '') return undefined;
  const text = readText('taskSigningKeysFile', path, complaints);
  if (text === undefined) return undefined;
  const keys = parseTaskSigningKeys(text);
  if (keys === undefined) {
    complaints.push(`${labelOf('taskSigningKeysFile')}: the file is not a JWK set of public Ed25519 keys`);
  }
  return keys;
}

/** Undefined unless it is a JWK set (RFC 7517, section 5) of public Ed25519 keys, of one at least. */
export function parseTaskSigningKeys(text: string): readonly Ed25519PublicJwk[] | undefined {
  try {
    return jwkSetSchema.parse(JSON.parse(text)).keys;
  } catch {
    return undefined;
  }
}

/** The token in the file as it is now; undefined if there is none. Read again each time, so that nobody keeps it. */
export function readTokenFile(path: string): Secret | undefined {
  let token: string;
  try {
    token = readFileSync(path, 'utf8').trim();
  } catch {
    // Operators remove it once the delegate has enrolled, and without it the delegate says what it needs.
    return undefined;
  }
  return token === '' ? undefined : new Secret(token);
}

/** The path is not quoted: a token given where its file belongs would be. */
function readText(setting: keyof Settings, path: string, complaints: string[]): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (thrown) {
    complaints.push(`${labelOf(setting)}: the file cannot be read (${systemCode(thrown) ?? 'unknown'})`);
    return undefined;
  }
}
