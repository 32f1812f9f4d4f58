import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { lstat, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { syncFolder, writeDurably } from '../kit/durable-file.ts';
import { reasonOf, systemCode, type DelegateError } from '../kit/errors.ts';
import type { Secret } from '../kit/secret.ts';
import { secretError } from './errors.ts';
import type { SecretsLog } from './log.ts';

/** Files in the folder; the oldest goes first. A connector has one. */
const MAX_FILES = 500;

const MODES = { mode: 0o600, folderMode: 0o700 } as const;

const NAME = /^[0-9a-f]{64}$/;

/** What a file begins with: what it is, and in which format. */
const MAGIC = Buffer.from('SNDKEPT1');
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const MIN_FILE_BYTES = MAGIC.length + NONCE_BYTES + TAG_BYTES;

/**
 * Secrets that servers gave in the place of the customer's, where those can't be replaced: one encrypted file for each
 * (AES-256-GCM), in a folder of the delegate's own.
 */
export interface KeptSecrets {
  /** Undefined if nothing is kept. Rejects with `kept-secret-unreadable` if something is, and can't be had. */
  read(name: string): Promise<Secret | undefined>;
  /** Resolves when the secret would survive a power cut. Rejects with `secret-not-kept`, and says so in the log. */
  keep(name: string, secret: Secret): Promise<void>;
  /** Never rejects: what stays behind is of no use to anybody, and is the oldest some day. */
  forget(name: string): Promise<void>;
}

export interface KeptSecretsOptions {
  /** Made when the first secret is kept. */
  folder: string;
  /** 32 bytes; asked for with each use, so that nothing has to be there before. */
  key: () => Promise<Buffer>;
  protect: (value: string) => Secret;
  log: SecretsLog;
}

/** One writer for one name at a time. A name is a SHA-256 in hex. */
export function createKeptSecrets({ folder, key, protect, log }: KeptSecretsOptions): KeptSecrets {
  const pathOf = (name: string): string => {
    if (!NAME.test(name)) throw new TypeError('the name of a kept secret is no hash');
    return join(folder, name);
  };

  return {
    async read(name) {
      const bytes = await readIfThere(pathOf(name));
      if (bytes === undefined) return undefined;
      const value = opened(bytes, name, await key());
      if (value === undefined) throw notDecrypted(pathOf(name));
      return protect(value);
    },

    async keep(name, secret) {
      const path = pathOf(name);
      try {
        await writeDurably(path, sealed(secret.reveal(), name, await key()), MODES);
      } catch (thrown) {
        log.warn({ path, why: reasonOf(thrown) }, 'a secret that a server has replaced cannot be kept');
        throw secretError('secret-not-kept', `A secret cannot be kept (${reasonOf(thrown)}).`, {
          cause: thrown,
        });
      }
      await removeOldest(folder, name, log);
    },

    async forget(name) {
      const path = pathOf(name);
      try {
        if ((await readIfThere(path)) === undefined) return;
        await rm(path, { force: true });
        await syncFolder(folder);
      } catch (thrown) {
        log.warn({ path, why: reasonOf(thrown) }, 'a kept secret that is no longer needed cannot be removed');
      }
    },
  };
}

/** It is not taken for absent: what stands in the store has been replaced by it. */
function notDecrypted(path: string): DelegateError {
  return secretError('kept-secret-unreadable', 'A kept secret cannot be decrypted.', {
    hint:
      'It was written with another state key or identity, or is damaged. Give the delegate the state key (DELEGATE_STATE_KEY) or the folder that it had; ' +
      'otherwise obtain a new refresh token and put it into the secret store: what was kept for the old one is not looked for then.',
    details: { path },
  });
}

/** Bound to its name: a file that was renamed can't pass for the secret of another connector. */
function sealed(value: string, name: string, key: Buffer): Buffer {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(name));
  return Buffer.concat([MAGIC, nonce, cipher.update(value, 'utf8'), cipher.final(), cipher.getAuthTag()]);
}

/** Undefined if it was not sealed with this key, under this name. */
function opened(bytes: Buffer, name: string, key: Buffer): string | undefined {
  if (bytes.length < MIN_FILE_BYTES || !bytes.subarray(0, MAGIC.length).equals(MAGIC)) return undefined;
  const nonce = bytes.subarray(MAGIC.length, MAGIC.length + NONCE_BYTES);
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES })
    .setAAD(Buffer.from(name))
    .setAuthTag(bytes.subarray(-TAG_BYTES));
  try {
    const body = bytes.subarray(MAGIC.length + NONCE_BYTES, -TAG_BYTES);
    return Buffer.concat([decipher.update(body), decipher.final()]).toString('utf8');
  } catch {
    // The one thing that `final` refuses is a tag that does not fit.
    return undefined;
  }
}

async function readIfThere(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path);
  } catch (thrown) {
    if (systemCode(thrown) === 'ENOENT') return undefined;
    throw secretError('kept-secret-unreadable', `A kept secret cannot be read (${reasonOf(thrown)}).`, {
      details: { path },
      cause: thrown,
    });
  }
}

/** What a killed process left half written is among them. */
async function removeOldest(folder: string, justKept: string, log: SecretsLog): Promise<void> {
  try {
    const names = await readdir(folder);
    if (names.length <= MAX_FILES) return;
    // Not the one just kept, which is the oldest by a clock that was set back.
    const others = names.filter((name) => name !== justKept);
    const files = await Promise.all(
      others.map(async (name) => ({ name, writtenAt: (await lstat(join(folder, name))).mtimeMs })),
    );
    const oldest = files.toSorted((a, b) => a.writtenAt - b.writtenAt).slice(0, names.length - MAX_FILES);
    for (const { name } of oldest) {
      await rm(join(folder, name), { force: true });
      log.warn({ file: name }, 'the oldest kept secret is removed: there are too many');
    }
  } catch (thrown) {
    log.warn({ why: reasonOf(thrown) }, 'the folder of kept secrets could not be looked through');
  }
}
