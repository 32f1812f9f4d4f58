import { hkdfSync, type KeyObject } from 'node:crypto';
import type { Secret } from '../../kit/secret.ts';
import { privateJwkSchema } from './identity-file.ts';

const KEY_BYTES = 32;

export interface KeySource {
  /** 32 bytes in base64. */
  operatorKey: Secret | undefined;
  /** The delegate's private key. */
  identityKey: KeyObject;
}

export interface StateKeySource extends KeySource {
  /** Tasks and results of one manager are not for another: with its address the key changes. */
  managerUrl: string;
}

/**
 * The key that the journal is encrypted with (HKDF-SHA256, RFC 5869).
 *
 * The operator's own key protects the folder's content from whoever gets hold of the folder. Without one it is derived
 * from the delegate's private key, which lies in the same folder: that protects a journal that travels alone, in a
 * support case or a partial backup, and makes sure that it belongs to this identity.
 */
export function stateKeyFrom({ managerUrl, ...source }: StateKeySource): Buffer {
  return derived(source, managerUrl, (origin) => `servicenow-delegate state, from ${origin}, for a manager`);
}

/** The key of the kept secrets, likewise. They are the customer's, whichever manager asks for their use. */
export function keptSecretsKeyFrom(source: KeySource): Buffer {
  return derived(source, '', (origin) => `servicenow-delegate kept secrets, from ${origin}`);
}

function derived(source: KeySource, salt: string, purposeOf: (origin: string) => string): Buffer {
  const { operatorKey, identityKey } = source;
  const [material, origin] =
    operatorKey === undefined
      ? [
          Buffer.from(privateJwkSchema.parse(identityKey.export({ format: 'jwk' })).d, 'base64url'),
          'identity',
        ]
      : [Buffer.from(operatorKey.reveal(), 'base64'), 'operator'];
  return Buffer.from(hkdfSync('sha256', material, salt, purposeOf(origin), KEY_BYTES));
}
