import { linesOf, readLine, seal, type Head } from './chain.ts';
import type { BoundedEvent } from './bounded.ts';
import type { AuditEvent } from './events.ts';
import type { AppendFile, AuditFolder } from './folder.ts';
import { HEAD_NAME, listSegments, segmentName, type Segment } from './segments.ts';
import { encodeHead, readTail } from './tail.ts';

/** Of one file, if all of them together may have four times as much. */
const SEGMENT_BYTES = 8 * 1_048_576;
const MIN_SEGMENTS = 4;
/** One write ends with the record that reaches this. */
const MAX_WRITE_BYTES = 65_536;

export interface TimedEvent {
  readonly event: BoundedEvent;
  /** RFC 3339. */
  readonly time: string;
}

interface Current {
  readonly name: string;
  /** Undefined while its end is in doubt. */
  file: AppendFile | undefined;
  bytes: number;
  /** So many of them are safe from a power cut; the others are still in memory. */
  syncedBytes: number;
  unsynced: Buffer[];
  /** What a power cut could still take is the file's very name. */
  isNew: boolean;
  /** Older files that go once this one is safe, to keep within the size. */
  superseded: readonly string[];
}

/**
 * The files of the chain, of which the newest is written. One call at a time; after one that was rejected the next
 * first writes the end of the file anew, as far as it is not safe: a write may have left a part of a line, and after a
 * failed sync the system may have dropped what it had taken.
 */
export class SegmentFiles {
  readonly #folder: AuditFolder;
  readonly #maxBytes: number;
  readonly #segmentBytes: number;
  #head: Head | undefined;
  #lastNumber = 0;
  #current: Current | undefined;

  constructor(folder: AuditFolder, maxBytes: number) {
    this.#folder = folder;
    this.#maxBytes = maxBytes;
    this.#segmentBytes = Math.min(SEGMENT_BYTES, Math.floor(maxBytes / MIN_SEGMENTS));
  }

  /** The newest record; undefined before the files were read. */
  get head(): Head | undefined {
    return this.#head;
  }

  /** Reads what the run before left, until that has once succeeded. Returns what is not as it was left. */
  async load(): Promise<readonly AuditEvent[]> {
    if (this.#head !== undefined) return [];
    const { head, current, lastNumber, found } = await readTail(this.#folder);
    if (current !== undefined) this.#current = doubtful(current.name, current.bytes);
    this.#lastNumber = lastNumber;
    this.#head = head;
    return found;
  }

  /** Appends the first of these records, as many as one write takes. Returns their number, at least 1. */
  async write(events: readonly TimedEvent[]): Promise<number> {
    const [first] = events;
    if (first === undefined) return 0;
    const current = await this.#ready(first.time);
    let head = this.#knownHead();
    let text = '';
    let count = 0;
    for (const { event, time } of events) {
      if (text.length >= MAX_WRITE_BYTES) break;
      const sealed = seal(event, time, head);
      text += sealed.line;
      head = sealed.head;
      count += 1;
    }
    await this.#append(current, Buffer.from(text), head);
    return count;
  }

  /** Resolves when a power cut takes nothing of what was written. */
  async sync(): Promise<void> {
    const current = this.#current;
    if (current === undefined) return;
    const file = await this.#soundEnd(current);
    try {
      await file.sync();
    } catch (thrown) {
      await this.#doubt(current);
      throw thrown;
    }
    current.syncedBytes = current.bytes;
    current.unsynced = [];
    if (current.isNew) await this.#folder.sync();
    current.isNew = false;
    await this.#folder.rewrite(HEAD_NAME, 0, encodeHead(this.#knownHead()));
    for (const name of current.superseded) await this.#folder.remove(name);
    current.superseded = [];
  }

  async close(): Promise<void> {
    const file = this.#current?.file;
    this.#current = undefined;
    await file?.close();
  }

  /** The file to write to, with its first record in it. */
  async #ready(time: string): Promise<Current> {
    if (this.#current !== undefined && this.#current.bytes >= this.#segmentBytes) {
      await this.sync();
      await this.close();
    }
    if (this.#current === undefined) {
      this.#lastNumber += 1;
      this.#current = doubtful(segmentName(this.#lastNumber), 0);
    }
    const current = this.#current;
    await this.#soundEnd(current);
    if (current.bytes === 0) await this.#begin(current, time);
    return current;
  }

  /** Its first record names the oldest one that is kept: so a beginning that somebody else has removed is missed. */
  async #begin(current: Current, time: string): Promise<void> {
    const before = (await listSegments(this.#folder)).filter(({ name }) => name !== current.name);
    const kept = this.#keptOf(before);
    current.isNew = true;
    current.superseded = before.slice(0, before.length - kept.length).map(({ name }) => name);
    const head = this.#knownHead();
    const keptFromSeq = (await this.#firstSeqOf(kept[0])) ?? head.seq + 1;
    const event = { event: 'segment', format: 1, file: current.name, keptFromSeq } satisfies AuditEvent;
    const sealed = seal(event, time, head);
    await this.#append(current, Buffer.from(sealed.line), sealed.head);
  }

  /** The youngest of the files that leave room for a whole new one. */
  #keptOf(before: readonly Segment[]): readonly Segment[] {
    let bytes = this.#segmentBytes + MAX_WRITE_BYTES;
    let kept = 0;
    for (const segment of before.toReversed()) {
      bytes += segment.bytes;
      if (bytes > this.#maxBytes) break;
      kept += 1;
    }
    return before.slice(before.length - kept);
  }

  async #firstSeqOf(segment: Segment | undefined): Promise<number | undefined> {
    if (segment === undefined) return undefined;
    const [line] = linesOf(await this.#folder.read(segment.name)).lines;
    return line === undefined ? undefined : readLine(line)?.record.seq;
  }

  async #append(current: Current, bytes: Buffer, head: Head): Promise<void> {
    const file = await this.#soundEnd(current);
    try {
      await file.append(bytes);
    } catch (thrown) {
      await this.#doubt(current);
      throw thrown;
    }
    current.unsynced.push(bytes);
    current.bytes += bytes.length;
    this.#head = head;
  }

  /** The file with exactly what it should hold. */
  async #soundEnd(current: Current): Promise<AppendFile> {
    if (current.file !== undefined) return current.file;
    await this.#folder.rewrite(current.name, current.syncedBytes, Buffer.concat(current.unsynced));
    current.file = await this.#folder.append(current.name);
    return current.file;
  }

  async #doubt(current: Current): Promise<void> {
    const { file } = current;
    current.file = undefined;
    // What it says of its close adds nothing to what has failed.
    await file?.close().catch(() => {});
  }

  #knownHead(): Head {
    if (this.#head === undefined) throw new Error('the audit log is written before it was read');
    return this.#head;
  }
}

function doubtful(name: string, bytes: number): Current {
  return { name, file: undefined, bytes, syncedBytes: bytes, unsynced: [], isNew: false, superseded: [] };
}
