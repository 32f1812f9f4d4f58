import { hkdfSync, type KeyObject } from 'node:crypto';
import { z } from 'zod';
import type { Secret } from '../kit/secret.ts';

const STATE_KEY_BYTES = 32;
const privateJwkSchema = z.object({ d: z.string() });

/**
 * The key that everything in the state folder but the identity is encrypted with (HKDF-SHA256, RFC 5869).
 *
 * The operator's own key protects the folder's content from whoever gets hold of the folder. Without one it is derived
 * from the delegate's private key, which lies in the same folder: that protects a journal that travels alone, in a
 * support case or a partial backup, and makes sure that it belongs to this identity.
 */
export function stateKeyFrom(source: { operatorKey: Secret | undefined; identityKey: KeyObject }): Buffer {
  const { operatorKey, identityKey } = source;
  const material =
    operatorKey === undefined
      ? Buffer.from(privateJwkSchema.parse(identityKey.export({ format: 'jwk' })).d, 'base64url')
      : Buffer.from(operatorKey.reveal(), 'base64');
  const purpose = `servicenow-delegate state, from ${operatorKey === undefined ? 'identity' : 'operator'}`;
  return Buffer.from(hkdfSync('sha256', material, '', purpose, STATE_KEY_BYTES));
}
