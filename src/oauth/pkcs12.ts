import { createPrivateKey, X509Certificate, type KeyObject } from 'node:crypto';
import forge from 'node-forge';

export interface Pkcs12Contents {
  key: KeyObject | undefined;
  certificates: X509Certificate[];
}

/**
 * Whether the bytes have the outer shape of a PFX (RFC 7292, section 4): a sequence that starts with version 3
 * and a ContentInfo. It tells a PKCS#12 file that can't be opened from bytes that never were one.
 */
export function isPkcs12(bytes: Buffer): boolean {
  const pfx = parseDer(bytes);
  if (pfx === undefined || !Array.isArray(pfx.value)) return false;
  const [version, authSafe] = pfx.value;
  return (
    version?.type === forge.asn1.Type.INTEGER &&
    version.value === '\u0003' &&
    authSafe !== undefined &&
    Array.isArray(authSafe.value) &&
    authSafe.value[0]?.type === forge.asn1.Type.OID
  );
}

/**
 * Opens a PKCS#12 file. Throws whatever node-forge throws for a wrong passphrase, a damaged file or a form it
 * does not know: it has no codes to tell these apart.
 */
export function openPkcs12(bytes: Buffer, passphrase: string): Pkcs12Contents {
  const pfx = forge.pkcs12.pkcs12FromAsn1(forge.asn1.fromDer(bytes.toString('binary')), false, passphrase);
  const bags = pfx.safeContents.flatMap((content) => content.safeBags);
  const keyTypes: readonly string[] = [oid('keyBag'), oid('pkcs8ShroudedKeyBag')];
  const keyBag = bags.find((bag) => keyTypes.includes(bag.type));
  return {
    key: keyBag === undefined ? undefined : keyOf(keyBag),
    certificates: bags.filter((bag) => bag.type === oid('certBag')).map(certificateOf),
  };
}

function keyOf(bag: forge.pkcs12.Bag): KeyObject {
  // forge decodes RSA alone and leaves any other key as the PrivateKeyInfo it found; Node then names its type.
  return bag.key
    ? createPrivateKey({ key: derOf(forge.pki.privateKeyToAsn1(bag.key)), format: 'der', type: 'pkcs1' })
    : createPrivateKey({ key: derOf(bag.asn1), format: 'der', type: 'pkcs8' });
}

function certificateOf(bag: forge.pkcs12.Bag): X509Certificate {
  if (!bag.cert) return new X509Certificate(derOf(bag.asn1));
  const certificate = forge.pki.certificateToAsn1(bag.cert);
  const [tbs, , signature] = elements(certificate);
  const algorithm = elements(tbs).find(
    (element) =>
      element.constructed && Array.isArray(element.value) && element.tagClass === forge.asn1.Class.UNIVERSAL,
  );
  // forge writes the outer AlgorithmIdentifier anew, with a NULL that is wrong for ECDSA, and the thumbprint
  // would be another's. RFC 5280, section 4.1.1.2 wants it equal to the one inside, which forge keeps as it was.
  if (tbs !== undefined && algorithm !== undefined && signature !== undefined) {
    certificate.value = [tbs, algorithm, signature];
  }
  return new X509Certificate(derOf(certificate));
}

function elements(node: forge.asn1.Asn1 | undefined): forge.asn1.Asn1[] {
  return Array.isArray(node?.value) ? node.value : [];
}

function derOf(node: forge.asn1.Asn1): Buffer {
  return Buffer.from(forge.asn1.toDer(node).getBytes(), 'binary');
}

function parseDer(bytes: Buffer): forge.asn1.Asn1 | undefined {
  try {
    return forge.asn1.fromDer(bytes.toString('binary'));
  } catch {
    // Not DER at all: the question was whether it is, and this is the answer.
    return undefined;
  }
}

function oid(name: string): string {
  const value = forge.pki.oids[name];
  if (value === undefined) throw new TypeError(`node-forge knows no OID by the name ${name}`);
  return value;
}
