import { randomUUID } from 'node:crypto';
import { link, open, rename, rm, utimes } from 'node:fs/promises';
import { z } from 'zod';
import { fileCalls, type FileCalls } from '../../kit/durable-file.ts';
import { systemCode } from '../../kit/errors.ts';
import { processFactsSchema, type ProcessFacts } from './process-facts.ts';
import { FILE_MODE, stateFolderUnusable } from './state-folder.ts';

/** Several times what a record takes; of a longer file no more is read. */
const MAX_BYTES = 4_096;

const recordSchema = processFactsSchema.extend({
  format: z.literal(1),
  /** Tells two locks of one process apart. */
  token: z.guid(),
  /** RFC 3339 in UTC. */
  since: z.iso.datetime(),
});

/** Who has locked a folder. */
export type LockRecord = z.infer<typeof recordSchema>;

/** A lock file at one moment. */
export interface LockSight {
  readonly text: string;
  /** Undefined if the file is damaged, only half written yet, or of a format to come. */
  readonly record: LockRecord | undefined;
  readonly modifiedNs: bigint;
}

export function lockText(facts: ProcessFacts, since: string): string {
  const record: LockRecord = { format: 1, token: randomUUID(), ...facts, since };
  return `${JSON.stringify(record)}\n`;
}

export function isUnchanged(before: LockSight, now: LockSight): boolean {
  return now.text === before.text && now.modifiedNs === before.modifiedNs;
}

/**
 * Undefined if there is no file. It is opened anew at each look, rather than asked for its times by name: opening is
 * when a network file system has to ask its server, and not its cache.
 */
export async function lookAt(path: string): Promise<LockSight | undefined> {
  try {
    await using handle = await open(path, 'r');
    const { mtimeNs } = await handle.stat({ bigint: true });
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(MAX_BYTES), 0, MAX_BYTES, 0);
    const text = buffer.toString('utf8', 0, bytesRead);
    return { text, record: recordOf(text), modifiedNs: mtimeNs };
  } catch (thrown) {
    if (systemCode(thrown) === 'ENOENT') return undefined;
    throw stateFolderUnusable(`The lock file ${path} cannot be read`, thrown);
  }
}

function recordOf(text: string): LockRecord | undefined {
  try {
    return recordSchema.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}

/**
 * Makes the file unless there is one. Not synced: after a power cut every lock is stale, and so is one that is
 * damaged or missing.
 */
export async function createUnlessThere(
  path: string,
  text: string,
  calls: Pick<FileCalls, 'open'> = fileCalls,
): Promise<void> {
  let made = false;
  try {
    await using handle = await calls.open(path, 'wx', FILE_MODE);
    made = true;
    await handle.writeFile(text);
  } catch (thrown) {
    // Half a record would keep every newcomer waiting.
    if (made) await rm(path, { force: true });
    if (systemCode(thrown) !== 'EEXIST') throw thrown;
  }
}

/** The sign of life. */
export async function touch(path: string, epochMs: number): Promise<void> {
  const at = new Date(epochMs);
  await utimes(path, at, at);
}

/**
 * Removes the file if it is the one that is meant. Whether it is, only a file that was moved aside can tell: one that
 * was looked at under its own name may be another by the time that it is removed. Another one is put back, unless
 * its name was taken meanwhile.
 *
 * @returns the other one, if the file system would not put it back under a name that is free
 */
export async function removeIf(
  path: string,
  isMeant: (sight: LockSight) => boolean,
): Promise<LockSight | undefined> {
  const aside = `${path}.${randomUUID()}.tmp`;
  try {
    await rename(path, aside);
  } catch (thrown) {
    if (systemCode(thrown) === 'ENOENT') return undefined;
    throw thrown;
  }
  try {
    const sight = await lookAt(aside);
    if (sight === undefined || isMeant(sight)) return undefined;
    return (await putBack(aside, path)) ? undefined : sight;
  } finally {
    await rm(aside, { force: true });
  }
}

/** By `link`, because a rename would replace the lock of whoever was quicker. False where that can't be done. */
async function putBack(aside: string, path: string): Promise<boolean> {
  try {
    await link(aside, path);
    return true;
  } catch (thrown) {
    return systemCode(thrown) === 'EEXIST';
  }
}
