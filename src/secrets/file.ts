import { constants } from 'node:fs';
import { lstat, open, realpath } from 'node:fs/promises';
import { isAbsolute, join, sep } from 'node:path';
import { fileCalls, writeDurably } from '../kit/durable-file.ts';
import { DelegateError, systemCode } from '../kit/errors.ts';
import { secretError } from './errors.ts';
import { invalidLocator, secretNotFound, type Provider } from './resolver.ts';

/** A secret is a password, a key or a certificate chain; anything larger is the wrong file. */
const MAX_SECRET_FILE_BYTES = 65_536;

const LAST_LINE_BREAK = /\r?\n$/;

/** Of a file's mode. */
const PERMISSIONS = 0o777;
const ANY_WRITE = 0o222;
/** Until it has those of the file that it replaces. Folders are there. */
const NEW_FILE = { mode: 0o600, folderMode: 0o700 } as const;

const PATH = /^[A-Za-z0-9._-]+(\/[A-Za-z0-9._-]+)*$/;

/**
 * `file:relative/path` reads a file below one folder. The path is checked as text, and once more after links are
 * resolved: Kubernetes mounts secrets as links inside the folder, and a link that leads out of it is refused.
 * One line break at the end of the file is not part of the secret.
 *
 * Written is only a file that is there, by its own name: what stands behind a link belongs to whoever made the link.
 */
export function fileProvider(directory: string | undefined): Provider {
  return {
    async read(locator, signal) {
      const path = await resolveInside(directory, locator);
      signal.throwIfAborted();
      return await readSecretFile(path, `file:${locator}`);
    },
    async write(locator, value) {
      const path = await resolveInside(directory, locator);
      if (directory === undefined || path !== join(await realpath(directory), locator)) {
        throw new Error('a link leads to the file');
      }
      await replaceSecretFile(path, value);
    },
  };
}

/** The path behind all links. */
async function resolveInside(directory: string | undefined, locator: string): Promise<string> {
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
    return decoded(await file.readFile(), reference).replace(LAST_LINE_BREAK, '');
  } catch (thrown) {
    throw unreadable(reference, thrown);
  }
}

async function replaceSecretFile(path: string, value: string): Promise<void> {
  if (value.replace(LAST_LINE_BREAK, '') !== value) throw new Error('the value ends in a line break');
  const old = await lstat(path);
  if (!old.isFile()) throw new Error('it is not a file');
  // To root, and to whoever may write the folder, the mode forbids nothing; to its owner it meant something.
  if ((old.mode & ANY_WRITE) === 0) throw new Error('the file is read-only');
  await writeDurably(path, value, NEW_FILE, {
    ...fileCalls,
    async open(name, flags, newMode) {
      const handle = await fileCalls.open(name, flags, newMode);
      if (flags !== 'wx') return handle;
      try {
        // Whoever could read the old one reads the new one, and nobody else. Before there is anything in it.
        await handle.chown(old.uid, old.gid);
        await handle.chmod(old.mode & PERMISSIONS);
        return handle;
      } catch (thrown) {
        await handle.close();
        throw thrown;
      }
    },
  });
}

/** Strict: a password with a replaced character would be sent, and would count towards a lockout. */
function decoded(bytes: Buffer, reference: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (thrown) {
    throw secretError('secret-unreadable', `The secret ${reference} is not UTF-8 text.`, {
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
  return secretError('secret-unreadable', `The secret ${reference} cannot be read (${code ?? 'unknown'}).`, {
    details: { reference },
    cause: thrown,
  });
}
