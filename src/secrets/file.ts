import { constants } from 'node:fs';
import { open, realpath } from 'node:fs/promises';
import { isAbsolute, join, sep } from 'node:path';
import { DelegateError, systemCode } from '../kit/errors.ts';
import { invalidLocator, secretNotFound, type Provider } from './resolver.ts';

/** A secret is a password, a key or a certificate chain; anything larger is the wrong file. */
const MAX_SECRET_FILE_BYTES = 65_536;

const PATH = /^[A-Za-z0-9._-]+(\/[A-Za-z0-9._-]+)*$/;

/**
 * `file:relative/path` reads a file below one folder. The path is checked as text, and once more after links are
 * resolved: Kubernetes mounts secrets as links inside the folder, and a link that leads out of it is refused.
 * One line break at the end of the file is not part of the secret.
 */
export function fileProvider(directory: string | undefined): Provider {
  return {
    async read(locator, signal) {
      if (isAbsolute(locator) || !PATH.test(locator) || locator.split('/').includes('..')) {
        throw invalidLocator('file:…', 'give a plain path relative to DELEGATE_SECRETS_DIR');
      }
      const reference = `file:${locator}`;
      if (directory === undefined) {
        throw secretNotFound(
          reference,
          `The secret ${reference} cannot be read: this delegate has no secrets folder.`,
          'Set DELEGATE_SECRETS_DIR to the folder that holds it.',
        );
      }
      const path = await resolveInside(directory, locator, reference);
      signal.throwIfAborted();
      return await readSecretFile(path, reference);
    },
  };
}

async function resolveInside(directory: string, locator: string, reference: string): Promise<string> {
  try {
    const root = await realpath(directory);
    const path = await realpath(join(root, locator));
    if (path.startsWith(root.endsWith(sep) ? root : root + sep)) return path;
  } catch (thrown) {
    throw unreadable(reference, thrown);
  }
  throw invalidLocator(reference, 'it leads out of DELEGATE_SECRETS_DIR');
}

async function readSecretFile(path: string, reference: string): Promise<string> {
  try {
    // Not blocking: opening a FIFO would otherwise wait for whoever writes to it, and keep a thread meanwhile.
    await using file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const stat = await file.stat();
    if (!stat.isFile()) throw invalidLocator(reference, 'it is not a file');
    if (stat.size > MAX_SECRET_FILE_BYTES) {
      throw invalidLocator(reference, `it has ${stat.size} bytes, over ${MAX_SECRET_FILE_BYTES}`);
    }
    return decoded(await file.readFile(), reference).replace(/\r?\n$/, '');
  } catch (thrown) {
    throw unreadable(reference, thrown);
  }
}

/** Strict: a password with a replaced character would be sent, and would count towards a lockout. */
function decoded(bytes: Buffer, reference: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (thrown) {
    throw new DelegateError('secret-unreadable', `The secret ${reference} is not UTF-8 text.`, {
      category: 'secret',
      hint: 'Save the file as UTF-8; give a binary key store as base64.',
      details: { reference },
      cause: thrown,
    });
  }
}

function unreadable(reference: string, thrown: unknown): DelegateError {
  if (thrown instanceof DelegateError) return thrown;
  const code = systemCode(thrown);
  if (code === 'ENOENT' || code === 'ENOTDIR') {
    return secretNotFound(
      reference,
      `The secret ${reference} does not exist in DELEGATE_SECRETS_DIR.`,
      'Put the file there, or correct the reference.',
    );
  }
  return new DelegateError(
    'secret-unreadable',
    `The secret ${reference} cannot be read (${code ?? 'unknown'}).`,
    {
      category: 'secret',
      hint: 'Give the user that the delegate runs as the right to read the file and its folders.',
      details: { reference },
      cause: thrown,
    },
  );
}
