import { DelegateError } from '../kit/errors.ts';

/** The input a complaint is about. The caller maps it to the path of its own field. */
export type KeyMaterialField = 'certificate' | 'privateKey' | 'passphrase';

/** Why key material can't be used; each is the tail of a code `key-material.…`. */
export type KeyMaterialFault =
  | 'certificate-unreadable'
  | 'certificate-not-yet-valid'
  | 'certificate-expired'
  | 'certificate-key-mismatch'
  | 'private-key-unreadable'
  | 'private-key-encrypted'
  | 'passphrase-wrong'
  | 'private-key-not-rsa'
  | 'private-key-too-short';

/**
 * All of them are `credentials`, not `secret`: the reference did resolve, and what it resolved to is what the
 * customer has to replace. None is retryable: the same bytes give the same answer.
 */
export function keyMaterialError(
  fault: KeyMaterialFault,
  field: KeyMaterialField,
  message: string,
  hint: string,
  cause?: unknown,
): DelegateError {
  return new DelegateError(`key-material.${fault}`, message, {
    category: 'credentials',
    hint,
    details: { field },
    cause,
  });
}
