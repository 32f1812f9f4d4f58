import { createHash, X509Certificate, type KeyObject } from 'node:crypto';
import type { Secret } from '../kit/secret.ts';
import { toTimestamp } from '../kit/time.ts';
import { keyMaterialError } from './key-material-error.ts';
import { base64Bytes, MAX_KEY_TEXT_CHARS, pemBlocks } from './pem.ts';
import { isPkcs12 } from './pkcs12.ts';
import { readPkcs12, readPrivateKey } from './private-key.ts';

/** RFC 7518, section 3.3: RS256 needs a key of 2048 bits or more. */
const MIN_KEY_BITS = 2_048;

const EXPIRES_SOON_MS = 30 * 24 * 60 * 60 * 1_000;

export interface KeyMaterialInput {
  /**
   * PEM with the leaf first, or a PKCS#12 file as base64. Undefined if the private key is a PKCS#12 file that
   * brings its certificate along.
   */
  certificate?: Secret | undefined;
  /** PEM (PKCS#8, PKCS#1, either encrypted) or a PKCS#12 file as base64. */
  privateKey: Secret;
  passphrase?: Secret | undefined;
  /** Wall time, milliseconds since the epoch. */
  now: number;
}

/** A private key and its certificate that have been checked against each other and the calendar. */
export interface KeyMaterial {
  readonly key: KeyObject;
  readonly leaf: X509Certificate;
  /** Upper-case hex SHA-1 of the leaf's DER. */
  readonly kid: string;
  /** The same SHA-1 as base64url (RFC 7515, section 4.1.7). */
  readonly x5t: string;
  /** Milliseconds since the epoch. */
  readonly notAfter: number;
  /** Whether the certificate ends within 30 days. */
  readonly expiresSoon: boolean;
}

/** What may be shown of a certificate. Times are RFC 3339. */
export interface CertificateFacts {
  subject: string;
  issuer: string;
  serialNumber: string;
  notBefore: string;
  notAfter: string;
  /** As AD FS shows it: upper-case hex SHA-1. */
  thumbprint: string;
}

/**
 * Reads and checks the pair with which an assertion is signed, before any request is made: AD FS says
 * "MSIS9622" to each of these mistakes.
 *
 * @throws DelegateError `key-material.…`, category `credentials`, with `details.field`; never a value
 */
export function readKeyMaterial(input: KeyMaterialInput): KeyMaterial {
  const { key, certificates: bundled } = readPrivateKey(input.privateKey, input.passphrase);
  assertSigningKey(key);
  const chain =
    input.certificate === undefined
      ? { certificates: bundled, ordered: false }
      : readCertificates(input.certificate, input.passphrase);
  const leaf = leafFor(key, chain);
  const validity = assertValidAt(leaf, input.now);
  return {
    key,
    leaf,
    kid: thumbprint(leaf).toString('hex').toUpperCase(),
    x5t: thumbprint(leaf).toString('base64url'),
    notAfter: validity.notAfter,
    expiresSoon: validity.notAfter - input.now <= EXPIRES_SOON_MS,
  };
}

export function certificateFacts(leaf: X509Certificate): CertificateFacts {
  const { notBefore, notAfter } = validityOf(leaf);
  return {
    subject: onOneLine(leaf.subject),
    issuer: onOneLine(leaf.issuer),
    serialNumber: leaf.serialNumber,
    notBefore: toTimestamp(notBefore),
    notAfter: toTimestamp(notAfter),
    thumbprint: thumbprint(leaf).toString('hex').toUpperCase(),
  };
}

/** SHA-1 identifies the certificate here and secures nothing; `x5t` and AD FS' thumbprint are defined by it. */
function thumbprint(leaf: X509Certificate): Buffer {
  return createHash('sha1').update(leaf.raw).digest();
}

function assertSigningKey(key: KeyObject): void {
  // `rsa-pss` keys can't sign PKCS#1 v1.5, so they are no better than EC keys for RS256.
  if (key.asymmetricKeyType !== 'rsa') {
    throw keyMaterialError(
      'key-material.private-key-not-rsa',
      'privateKey',
      `The private key is of type ${key.asymmetricKeyType ?? 'unknown'}; signing with RS256 needs an RSA key.`,
    );
  }
  const bits = key.asymmetricKeyDetails?.modulusLength ?? 0;
  if (bits < MIN_KEY_BITS) {
    throw keyMaterialError(
      'key-material.private-key-too-short',
      'privateKey',
      `The RSA key has ${bits} bits; RS256 needs at least ${MIN_KEY_BITS}.`,
    );
  }
}

/** In PEM the order is a statement: the leaf comes first. A PKCS#12 file has none. */
interface Chain {
  certificates: readonly X509Certificate[];
  ordered: boolean;
}

function readCertificates(secret: Secret, passphrase: Secret | undefined): Chain {
  const text = secret.reveal();
  if (text.length > MAX_KEY_TEXT_CHARS) {
    throw certificateUnreadable(`The certificate is longer than ${MAX_KEY_TEXT_CHARS} characters.`);
  }
  const blocks = pemBlocks(text).filter(({ label }) => label.endsWith('CERTIFICATE'));
  const bytes = blocks.length === 0 ? base64Bytes(text) : undefined;
  if (bytes !== undefined && isPkcs12(bytes)) {
    return { certificates: readPkcs12(bytes, passphrase).certificates, ordered: false };
  }
  const encoded = bytes === undefined ? blocks.map((block) => block.text) : [bytes];
  try {
    return { certificates: encoded.map((certificate) => new X509Certificate(certificate)), ordered: true };
  } catch (cause) {
    throw certificateUnreadable("The certificate can't be decoded.", cause);
  }
}

function leafFor(key: KeyObject, { certificates, ordered }: Chain): X509Certificate {
  const belongs = certificates.findIndex((certificate) => certificate.checkPrivateKey(key));
  const leaf = certificates[ordered ? 0 : Math.max(0, belongs)];
  if (leaf === undefined) {
    throw certificateUnreadable('There is no certificate, neither by itself nor beside the private key.');
  }
  if (leaf.checkPrivateKey(key)) return leaf;
  throw keyMaterialError(
    'key-material.certificate-key-mismatch',
    'certificate',
    `The private key does not belong to the certificate (subject ${onOneLine(leaf.subject)}).`,
    belongs > 0 ? { hint: `Certificate ${belongs + 1} of the chain belongs to the key: put it first.` } : {},
  );
}

function assertValidAt(leaf: X509Certificate, now: number): { notAfter: number } {
  const { notBefore, notAfter } = validityOf(leaf);
  if (now < notBefore) {
    throw keyMaterialError(
      'key-material.certificate-not-yet-valid',
      'certificate',
      `The certificate is valid from ${toTimestamp(notBefore)}; it is ${toTimestamp(now)} now.`,
    );
  }
  if (now > notAfter) {
    throw keyMaterialError(
      'key-material.certificate-expired',
      'certificate',
      `The certificate ended at ${toTimestamp(notAfter)}; it is ${toTimestamp(now)} now.`,
    );
  }
  return { notAfter };
}

/** Node 20 gives the dates as text alone (`Jun  1 00:00:00 2026 GMT`). */
function validityOf(leaf: X509Certificate): { notBefore: number; notAfter: number } {
  const notBefore = Date.parse(leaf.validFrom);
  const notAfter = Date.parse(leaf.validTo);
  if (Number.isNaN(notBefore) || Number.isNaN(notAfter)) {
    throw certificateUnreadable("The certificate's validity can't be read.");
  }
  return { notBefore, notAfter };
}

function certificateUnreadable(message: string, cause?: unknown): Error {
  return keyMaterialError('key-material.certificate-unreadable', 'certificate', message, { cause });
}

/** Node separates the parts of a name by line breaks. */
function onOneLine(name: string): string {
  return name.split('\n').join(', ');
}
