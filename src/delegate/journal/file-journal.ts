import { reasonOf, systemCode, type DelegateError } from '../../kit/errors.ts';
import { DELEGATE_ERRORS, delegateError } from '../errors.ts';
import { deferred, type Deferred } from '../../kit/flow.ts';
import { endsWithin, type Clock, type Timer } from '../../kit/time.ts';
import type { Logger } from '../../observability/logger.ts';
import type { TaskRef, TaskResult } from '../../protocol/messages.ts';
import type { BeginRecord, Journal, Recovered } from './journal.ts';
import type { AppendFile, JournalFolder } from './folder.ts';
import {
  clearAway,
  loadJournal,
  replacedBy,
  segmentName,
  type LoadedJournal,
  type OldSegment,
} from './load.ts';
import { encodeRecord, type JournalRecord, type LiveTasks } from './records.ts';
import { SegmentWriter } from './segment.ts';

/** A segment is replaced when it has this size, and several times the size that it began with. */
export const COMPACT_FROM_BYTES = 4 * 1_048_576;
const COMPACT_AT_GROWTH = 4;

/** How often a disk that takes nothing is tried again. */
export const RETRY_EVERY_MS = 5_000;
/** A disk that does not answer for this long counts as one that refuses; whoever waits for it is told. */
export const STALLED_AFTER_MS = 10_000;
/** For the last records at the end of the process. */
const CLOSE_WITHIN_MS = 2_000;

export interface FileJournalOptions {
  folder: JournalFolder;
  /** 32 bytes. */
  key: Buffer;
  clock: Clock;
  log: Logger;
  /** Told of each group that is safe on the disk, and how many milliseconds that took. */
  onWritten?: (tookMs: number) => void;
}

/**
 * Reads what the run before left and begins a new segment. What can't be read is set aside, and while nothing can
 * be written the journal says so by `writable` and tries again: neither keeps the delegate from starting.
 *
 * @throws DelegateError `state-folder-unusable` if not even the names in the folder can be read
 */
export async function openJournal(options: FileJournalOptions): Promise<Journal> {
  const loaded = await loadJournal(options.folder, options.key, options.log, options.clock.now());
  const journal = new FileJournal(options, loaded);
  await journal.open();
  return journal;
}

interface Pending {
  readonly record: JournalRecord;
  readonly written: Deferred<void>;
}

interface Segment {
  readonly name: string;
  readonly number: number;
  readonly file: AppendFile;
  readonly writer: SegmentWriter;
  readonly bytesAtFirst: number;
  bytes: number;
}

/**
 * Appends records to one segment, in groups: what arrives while a group is on its way to the disk makes up the
 * next one, so a lone record waits for nobody and a thousand share one fsync.
 *
 *   pending ──► group ──► append, fsync ──► resolved
 *                              │ fails, or the segment has grown
 *                              ▼
 *               a new segment with all that is alive, older ones removed ──► resolved
 *                              │ fails
 *                              ▼
 *               not writable: everybody is refused, and every few seconds a new segment is tried
 */
class FileJournal implements Journal {
  readonly #options: FileJournalOptions;
  readonly #live: LiveTasks;
  #pending: Pending[] = [];
  #segment: Segment | undefined;
  #old: readonly OldSegment[];
  #lastNumber: number;
  #writing: Promise<void> | undefined;
  #retry: Timer | undefined;
  #writable = true;
  /** Something was refused since the segment began, which may hold it, or lack what came of it. */
  #isBehind = false;
  #closed = false;
  onWritable = (): void => {};

  constructor(options: FileJournalOptions, { live, segments, lastNumber }: LoadedJournal) {
    this.#options = options;
    this.#live = live;
    this.#old = segments;
    this.#lastNumber = lastNumber;
  }

  /** Resolves when the first segment is begun, or the disk has refused it. */
  async open(): Promise<void> {
    this.#writing = this.#work();
    await this.#writing;
  }

  get writable(): boolean {
    return this.#writable;
  }

  recover(): Recovered {
    return this.#live.recovered();
  }

  async begin(record: BeginRecord): Promise<void> {
    try {
      await this.#append({ is: 'begin', ...record });
    } catch (thrown) {
      this.#live.undoBegin(record.ref);
      throw thrown;
    }
  }

  async start({ taskId, attempt }: TaskRef, startedAt: string): Promise<void> {
    const ref = { taskId, attempt };
    try {
      await this.#append({ is: 'start', ref, startedAt });
    } catch (thrown) {
      this.#live.undoStart(ref);
      throw thrown;
    }
  }

  finish(result: TaskResult): Promise<void> {
    return this.#append({ is: 'finish', result });
  }

  forget({ taskId, attempt }: TaskRef): Promise<void> {
    return this.#append({ is: 'forget', ref: { taskId, attempt } });
  }

  /** What was asked for before is still written, if the disk takes it in time. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    this.#retry?.cancel();
    await endsWithin(this.#options.clock, CLOSE_WITHIN_MS, this.#finishWriting());
    refuse(this.#pending.splice(0), unwritable(new Error('the journal is closed')));
  }

  async #finishWriting(): Promise<void> {
    await this.#writing;
    await this.#closeSegment();
  }

  // --- writing ----------------------------------------------------------------------------------------------

  #append(record: JournalRecord): Promise<void> {
    // Also what the disk refuses: the next segment that it takes holds all that is alive.
    this.#live.apply(record);
    if (!this.#writable || this.#closed) {
      this.#isBehind = true;
      return Promise.reject(unwritable(undefined));
    }
    const written = deferred<void>();
    this.#pending.push({ record, written });
    this.#writing ??= this.#work();
    return written.promise;
  }

  /** Writes until nothing waits any more; never rejects. There is one at a time. */
  async #work(): Promise<void> {
    const { clock, onWritten } = this.#options;
    // What else is asked for before this turn of the event loop ends shares the first group.
    await Promise.resolve();
    do {
      const group = this.#pending.splice(0);
      let answered = false;
      const begunAt = clock.monotonic();
      const stalled = clock.after(STALLED_AFTER_MS, () => {
        // After a frozen process timers come first: the answer may be there, and is read in this turn.
        setImmediate(() => {
          if (answered) return;
          this.#refused(new Error(`the disk did not answer within ${STALLED_AFTER_MS} ms`), group);
        });
      });
      try {
        await this.#write(group);
        onWritten?.(clock.monotonic() - begunAt);
        for (const { written } of group) written.resolve();
        this.#accepted();
        if (this.#isBehind) await this.#rotate();
      } catch (thrown) {
        this.#refused(thrown, group);
      } finally {
        answered = true;
        stalled.cancel();
      }
    } while (this.#pending.length > 0);
    this.#writing = undefined;
  }

  async #write(group: readonly Pending[]): Promise<void> {
    const segment = this.#segment;
    if (segment === undefined || !this.#writable || hasGrown(segment)) return await this.#rotate();
    try {
      const bytes = Buffer.concat(group.map(({ record }) => segment.writer.encode(encodeRecord(record))));
      segment.bytes += bytes.length;
      await segment.file.append(bytes);
      // What was appended survives the process. A power cut may take a `forget`: the result is then acknowledged again.
      if (group.some(({ record }) => record.is !== 'forget')) await segment.file.sync();
    } catch (thrown) {
      // After a failed fsync the next may claim success for pages that the system has dropped: not this file again.
      this.#options.log.warn(
        { file: segment.name, why: reasonOf(thrown) },
        'the journal leaves a segment that failed',
      );
      await this.#rotate();
    }
  }

  /** A new segment with everything that is alive. Older ones are cleared away only when it is safe on the disk. */
  async #rotate(): Promise<void> {
    const { folder, key, log } = this.#options;
    await this.#closeSegment();
    this.#lastNumber += 1;
    const number = this.#lastNumber;
    const name = segmentName(number);
    const file = await folder.create(name);
    const writer = new SegmentWriter(key);
    this.#isBehind = false;
    const records: JournalRecord[] = [
      ...this.#live.snapshot(),
      { is: 'compacted', replaces: replacedBy(this.#old) },
    ];
    const bytes = Buffer.concat([
      writer.preamble,
      ...records.map((record) => writer.encode(encodeRecord(record))),
    ]);
    this.#segment = { name, number, file, writer, bytesAtFirst: bytes.length, bytes: bytes.length };
    try {
      await file.append(bytes);
      await file.sync();
      await folder.sync();
    } catch (thrown) {
      await this.#closeSegment();
      // At once: a full disk would otherwise get another half segment with each try.
      const half = this.#old.filter((old) => old.name === name);
      const before = this.#old.filter((old) => old.name !== name);
      this.#old = [...before, ...(await clearAway(folder, half, log))];
      throw thrown;
    }
    this.#old = await clearAway(folder, this.#old, log);
  }

  async #closeSegment(): Promise<void> {
    const segment = this.#segment;
    if (segment === undefined) return;
    this.#segment = undefined;
    this.#old = [...this.#old, { name: segment.name, number: segment.number, condition: 'sound' }];
    try {
      await segment.file.close();
    } catch (thrown) {
      // What had to be on the disk was synced, or reported as not.
      this.#options.log.warn(
        { file: segment.name, why: reasonOf(thrown) },
        'a segment of the journal could not be closed',
      );
    }
  }

  #accepted(): void {
    this.#retry?.cancel();
    if (this.#writable) return;
    this.#writable = true;
    this.#options.log.info('the journal can be written again');
    this.onWritable();
  }

  #refused(thrown: unknown, group: readonly Pending[]): void {
    const { clock, log } = this.#options;
    refuse([...group, ...this.#pending.splice(0)], unwritable(thrown));
    this.#isBehind = true;
    if (this.#writable) {
      log.error(
        { why: reasonOf(thrown), hint: DELEGATE_ERRORS['journal-unwritable'].remedy },
        'the journal cannot be written: no task is taken until it can; results that wait are sent all the same',
      );
    }
    this.#writable = false;
    this.#retry?.cancel();
    if (this.#closed) return;
    this.#retry = clock.after(RETRY_EVERY_MS, () => {
      this.#writing ??= this.#work();
    });
  }
}

function hasGrown({ bytes, bytesAtFirst }: Segment): boolean {
  return bytes > COMPACT_FROM_BYTES && bytes > COMPACT_AT_GROWTH * bytesAtFirst;
}

function refuse(pending: readonly Pending[], error: DelegateError): void {
  for (const { written } of pending) written.reject(error);
}

function unwritable(cause: unknown): DelegateError {
  const code = systemCode(cause);
  const because = code === undefined ? '' : ` (${code})`;
  return delegateError('journal-unwritable', `The delegate cannot record tasks on its disk${because}.`, {
    cause,
  });
}
