import { createPrivateKey, X509Certificate, type KeyObject } from 'node:crypto';

const CERTIFICATE_BLOCK = /-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g;

/** Why PEM text is of no use, in words that follow the name of a file: "holds no certificate". Nothing of it is quoted. */
export class UnusableMaterial extends Error {
  override readonly name = 'UnusableMaterial';
}

/**
 * The certificates of a PEM bundle, one PEM text each. Each is parsed here because OpenSSL passes over what it can't
 * read, and half a bundle would be trusted as if it were whole.
 */
export function certificatesIn(pem: string): readonly string[] {
  const blocks = pem.match(CERTIFICATE_BLOCK) ?? [];
  const begun = pem.split('-----BEGIN CERTIFICATE-----').length - 1;
  if (begun === 0) throw new UnusableMaterial('holds no certificate in PEM form');
  for (let index = 0; index < begun; index += 1) {
    if (!isCertificate(blocks[index])) {
      throw new UnusableMaterial(`holds a certificate that cannot be read (number ${index + 1})`);
    }
  }
  return blocks;
}

/** What a client shows to a server that asks who it is. PEM. */
export interface ClientIdentity {
  /** The leaf first, then what leads to its authority. */
  readonly certificate: string;
  readonly privateKey: string;
  readonly passphrase: string | undefined;
}

/** Throws unless both can be read and belong together. */
export function assertClientIdentity({ certificate, privateKey, passphrase }: ClientIdentity): void {
  const [leaf = ''] = certificatesIn(certificate);
  if (!new X509Certificate(leaf).checkPrivateKey(readKey(privateKey, passphrase))) {
    throw new UnusableMaterial('holds another certificate than that of the private key');
  }
}

function readKey(privateKey: string, passphrase: string | undefined): KeyObject {
  try {
    return createPrivateKey({ key: privateKey, ...(passphrase === undefined ? {} : { passphrase }) });
  } catch {
    // OpenSSL's own words for a wrong passphrase and for a broken file are the same.
    throw new UnusableMaterial(
      passphrase === undefined
        ? 'has a private key that cannot be read without a passphrase, or at all'
        : 'has a private key that cannot be read, or not with this passphrase',
    );
  }
}

function isCertificate(pem: string | undefined): boolean {
  try {
    return pem !== undefined && new X509Certificate(pem).raw.length > 0;
  } catch {
    return false;
  }
}
