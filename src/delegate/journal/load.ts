import { reasonOf } from '../../kit/errors.ts';
import type { Logger } from '../../observability/logger.ts';
import type { JournalFolder } from './folder.ts';
import { decodeRecord, LiveTasks, type JournalRecord } from './records.ts';
import { readSegment, type SegmentCondition } from './segment.ts';
import { stateFolderUnusable } from '../state/state-folder.ts';

/** Behind the name of a segment that could not be read whole: it is kept, for people and for a later start. */
const SET_ASIDE_SUFFIX = '.set-aside';
const SEGMENT_NAME = /^journal-(\d{10})\.log(\.set-aside)?$/;
const MAX_SET_ASIDE = 8;

export function segmentName(number: number): string {
  return `journal-${String(number).padStart(10, '0')}.log`;
}

/**
 * - `unreadable`: the file system does not give it.
 * - `not-understood`: sound, but with records that this version does not know.
 */
type Condition = SegmentCondition | 'unreadable' | 'not-understood';

/** A file that the next segment makes superfluous. */
export interface OldSegment {
  readonly name: string;
  readonly number: number;
  readonly condition: Condition;
}

export interface LoadedJournal {
  readonly live: LiveTasks;
  readonly segments: readonly OldSegment[];
  /** Of the youngest segment; numbers only grow, so that no name is used twice. */
  readonly lastNumber: number;
}

/**
 * Replays the segments, oldest first, as far as they can be read. Those that a later one replaces are left out: one
 * that comes back from wherever it was set aside is not.
 *
 * @param nowMs wall time
 * @throws DelegateError `state-folder-unusable` if not even the names in the folder can be read
 */
export async function loadJournal(
  folder: JournalFolder,
  key: Buffer,
  log: Logger,
  nowMs: number,
): Promise<LoadedJournal> {
  const listed = await listSegments(folder);
  const segments = [];
  for (const { isSetAside, ...segment } of listed) {
    const read = await readRecords(folder, segment.name, key);
    // What was set aside counts again when all of it can be read: the key is back, or the version that wrote it.
    if (isSetAside && !isWhole(read)) continue;
    if (isSetAside)
      log.info({ file: segment.name }, 'a part of the journal that was set aside can be read again');
    segments.push({ ...segment, ...read });
    tell(segment.name, read.condition, log);
  }
  const replaced = new Set(segments.flatMap(replacedByRecords));
  const current = segments.filter(({ number }) => !replaced.has(number));
  const live = new LiveTasks();
  for (const { records } of current) for (const record of records) live.apply(record);
  if (!current.every(isWhole)) live.doubt(nowMs);
  return {
    live,
    segments: segments.map(({ name, number, condition }) => ({ name, number, condition })),
    lastNumber: listed.at(-1)?.number ?? 0,
  };
}

/** Nothing is missing that was promised to anybody. */
function isWhole({ condition }: { readonly condition: Condition }): boolean {
  return condition === 'sound' || condition === 'torn';
}

/** None if records are missing: what it took over may be among them. */
function replacedByRecords({ records, condition }: ReadSegmentFile): number[] {
  if (!isWhole({ condition })) return [];
  return records.flatMap((record) => (record.is === 'compacted' ? record.replaces : []));
}

/** Those whose every readable record the next segment holds. */
export function replacedBy(segments: readonly OldSegment[]): number[] {
  const read = segments.filter((segment) => isWhole(segment) || segment.condition === 'damaged');
  return read.map(({ number }) => number);
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
      if (isWhole(segment)) await folder.remove(segment.name);
      else await folder.rename(segment.name, segment.name + SET_ASIDE_SUFFIX);
    } catch (thrown) {
      log.warn(
        { file: segment.name, why: reasonOf(thrown) },
        'an old segment of the journal could not be cleared away',
      );
      left.push(segment);
    }
  }
  if (!segments.every(isWhole)) await forgetOldestSetAside(folder, log);
  return left;
}

/** A disk that damages a file at each start must not fill itself with them. */
async function forgetOldestSetAside(folder: JournalFolder, log: Logger): Promise<void> {
  try {
    const setAside = (await listSegments(folder)).filter(({ isSetAside }) => isSetAside);
    for (const { name } of setAside.slice(0, Math.max(0, setAside.length - MAX_SET_ASIDE))) {
      await folder.remove(name);
      log.warn({ file: name }, 'the oldest part of the journal that was set aside is deleted');
    }
  } catch (thrown) {
    // What was written before this is safe, and must not be refused for it.
    log.warn({ why: reasonOf(thrown) }, 'what was set aside of the journal could not be looked through');
  }
}

interface ListedSegment {
  readonly name: string;
  readonly number: number;
  readonly isSetAside: boolean;
}

/** Oldest first. */
async function listSegments(folder: JournalFolder): Promise<ListedSegment[]> {
  let names: string[];
  try {
    names = await folder.list();
  } catch (thrown) {
    throw stateFolderUnusable('The state folder cannot be read', thrown);
  }
  return names
    .flatMap((name) => {
      const match = SEGMENT_NAME.exec(name);
      return match === null ? [] : [{ name, number: Number(match[1]), isSetAside: match[2] !== undefined }];
    })
    .sort((a, b) => a.number - b.number);
}

function tell(file: string, condition: Condition, log: Logger): void {
  const hint = hintFor(condition);
  if (hint !== undefined) log.error({ file, condition, hint }, 'part of the journal cannot be read');
  if (condition === 'torn') log.warn({ file }, 'the journal ends within a record, as after a power cut');
}

/** What a person can do about a segment that is kept; undefined for one that need not be. */
function hintFor(condition: Condition): string | undefined {
  const kept = `The file is kept with ${SET_ASIDE_SUFFIX} behind its name`;
  switch (condition) {
    case 'sound':
    case 'torn':
      return undefined;
    case 'damaged':
      return `${kept}; every record that could be read is used. Check the disk.`;
    case 'other-key':
      return `${kept}. It is taken up again at a start with the state key, identity and manager that it was written for.`;
    case 'unreadable':
      return `${kept}. Check the disk and the permissions of the state folder.`;
    case 'not-understood':
      return `${kept}; a newer version of the delegate may have written it.`;
    default:
      return condition satisfies never;
  }
}

interface ReadSegmentFile {
  readonly records: readonly JournalRecord[];
  readonly condition: Condition;
}

async function readRecords(folder: JournalFolder, name: string, key: Buffer): Promise<ReadSegmentFile> {
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
