import { createPrivateKey, type KeyObject, type X509Certificate } from 'node:crypto';
import { systemCode } from '../kit/errors.ts';
import type { Secret } from '../kit/secret.ts';
import { keyMaterialError } from './key-material-error.ts';
import { base64Bytes, MAX_KEY_TEXT_CHARS, pemBlocks, type PemBlock } from './pem.ts';
import { isPkcs12, openPkcs12, type Pkcs12Contents } from './pkcs12.ts';

export interface PrivateKeyContents {
  key: KeyObject;
  /** The certificates that came with the key, in a PKCS#12 file; else none. */
  certificates: X509Certificate[];
}

export function readPrivateKey(secret: Secret, passphrase: Secret | undefined): PrivateKeyContents {
  const text = secret.reveal();
  if (text.length > MAX_KEY_TEXT_CHARS) {
    throw unreadable(`The private key is longer than ${MAX_KEY_TEXT_CHARS} characters.`);
  }
  const blocks = pemBlocks(text);
  const block = blocks.find(({ label }) => label.endsWith('PRIVATE KEY'));
  if (block !== undefined) return { key: readPemKey(block, passphrase), certificates: [] };
  const [other] = blocks;
  if (other !== undefined) {
    throw unreadable(`The private key holds a PEM block "${other.label}" and no private key.`);
  }
  const bytes = base64Bytes(text);
  if (bytes === undefined || !isPkcs12(bytes)) {
    throw unreadable('The private key is neither PEM nor a PKCS#12 file.');
  }
  const { key, certificates } = readPkcs12(bytes, passphrase);
  if (key === undefined) throw unreadable('The PKCS#12 file holds no private key.');
  return { key, certificates };
}

/** Opens a PKCS#12 file and says which of the two went wrong: no passphrase, or not this one. */
export function readPkcs12(bytes: Buffer, passphrase: Secret | undefined): Pkcs12Contents {
  try {
    // A file made without a passphrase is protected by the empty one.
    return openPkcs12(bytes, passphrase?.reveal() ?? '');
  } catch (cause) {
    throw passphrase === undefined ? passphraseMissing(cause) : passphraseWrong(cause);
  }
}

function readPemKey(block: PemBlock, passphrase: Secret | undefined): KeyObject {
  const encrypted = block.label === 'ENCRYPTED PRIVATE KEY' || block.text.includes('\nProc-Type: ');
  if (encrypted && passphrase === undefined) throw passphraseMissing();
  try {
    return createPrivateKey({
      key: block.text,
      format: 'pem',
      ...(encrypted && passphrase !== undefined ? { passphrase: passphrase.reveal() } : {}),
    });
  } catch (cause) {
    if (encrypted && systemCode(cause) === 'ERR_OSSL_EVP_UNSUPPORTED') throw cipherOutdated(cause);
    throw encrypted
      ? passphraseWrong(cause)
      : unreadable(`The private key's PEM block "${block.label}" can't be decoded.`, cause);
  }
}

function unreadable(message: string, cause?: unknown): Error {
  return keyMaterialError('key-material.private-key-unreadable', 'privateKey', message, { cause });
}

function cipherOutdated(cause: unknown): Error {
  return keyMaterialError(
    'key-material.private-key-unreadable',
    'privateKey',
    'The private key is encrypted with a method that is no longer supported.',
    {
      hint: 'Encrypt it anew: openssl pkcs8 -topk8 -v2 aes-256-cbc -provider legacy -provider default -in old.pem -out new.pem',
      cause,
    },
  );
}

function passphraseMissing(cause?: unknown): Error {
  return keyMaterialError(
    'key-material.private-key-encrypted',
    'privateKey',
    'The private key is encrypted, and no passphrase is given.',
    { cause },
  );
}

function passphraseWrong(cause: unknown): Error {
  return keyMaterialError(
    'key-material.passphrase-wrong',
    'passphrase',
    'The private key could not be decrypted: the passphrase is wrong, or the key is damaged.',
    { cause },
  );
}
