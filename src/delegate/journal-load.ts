import { DelegateError, reasonOf, systemCode } from '../kit/errors.ts';
import type { Logger } from '../observability/logger.ts';
import type { JournalFolder } from './journal-folder.ts';
import { decodeRecord, LiveTasks, type JournalRecord } from './journal-records.ts';
import { readSegment, type SegmentCondition } from './journal-segment.ts';

const SEGMENT_NAME = /^journal-(\d{10})\.log$/;
/** Behind the name of a segment that could not be read whole: it is kept for people. */
const SET_ASIDE_SUFFIX = '.set-aside';
const MAX_SET_ASIDE = 8;

export function segmentName(number: number): string {
  return `journal-${String(number).padStart(10, '0')}.log`;
}

/** A file that the next segment makes superfluous. */
export interface OldSegment {
  readonly name: string;
  /** Part of it could not be read, so it is not for this program to delete. */
  readonly keep: boolean;
}

export interface LoadedJournal {
  readonly live: LiveTasks;
  readonly segments: readonly OldSegment[];
  /** Of the youngest segment; numbers only grow, so that no name is used twice. */
  readonly lastNumber: number;
}

/**
 * Replays every segment, oldest first, as far as it can be read.
 *
 * @throws DelegateError `state-folder-unusable` if not even the names in the folder can be read
 */
export async function loadJournal(folder: JournalFolder, key: Buffer, log: Logger): Promise<LoadedJournal> {
  const live = new LiveTasks();
  const segments: OldSegment[] = [];
  let lastNumber = 0;
  for (const { name, number } of await listSegments(folder)) {
    lastNumber = number;
    const { records, condition } = await readRecords(folder, name, key);
    if (records.some(({ is }) => is === 'compacted')) live.clear();
    for (const record of records) live.apply(record);
    const keep = condition !== 'sound' && condition !== 'torn';
    if (keep)
      log.error({ file: name, condition, hint: HINTS[condition] }, 'part of the journal cannot be read');
    if (condition === 'torn')
      log.warn({ file: name }, 'the journal ends within a record, as after a power cut');
    segments.push({ name, keep });
  }
  return { live, segments, lastNumber };
}

/** Deletes what is superfluous and sets aside what is to be kept. Returns what is still there, to be tried again. */
export async function clearAway(
  folder: JournalFolder,
  segments: readonly OldSegment[],
  log: Logger,
): Promise<OldSegment[]> {
  const left: OldSegment[] = [];
  for (const segment of segments) {
    try {
      if (segment.keep) await folder.rename(segment.name, segment.name + SET_ASIDE_SUFFIX);
      else await folder.remove(segment.name);
    } catch (thrown) {
      log.warn(
        { file: segment.name, why: reasonOf(thrown) },
        'an old segment of the journal could not be cleared away',
      );
      left.push(segment);
    }
  }
  if (segments.some(({ keep }) => keep)) await forgetOldestSetAside(folder, log);
  return left;
}

/** A disk that damages a file at each start must not fill itself with them. */
async function forgetOldestSetAside(folder: JournalFolder, log: Logger): Promise<void> {
  const names = (await folder.list()).filter((name) => name.endsWith(SET_ASIDE_SUFFIX)).sort();
  for (const name of names.slice(0, Math.max(0, names.length - MAX_SET_ASIDE))) {
    await folder.remove(name);
    log.warn({ file: name }, 'the oldest part of the journal that was set aside is deleted');
  }
}

async function listSegments(folder: JournalFolder): Promise<{ name: string; number: number }[]> {
  let names: string[];
  try {
    names = await folder.list();
  } catch (thrown) {
    const because = systemCode(thrown) ?? 'unknown';
    throw new DelegateError('state-folder-unusable', `The state folder cannot be read (${because}).`, {
      category: 'internal',
      hint: 'Give the user that the delegate runs as a state folder that it may read and write (DELEGATE_STATE_DIR).',
      cause: thrown,
    });
  }
  return names
    .flatMap((name) => {
      const number = SEGMENT_NAME.exec(name)?.[1];
      return number === undefined ? [] : [{ name, number: Number(number) }];
    })
    .sort((a, b) => a.number - b.number);
}

type Condition = SegmentCondition | 'unreadable' | 'not-understood';

const HINTS: Readonly<Record<Exclude<Condition, 'sound' | 'torn'>, string>> = {
  damaged: `The file is kept with ${SET_ASIDE_SUFFIX} behind its name; every record that could be read is used. Check the disk.`,
  'other-key': `The file is kept with ${SET_ASIDE_SUFFIX} behind its name. To have its results delivered, stop the delegate, give it the state key or identity that it had before, and take ${SET_ASIDE_SUFFIX} off.`,
  unreadable: `The file is kept with ${SET_ASIDE_SUFFIX} behind its name. Check the disk and the permissions of the state folder.`,
  'not-understood': `The file is kept with ${SET_ASIDE_SUFFIX} behind its name; a newer version of the delegate may have written it.`,
};

async function readRecords(
  folder: JournalFolder,
  name: string,
  key: Buffer,
): Promise<{ records: JournalRecord[]; condition: Condition }> {
  let bytes: Buffer;
  try {
    bytes = await folder.read(name);
  } catch {
    return { records: [], condition: 'unreadable' };
  }
  const { texts, condition } = readSegment(bytes, key);
  const records = texts.map(decodeRecord).filter((record) => record !== undefined);
  if (records.length < texts.length && condition !== 'damaged')
    return { records, condition: 'not-understood' };
  return { records, condition };
}
