import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { DelegateError, systemCode } from '../kit/errors.ts';
import { secretError } from './errors.ts';
import { invalidLocator, secretNotFound } from './provider.ts';

/** A secret is a password, a key or a certificate chain; anything larger is the wrong file. */
export const MAX_SECRET_BYTES = 65_536;

const LAST_LINE_BREAK = /\r?\n$/;

/** How errors call a file. */
export interface FileWords {
  readonly reference: string;
  /** Where it ought to be: "in DELEGATE_SECRETS_DIR". */
  readonly where: string;
}

/** One line break at the end of a file is not part of the secret: editors put it there. */
export function withoutLastLineBreak(text: string): string {
  return text.replace(LAST_LINE_BREAK, '');
}

/** A regular file of UTF-8 text, at most 64 KiB. Rejects with an error of this room. */
export async function readSecretFile(path: string, words: FileWords): Promise<string> {
  const { reference } = words;
  try {
    // Not blocking: opening a FIFO would otherwise wait for whoever writes to it, and keep a thread meanwhile.
    await using file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const stat = await file.stat();
    if (!stat.isFile()) throw invalidLocator(reference, 'it is not a file');
    if (stat.size > MAX_SECRET_BYTES) {
      throw invalidLocator(reference, `it has ${stat.size} bytes, over ${MAX_SECRET_BYTES}`);
    }
    return withoutLastLineBreak(decoded(await file.readFile(), reference));
  } catch (thrown) {
    throw unreadable(words, thrown);
  }
}

/** Strict: a password with a replaced character would be sent, and would count towards a lockout. */
export function decoded(bytes: Uint8Array, reference: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (thrown) {
    throw secretError('secret-unreadable', `The secret ${reference} is not UTF-8 text.`, {
      hint: 'Save it as UTF-8; give a binary key store as base64.',
      details: { reference },
      cause: thrown,
    });
  }
}

/** What the system says of a file, in the words of this room. */
export function unreadable({ reference, where }: FileWords, thrown: unknown): DelegateError {
  if (thrown instanceof DelegateError) return thrown;
  const code = systemCode(thrown);
  if (code === 'ENOENT' || code === 'ENOTDIR') {
    return secretNotFound(
      reference,
      `The secret ${reference} does not exist ${where}.`,
      'Put the file there, or correct the reference.',
    );
  }
  return secretError('secret-unreadable', `The secret ${reference} cannot be read (${code ?? 'unknown'}).`, {
    details: { reference },
    cause: thrown,
  });
}
