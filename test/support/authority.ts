import { generateKeyPair, randomBytes } from 'node:crypto';
import { isIP } from 'node:net';
import { promisify } from 'node:util';
import forge from 'node-forge';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** X.690 numbers of the GeneralName choices (RFC 5280, section 4.2.1.6). */
const SAN_DNS = 2;
const SAN_IP = 7;

/** A certificate and its key, PEM. */
export interface Issued {
  readonly cert: string;
  readonly key: string;
}

interface Wanted {
  commonName?: string;
  /** DNS names and IP addresses. */
  names?: readonly string[];
  notAfter?: Date;
}

/** A certificate authority of the customer's own, as a company has one. Its leaves share one key, which is slow to make. */
export class Authority {
  /** PEM of the authority itself. */
  readonly cert: string;
  readonly #name: forge.pki.CertificateField[];
  readonly #key: forge.pki.rsa.PrivateKey;
  readonly #leafKeyPem: string;

  private constructor(commonName: string, keyPem: string, leafKeyPem: string) {
    this.#name = [{ name: 'commonName', value: commonName }];
    this.#key = forge.pki.privateKeyFromPem(keyPem);
    this.#leafKeyPem = leafKeyPem;
    this.cert = this.#sign(this.#key, { commonName }, [
      { name: 'basicConstraints', cA: true, critical: true },
      { name: 'keyUsage', keyCertSign: true, critical: true },
    ]);
  }

  static async create(commonName: string): Promise<Authority> {
    const [key, leafKey] = await Promise.all([newKeyPem(), newKeyPem()]);
    return new Authority(commonName, key, leafKey);
  }

  /** For a server or for a client. */
  issue(wanted: Wanted): Issued {
    const altNames = (wanted.names ?? []).map((value) =>
      isIP(value) === 0 ? { type: SAN_DNS, value } : { type: SAN_IP, ip: value },
    );
    const cert = this.#sign(forge.pki.privateKeyFromPem(this.#leafKeyPem), wanted, [
      { name: 'extKeyUsage', serverAuth: true, clientAuth: true },
      ...(altNames.length === 0 ? [] : [{ name: 'subjectAltName', altNames }]),
    ]);
    return { cert, key: this.#leafKeyPem };
  }

  #sign(
    of: forge.pki.rsa.PrivateKey,
    { commonName = 'leaf', notAfter }: Wanted,
    extensions: object[],
  ): string {
    const certificate = forge.pki.createCertificate();
    certificate.publicKey = forge.pki.setRsaPublicKey(of.n, of.e);
    certificate.serialNumber = `01${randomBytes(15).toString('hex')}`;
    certificate.validity.notBefore = new Date(Date.now() - 2 * DAY_MS);
    certificate.validity.notAfter = notAfter ?? new Date(Date.now() + DAY_MS);
    certificate.setSubject([{ name: 'commonName', value: commonName }]);
    certificate.setIssuer(this.#name);
    certificate.setExtensions(extensions);
    certificate.sign(this.#key, forge.md.sha256.create());
    return forge.pki.certificateToPem(certificate).replaceAll('\r\n', '\n');
  }
}

/** A moment that has passed, while the certificate's beginning has too. */
export function anHourAgo(): Date {
  return new Date(Date.now() - HOUR_MS);
}

/** Node makes the key: forge's own generator, in plain JavaScript, takes seconds. */
async function newKeyPem(): Promise<string> {
  const { privateKey } = await promisify(generateKeyPair)('rsa', {
    modulusLength: 2_048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
  });
  return privateKey;
}
