import { errorsOf, type DelegateError, type ErrorKinds } from '../kit/errors.ts';
import { toTimestamp } from '../kit/time.ts';

/** The input a complaint is about. The caller maps it to the path of its own field. */
export type KeyMaterialField = 'certificate' | 'privateKey' | 'passphrase';

/**
 * Why key material can't be used. All of it is `credentials`, not `secret`: the reference did resolve, and what it
 * resolved to is what the customer has to replace. None is retryable: the same bytes give the same answer.
 */
export const KEY_MATERIAL_ERRORS = {
  'key-material.certificate-unreadable': {
    category: 'credentials',
    means: 'What stands in the place of the certificate is none.',
    remedy: 'Give the X.509 certificate as PEM, its own first and the issuers after it.',
  },
  'key-material.certificate-not-yet-valid': {
    category: 'credentials',
    means: "The certificate begins to be valid after the time that this machine's clock shows.",
    remedy: "Wait until then, use the certificate that is valid today, or correct this machine's clock.",
  },
  'key-material.certificate-expired': {
    category: 'credentials',
    means: 'The certificate is no longer valid.',
    remedy:
      'Renew the certificate, register the new one with the token server, and replace certificate and key.',
  },
  'key-material.certificate-expires-soon': {
    category: 'credentials',
    means: 'The certificate still works and ends within 30 days.',
    remedy:
      'Register a new certificate with AD FS and put it and its key into the secret store before that day.',
  },
  'key-material.certificate-key-mismatch': {
    category: 'credentials',
    means: 'The private key is not that of the certificate.',
    remedy: 'Use the certificate that was issued for this key; after a renewal, replace both.',
  },
  'key-material.private-key-unreadable': {
    category: 'credentials',
    means: 'What stands in the place of the private key is none, or is in a form that can not be read.',
    remedy:
      'Give an RSA private key as PEM (PKCS#8, PKCS#1 or encrypted PKCS#8), or a PKCS#12 file as base64 text.',
  },
  'key-material.private-key-encrypted': {
    category: 'credentials',
    means: 'The private key is encrypted, and the connector names no passphrase.',
    remedy: 'Give the passphrase by a secret reference of its own, or store the key unencrypted.',
  },
  'key-material.passphrase-wrong': {
    category: 'credentials',
    means: 'The private key could not be decrypted with the passphrase.',
    remedy: 'Try the pair with "openssl pkey -in key.pem -noout" (or "openssl pkcs12 -in key.p12 -noout").',
  },
  'key-material.private-key-not-rsa': {
    category: 'credentials',
    means: 'The private key is of another kind than RSA, and the assertion is signed with RS256.',
    remedy: 'Create an RSA key of at least 2048 bits and register its certificate with the token server.',
  },
  'key-material.private-key-too-short': {
    category: 'credentials',
    means: 'The RSA key has fewer than 2048 bits.',
    remedy: 'Create a longer key and register its certificate with the token server.',
  },
} as const satisfies ErrorKinds;

const errorOf = errorsOf(KEY_MATERIAL_ERRORS);

/** @param facts a remedy that is more exact than the table's; the library's error, for the log */
export function keyMaterialError(
  code: keyof typeof KEY_MATERIAL_ERRORS,
  field: KeyMaterialField,
  message: string,
  facts: { hint?: string; cause?: unknown } = {},
): DelegateError {
  return errorOf(code, message, { ...facts, details: { field } });
}

/** A warning: the certificate ends soon. */
export function certificateExpiresSoon(notAfterMs: number): DelegateError {
  const notAfter = toTimestamp(notAfterMs);
  return errorOf(
    'key-material.certificate-expires-soon',
    `The AD FS client certificate ends on ${notAfter.slice(0, 10)}.`,
    { details: { notAfter } },
  );
}
