import { createHash, createPrivateKey, generateKeyPair, randomBytes, X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { promisify } from 'node:util';
import forge from 'node-forge';

const DEFAULT_BITS = 2_048;
const DEFAULT_LIFETIME_MS = 365 * 24 * 60 * 60 * 1_000;
const CLOCK_MARGIN_MS = 60 * 60 * 1_000;

/** X.690 numbers of the GeneralName choices (RFC 5280, section 4.2.1.6). */
const SAN_DNS = 2;
const SAN_IP = 7;

export interface DevelopmentCertificateOptions {
  commonName: string;
  /** An hour ago, unless given. */
  notBefore?: Date;
  /** A year from now, unless given. */
  notAfter?: Date;
  /** 2048 unless given. */
  bits?: number;
  /** DNS names and IP addresses, for a server. */
  altNames?: readonly string[];
}

/** A self-signed RSA certificate and its key, for development and tests alone. */
export interface DevelopmentCertificate {
  readonly certificatePem: string;
  /** Upper-case hex SHA-1 of the DER, as AD FS shows it. */
  readonly thumbprint: string;
  readonly pkcs8Pem: string;
  readonly pkcs1Pem: string;
  encryptedPkcs8Pem(passphrase: string): string;
  /** Base64 text of a PKCS#12 file with key and certificate. */
  pkcs12Base64(passphrase: string): string;
}

/** It may serve as its own trust anchor, so a client needs this one certificate to trust a server that uses it. */
export async function createDevelopmentCertificate(
  options: DevelopmentCertificateOptions,
): Promise<DevelopmentCertificate> {
  // Node makes the key: forge's own generator, in plain JavaScript, takes seconds.
  const { privateKey: pkcs1Pem } = await promisify(generateKeyPair)('rsa', {
    modulusLength: options.bits ?? DEFAULT_BITS,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
  });
  const forgeKey = forge.pki.privateKeyFromPem(pkcs1Pem);
  const certificate = selfSigned(forgeKey, options);
  const certificatePem = forge.pki.certificateToPem(certificate).replaceAll('\r\n', '\n');
  const key = createPrivateKey(pkcs1Pem);
  return {
    certificatePem,
    thumbprint: thumbprintOf(new X509Certificate(certificatePem)),
    pkcs1Pem,
    pkcs8Pem: key.export({ type: 'pkcs8', format: 'pem' }).toString(),
    encryptedPkcs8Pem: (passphrase) =>
      key.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase }).toString(),
    pkcs12Base64: (passphrase) => {
      const pfx = forge.pkcs12.toPkcs12Asn1(forgeKey, certificate, passphrase, { algorithm: 'aes256' });
      return forge.util.encode64(forge.asn1.toDer(pfx).getBytes());
    },
  };
}

/** Upper-case hex SHA-1 of the DER. */
export function thumbprintOf(certificate: X509Certificate): string {
  return createHash('sha1').update(certificate.raw).digest('hex').toUpperCase();
}

function selfSigned(
  key: forge.pki.rsa.PrivateKey,
  options: DevelopmentCertificateOptions,
): forge.pki.Certificate {
  const certificate = forge.pki.createCertificate();
  certificate.publicKey = forge.pki.setRsaPublicKey(key.n, key.e);
  certificate.serialNumber = positiveSerial();
  certificate.validity.notBefore = options.notBefore ?? new Date(Date.now() - CLOCK_MARGIN_MS);
  certificate.validity.notAfter = options.notAfter ?? new Date(Date.now() + DEFAULT_LIFETIME_MS);
  const name = [{ name: 'commonName', value: options.commonName }];
  certificate.setSubject(name);
  certificate.setIssuer(name);
  const altNames = (options.altNames ?? []).map((value) =>
    isIP(value) === 0 ? { type: SAN_DNS, value } : { type: SAN_IP, ip: value },
  );
  certificate.setExtensions([
    { name: 'basicConstraints', cA: true, critical: true },
    { name: 'keyUsage', digitalSignature: true, keyEncipherment: true, keyCertSign: true, critical: true },
    ...(altNames.length === 0 ? [] : [{ name: 'subjectAltName', altNames }]),
  ]);
  certificate.sign(key, forge.md.sha256.create());
  return certificate;
}

/** RFC 5280, section 4.1.2.2: positive, at most 20 octets. A leading 0x01 sees to both. */
function positiveSerial(): string {
  return `01${randomBytes(15).toString('hex')}`;
}
