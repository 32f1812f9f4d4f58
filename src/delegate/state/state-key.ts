import { hkdfSync, type KeyObject } from 'node:crypto';
import type { Secret } from '../../kit/secret.ts';
import { privateJwkSchema } from './identity-file.ts';

const STATE_KEY_BYTES = 32;

export interface StateKeySource {
  /** 32 bytes in base64. */
  operatorKey: Secret | undefined;
  /** The delegate's private key. */
  identityKey: KeyObject;
  /** Tasks and results of one manager are not for another: with its address the key changes. */
  managerUrl: string;
}

/**
 * The key that everything in the state folder but the identity is encrypted with (HKDF-SHA256, RFC 5869).
 *
 * The operator's own key protects the folder's content from whoever gets hold of the folder. Without one it is derived
 * from the delegate's private key, which lies in the same folder: that protects a journal that travels alone, in a
 * support case or a partial backup, and makes sure that it belongs to this identity.
 */
export function stateKeyFrom({ operatorKey, identityKey, managerUrl }: StateKeySource): Buffer {
  const [material, origin] =
    operatorKey === undefined
      ? [
          Buffer.from(privateJwkSchema.parse(identityKey.export({ format: 'jwk' })).d, 'base64url'),
          'identity',
        ]
      : [Buffer.from(operatorKey.reveal(), 'base64'), 'operator'];
  const purpose = `servicenow-delegate state, from ${origin}, for a manager`;
  return Buffer.from(hkdfSync('sha256', material, managerUrl, purpose, STATE_KEY_BYTES));
}
