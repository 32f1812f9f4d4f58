import { reasonOf, systemCode, type DelegateError } from '../../kit/errors.ts';
import { deferred, type Deferred } from '../../kit/flow.ts';
import { endsWithin, toTimestamp, type Clock, type Timer } from '../../kit/time.ts';
import type { Logger } from '../logger.ts';
import { bounded, type BoundedEvent } from './bounded.ts';
import { AUDIT_ERRORS, auditError } from './errors.ts';
import type { AuditEvent } from './events.ts';
import { FloodGate, WINDOW_MS } from './flood.ts';
import type { AuditFolder } from './folder.ts';
import { SegmentFiles } from './segment-files.ts';
import type { AuditLog } from './trail.ts';

/** A power cut takes at most what was written within this time. */
export const SYNC_WITHIN_MS = 1_000;
/** How often a disk that takes nothing is tried again. */
export const RETRY_EVERY_MS = 5_000;
/** A disk that does not answer for this long counts as one that refuses; whoever waits for it is told. */
export const STALLED_AFTER_MS = 10_000;
/** How often the newest record is named in the delegate's log, while there are new ones. */
export const HEAD_EVERY_MS = 15 * 60_000;
/** For the last records at the end of the process. */
const CLOSE_WITHIN_MS = 2_000;
/** Records that wait for a disk which takes none. Each is below 64 KiB, and mostly below 1 KiB. */
export const MAX_WAITING = 5_000;
/** Records that one write carries. */
const MAX_GROUP = 200;

export interface AuditLogOptions {
  folder: AuditFolder;
  /** Of all files together. */
  maxBytes: number;
  /** The first record of a run; asked for when it opens. */
  started: () => AuditEvent;
  /** The text without any known secret. */
  scrub: (text: string) => string;
  clock: Clock;
  log: Logger;
}

interface Waiting {
  readonly event: BoundedEvent;
  /** RFC 3339. */
  readonly time: string;
  readonly written: Deferred<void>;
  /** Whether it is to be forgotten if it can't be written now. */
  readonly isAdmission: boolean;
}

/**
 * Appends records to the newest file of the chain, in groups: what arrives while one is being written makes up the
 * next. Appended is safe from the end of the process; safe from a power cut is what a sync has followed, which comes
 * within a second, since a sync for each record would cost more than the tasks.
 *
 *   waiting ──► appended ──► resolved ──(at most 1 s)──► synced
 *                  │ fails, or does not answer                │ fails
 *                  ▼                                          ▼
 *   not writable: admissions are refused, other records wait, and every few seconds the end of the file that is not
 *   synced is written anew, and what waits behind it
 */
export class FileAuditLog implements AuditLog {
  readonly #options: AuditLogOptions;
  readonly #files: SegmentFiles;
  readonly #flood = new FloodGate();
  #waiting: Waiting[] = [];
  #lost = 0;
  #working: Promise<void> | undefined;
  #isOpen = false;
  #closed = false;
  #writable = true;
  #isSyncDue = false;
  #syncTimer: Timer | undefined;
  #retryTimer: Timer | undefined;
  #windowTimer: Timer | undefined;
  #headToldAt = -Infinity;
  onWritable = (): void => {};

  constructor(options: AuditLogOptions) {
    this.#options = options;
    this.#files = new SegmentFiles(options.folder, options.maxBytes);
  }

  get writable(): boolean {
    return this.#writable;
  }

  async open(): Promise<void> {
    this.#isOpen = true;
    void this.record(this.#options.started());
    this.#isSyncDue = true;
    this.#work();
    await endsWithin(this.#options.clock, STALLED_AFTER_MS, this.#working ?? Promise.resolve());
  }

  async admit(event: AuditEvent): Promise<void> {
    if (!this.#isOpen || !this.#writable || this.#closed) throw unwritable(undefined);
    await this.#put(event, true);
  }

  async record(event: AuditEvent): Promise<void> {
    if (this.#closed) return;
    const isTold = this.#flood.admits(event, this.#time());
    if (this.#flood.isCounting) {
      this.#windowTimer ??= this.#options.clock.after(WINDOW_MS, () => this.#endWindow());
    }
    if (isTold) await this.#put(event, false);
  }

  /** What was told before is still written, if the disk takes it in time. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    this.#endWindow();
    if (this.#isOpen) void this.record({ event: 'stopped' });
    this.#closed = true;
    for (const timer of [this.#syncTimer, this.#retryTimer]) timer?.cancel();
    if (!this.#isOpen) return;
    await endsWithin(this.#options.clock, CLOSE_WITHIN_MS, this.#finish());
    if (this.#waiting.length === 0) return;
    const records = this.#waiting.length + this.#lost;
    this.#options.log.error({ records }, 'the last records of the audit log are not on the disk');
  }

  async #finish(): Promise<void> {
    this.#isSyncDue = true;
    this.#work();
    await this.#working;
    this.#tellHead();
    try {
      await this.#files.close();
    } catch (thrown) {
      // What had to be on the disk was synced, or reported as not.
      this.#options.log.warn({ why: reasonOf(thrown) }, 'a file of the audit log could not be closed');
    }
  }

  // --- what waits -------------------------------------------------------------------------------------------

  async #put(event: AuditEvent, isAdmission: boolean): Promise<void> {
    if (this.#waiting.length >= MAX_WAITING && !isAdmission) {
      this.#lost += 1;
      return;
    }
    const waiting = this.#waitingOf(event, isAdmission);
    this.#waiting.push(waiting);
    if (!this.#isOpen || !this.#writable) return;
    this.#work();
    await waiting.written.promise;
  }

  #waitingOf(event: AuditEvent, isAdmission = false): Waiting {
    const { scrub } = this.#options;
    return { event: bounded(event, scrub), time: this.#time(), written: deferred<void>(), isAdmission };
  }

  #endWindow(): void {
    this.#windowTimer?.cancel();
    this.#windowTimer = undefined;
    for (const repeated of this.#flood.endWindow()) void this.#put(repeated, false);
  }

  #time(): string {
    return toTimestamp(this.#options.clock.now());
  }

  // --- writing ----------------------------------------------------------------------------------------------

  #work(): void {
    this.#working ??= this.#run();
  }

  /** Writes until there is nothing more to write, or the disk refuses; never rejects. There is one at a time. */
  async #run(): Promise<void> {
    // What else is told before this turn of the event loop ends shares the first write.
    await Promise.resolve();
    let isRefused = false;
    while (!isRefused && (this.#waiting.length > 0 || this.#isSyncDue)) {
      let answered = false;
      const stalled = this.#options.clock.after(STALLED_AFTER_MS, () => {
        // After a frozen process timers come first: the answer may be there, and is read in this turn.
        setImmediate(() => {
          if (!answered) this.#refused(new Error(`the disk did not answer within ${STALLED_AFTER_MS} ms`));
        });
      });
      try {
        await this.#writeOnce();
        this.#accepted();
      } catch (thrown) {
        isRefused = true;
        this.#refused(thrown);
      } finally {
        answered = true;
        stalled.cancel();
      }
    }
    this.#working = undefined;
  }

  async #writeOnce(): Promise<void> {
    const found = await this.#files.load();
    for (const event of found) this.#tell(event);
    this.#waiting.unshift(...found.map((event) => this.#waitingOf(event)));
    if (this.#lost > 0) {
      this.#waiting.push(this.#waitingOf({ event: 'lost', count: this.#lost }));
      this.#lost = 0;
    }
    const group = this.#waiting.slice(0, MAX_GROUP);
    const written = new Set(group.slice(0, await this.#files.write(group)));
    this.#waiting = this.#waiting.filter((waiting) => !written.has(waiting));
    for (const waiting of written) waiting.written.resolve();
    if (this.#isSyncDue) await this.#sync();
    else this.#syncTimer ??= this.#options.clock.after(SYNC_WITHIN_MS, () => this.#syncDue());
  }

  /** Of a crash a torn line is all that is left; nothing else comes by itself. */
  #tell(found: AuditEvent): void {
    const { log } = this.#options;
    if (found.event === 'repaired') log.warn(found, 'the audit log ended within a line, as after a crash');
    else log.error(found, 'the audit log is not as it was left: verify it');
  }

  #syncDue(): void {
    this.#syncTimer = undefined;
    this.#isSyncDue = true;
    this.#work();
  }

  async #sync(): Promise<void> {
    await this.#files.sync();
    this.#isSyncDue = false;
    this.#syncTimer?.cancel();
    this.#syncTimer = undefined;
    if (this.#options.clock.monotonic() - this.#headToldAt >= HEAD_EVERY_MS) this.#tellHead();
  }

  /** A copy of the log that lies elsewhere then proves that nothing before this was changed, or cut off. */
  #tellHead(): void {
    const { head } = this.#files;
    if (head === undefined) return;
    this.#headToldAt = this.#options.clock.monotonic();
    this.#options.log.info({ seq: head.seq, hash: head.hash }, 'audit log head');
  }

  #accepted(): void {
    this.#retryTimer?.cancel();
    if (this.#writable) return;
    this.#writable = true;
    this.#options.log.info('the audit log can be written again');
    this.onWritable();
  }

  #refused(thrown: unknown): void {
    const { clock, log } = this.#options;
    const error = unwritable(thrown);
    for (const { written, isAdmission } of this.#waiting) {
      if (isAdmission) written.reject(error);
      else written.resolve();
    }
    this.#waiting = this.#waiting.filter(({ isAdmission }) => !isAdmission);
    this.#isSyncDue = true;
    if (this.#writable) {
      log.error(
        { why: reasonOf(thrown), hint: AUDIT_ERRORS['audit-unwritable'].remedy },
        'the audit log cannot be written: no task is taken until it can',
      );
    }
    this.#writable = false;
    this.#retryTimer?.cancel();
    if (!this.#closed) this.#retryTimer = clock.after(RETRY_EVERY_MS, () => this.#work());
  }
}

function unwritable(cause: unknown): DelegateError {
  const code = systemCode(cause);
  const because = code === undefined ? '' : ` (${code})`;
  return auditError('audit-unwritable', `The audit log cannot be written${because}.`, { cause });
}
