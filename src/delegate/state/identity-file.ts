import { createPrivateKey, type KeyObject } from 'node:crypto';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { fileCalls, removeUnfinished, writeDurably, type FileCalls } from '../../kit/durable-file.ts';
import { systemCode, wrap, type DelegateError } from '../../kit/errors.ts';
import type { Logger } from '../../observability/logger.ts';
import { ed25519PublicJwkSchema } from '../../protocol/enrolment.ts';
import { delegateError } from '../errors.ts';
import { FILE_MODE, FOLDER_MODE } from './state-folder.ts';

export const MAIN_NAME = 'identity.json';
/** A second copy: with only one, a damaged sector would make this delegate a stranger to its manager. */
const BACKUP_NAME = 'identity.backup.json';
const MODES = { mode: FILE_MODE, folderMode: FOLDER_MODE } as const;

export const privateJwkSchema = z.object({
  kty: z.literal('OKP'),
  crv: z.literal('Ed25519'),
  x: z.string(),
  d: z.string(),
});

const enrolmentSchema = z.object({
  /** The manager that knows this delegate. Another address means another enrolment. */
  managerUrl: z.string(),
  delegateId: z.string(),
  taskSigningKeys: z.array(ed25519PublicJwkSchema).optional(),
  /** Of those keys, if the manager has numbered them. */
  taskSigningSequence: z.number().int().optional(),
});

const fileSchema = z.object({
  format: z.literal(1),
  instanceId: z.guid(),
  key: privateJwkSchema,
  /** RFC 3339; since when this key's age is counted. */
  keySince: z.iso.datetime().optional(),
  /** Made to take the place of `key`; the manager may know it already. */
  nextKey: privateJwkSchema.optional(),
  /** What `key` has taken the place of, until the manager has been seen to accept that. */
  previousKey: privateJwkSchema.optional(),
  /** The first key of this folder, once there is another: what lies in the folder is encrypted with what comes of it. */
  stateKey: privateJwkSchema.optional(),
  enrolment: enrolmentSchema.optional(),
});

export type IdentityFile = z.infer<typeof fileSchema>;
export type PrivateJwk = z.infer<typeof privateJwkSchema>;
export type Enrolment = z.infer<typeof enrolmentSchema>;

/** What was found in the place of one of the two copies. */
type Copy = { readonly path: string } & (
  | { readonly is: 'good'; readonly file: IdentityFile }
  | { readonly is: 'missing' | 'damaged' }
  | { readonly is: 'unreadable'; readonly cause: unknown }
);

/**
 * What this state folder keeps; undefined if it never kept any. Removes what a crash left and makes the copies two
 * and the same again, as far as the folder lets it, and logs what it met. Rejects with `identity-unusable`.
 */
export async function recoverIdentityFile(
  stateDir: string,
  log: Logger,
  calls: FileCalls,
): Promise<IdentityFile | undefined> {
  const mainPath = join(stateDir, MAIN_NAME);
  const backupPath = join(stateDir, BACKUP_NAME);
  await sweep(mainPath, log);
  await sweep(backupPath, log);
  const main = await readCopy(mainPath, calls);
  const backup = await readCopy(backupPath, calls);
  const file = chosenOf(main, backup);
  if (file === undefined) return undefined;
  for (const copy of [main, backup]) {
    if (copy.is === 'good' && isDeepStrictEqual(copy.file, file)) continue;
    // Of a backup that is missing or older, an upgrade or a crash is the reason, and nobody has to do anything.
    if (copy === main || copy.is === 'damaged') {
      const hint =
        'If nobody touched it, look for what the system log says of the disk. To forget this identity, remove both copies.';
      log.warn({ path: copy.path, is: copy.is, hint }, 'restoring a copy of the identity from the other one');
    }
    await writeSpare(copy.path, file, log, calls);
  }
  return file;
}

/**
 * The same for whoever only looks, beside the process that owns the folder: nothing is mended, removed or logged.
 * Rejects with `identity-unusable`.
 */
export async function readIdentityFile(stateDir: string): Promise<IdentityFile | undefined> {
  const main = await readCopy(join(stateDir, MAIN_NAME), fileCalls);
  return chosenOf(main, await readCopy(join(stateDir, BACKUP_NAME), fileCalls));
}

/** Puts both copies in place, the second one if it can. When it resolves, the first was read back from the disk. */
export async function writeIdentityFile(
  stateDir: string,
  file: IdentityFile,
  log: Logger,
  calls: FileCalls,
): Promise<void> {
  await writeCopy(join(stateDir, MAIN_NAME), file, calls);
  await writeSpare(join(stateDir, BACKUP_NAME), file, log, calls);
}

/** Throws if the parts of the key do not make one. */
export function privateKeyOf(key: PrivateJwk): KeyObject {
  return createPrivateKey({ key, format: 'jwk' });
}

/** Of the file, the key that what lies beside it is encrypted with. It stays when the identity gets a new one. */
export function stateKeyOf(file: IdentityFile): KeyObject {
  return privateKeyOf(file.stateKey ?? file.key);
}

/** Every private half in the file. */
export function keysIn({ key, nextKey, previousKey, stateKey }: IdentityFile): PrivateJwk[] {
  return [key, nextKey, previousKey, stateKey].filter((one) => one !== undefined);
}

async function readCopy(path: string, calls: FileCalls): Promise<Copy> {
  let text: string;
  try {
    text = (await calls.readFile(path)).toString('utf8');
  } catch (cause) {
    const code = systemCode(cause);
    if (code === 'ENOENT') return { path, is: 'missing' };
    // What stood there is gone. Any other code speaks of permissions, or of what an operator has put there.
    return code === 'EIO' ? { path, is: 'damaged' } : { path, is: 'unreadable', cause };
  }
  try {
    const file = fileSchema.parse(JSON.parse(text));
    keysIn(file).forEach(privateKeyOf);
    return { path, is: 'good', file };
  } catch {
    // Neither text nor cause goes on: both may hold the key.
    return { path, is: 'damaged' };
  }
}

/**
 * The first copy if it is good, else the second. Undefined only if there never was one: a new key is a new delegate,
 * and whether the old one is to be forgotten is for the operator to say.
 */
function chosenOf(main: Copy, backup: Copy): IdentityFile | undefined {
  // Not the backup: the file may be one that an operator has just put there, with another key.
  if (main.is === 'unreadable') throw unreadable(main.path, main.cause);
  if (main.is === 'good') return main.file;
  if (backup.is === 'good') return backup.file;
  if (backup.is === 'unreadable') throw unreadable(backup.path, backup.cause);
  if (main.is === 'missing' && backup.is === 'missing') return undefined;
  throw delegateError(
    'identity-unusable',
    `The identity file ${main.path} is ${main.is}, and its backup ${backup.path} is ${backup.is}.`,
    {
      hint: 'Restore one of the two, or remove both and give an enrolment token: the delegate then enrols as a new one.',
    },
  );
}

/** What is left behind holds the key, too. It stops nothing, so neither does a folder that keeps it. */
async function sweep(path: string, log: Logger): Promise<void> {
  try {
    await removeUnfinished(path);
  } catch (thrown) {
    log.warn(
      { path, code: systemCode(thrown) },
      'what a killed process left beside the identity stays there',
    );
  }
}

/** For the copy that can be missing as long as the other is good. */
async function writeSpare(path: string, file: IdentityFile, log: Logger, calls: FileCalls): Promise<void> {
  try {
    await writeCopy(path, file, calls);
  } catch (thrown) {
    log.warn(wrap(thrown).toWire(), 'going on with one copy of the identity');
  }
}

async function writeCopy(path: string, file: IdentityFile, calls: FileCalls): Promise<void> {
  try {
    await writeDurably(path, `${JSON.stringify(file, null, 2)}\n`, MODES, calls);
  } catch (thrown) {
    throw unusable(`The identity file ${path} cannot be written (${codeOf(thrown)}).`, thrown);
  }
}

function unreadable(path: string, cause: unknown): DelegateError {
  return unusable(`The identity file ${path} cannot be read (${codeOf(cause)}).`, cause);
}

function unusable(message: string, cause: unknown): DelegateError {
  return delegateError('identity-unusable', message, { cause });
}

function codeOf(thrown: unknown): string {
  return systemCode(thrown) ?? wrap(thrown).code;
}
