import { faultOf, linesOf, readLine, type AuditRecord, type ChainFaultKind, type Head } from './chain.ts';
import type { AuditFolder } from './folder.ts';
import { readIfThere } from './records.ts';
import { listSegments } from './segments.ts';
import { readHead } from './tail.ts';

/** Faults listed in one report; the others are counted. */
const MAX_LISTED_FAULTS = 100;
/** Before a file that is listed, and not there when it is read, is nobody's doing but a stranger's. */
const MAX_TRIES = 5;

/**
 * Beyond those of the chain:
 *
 * - `not-a-record`: a line that the delegate did not write.
 * - `unfinished`: a line without its end in a file that was gone on from.
 * - `beginning-missing`, `end-missing`: records before the first, or behind the last one.
 * - `found-at-start`: the delegate itself has met this at a start, and has said so in the log.
 * - `empty`: there is no record at all.
 */
export type AuditFaultKind =
  | ChainFaultKind
  | 'not-a-record'
  | 'unfinished'
  | 'beginning-missing'
  | 'end-missing'
  | 'found-at-start'
  | 'empty';

export interface AuditFault {
  readonly kind: AuditFaultKind;
  /** Undefined where it is not of one file. */
  readonly file: string | undefined;
  /** From 1. */
  readonly line: number | undefined;
  readonly why: string;
}

export interface AuditReport {
  readonly isWhole: boolean;
  readonly files: number;
  readonly records: number;
  /** The oldest and the newest record; undefined of a log without any. */
  readonly first: (Head & { readonly time: string }) | undefined;
  readonly last: (Head & { readonly time: string }) | undefined;
  /** At the very end, of a line that is being written, or that a crash left; no fault. */
  readonly tornBytes: number;
  readonly faults: readonly AuditFault[];
  /** Beyond those that are listed. */
  readonly moreFaults: number;
}

/**
 * Follows the chain through every file, as it stands; the delegate may be running. It finds what does not fit
 * together. A log that somebody has written anew as a whole, or whose end they have cut off together with
 * `head.json`, fits together: that is what `known` is for.
 *
 * @param known records that the log must hold, from where nobody could change them: the delegate's shipped log
 */
export async function verifyAuditLog(folder: AuditFolder, known: readonly Head[] = []): Promise<AuditReport> {
  for (let triesLeft = MAX_TRIES; ; triesLeft -= 1) {
    const check = await follow(folder, known);
    if (!check.hasLostFile || triesLeft <= 1) return check.report();
  }
}

async function follow(folder: AuditFolder, known: readonly Head[]): Promise<ChainCheck> {
  // Before the files: what is written meanwhile comes behind it.
  const head = await readHead(folder);
  const check = new ChainCheck([...known, ...(head === undefined ? [] : [head])]);
  const segments = await listSegments(folder);
  for (const [index, { name }] of segments.entries()) {
    check.file(name, await readIfThere(folder, name), index === segments.length - 1);
  }
  return check;
}

class ChainCheck {
  readonly #known: readonly Head[];
  readonly #faults: AuditFault[] = [];
  #moreFaults = 0;
  #files = 0;
  #records = 0;
  #first: { readonly record: AuditRecord; readonly file: string } | undefined;
  #last: AuditRecord | undefined;
  #keptFromSeq = 1;
  #tornBytes = 0;
  #hasLostFile = false;

  constructor(known: readonly Head[]) {
    this.#known = known;
  }

  /** The running delegate has removed a file since it was listed. */
  get hasLostFile(): boolean {
    return this.#hasLostFile;
  }

  file(name: string, bytes: Buffer | undefined, isNewest: boolean): void {
    if (bytes === undefined) {
      this.#hasLostFile = true;
      return;
    }
    this.#files += 1;
    const { lines, tornBytes } = linesOf(bytes);
    for (const [index, line] of lines.entries()) this.#line(name, index + 1, line);
    if (tornBytes === 0) return;
    if (isNewest) this.#tornBytes = tornBytes;
    else this.#fault('unfinished', 'the line has no end', name, lines.length + 1);
  }

  report(): AuditReport {
    this.#checkBeginning();
    this.#checkEnd();
    return {
      isWhole: this.#faults.length === 0,
      files: this.#files,
      records: this.#records,
      first: headOf(this.#first?.record),
      last: headOf(this.#last),
      tornBytes: this.#tornBytes,
      faults: this.#faults,
      moreFaults: this.#moreFaults,
    };
  }

  #line(file: string, line: number, bytes: Buffer): void {
    const read = readLine(bytes);
    if (read === undefined) {
      this.#fault('not-a-record', 'the delegate did not write this line', file, line);
      return;
    }
    const { record } = read;
    const fault = faultOf(read, this.#last);
    if (fault !== undefined) this.#fault(fault.kind, fault.why, file, line);
    this.#first ??= { record, file };
    // From here on by what the record claims: one fault is one, and not one for each record behind it.
    this.#last = record;
    this.#records += 1;
    this.#checkKnown(record, file, line);
    this.#heed(record, file, line);
  }

  #checkKnown({ seq, hash }: AuditRecord, file: string, line: number): void {
    if (this.#known.some((head) => head.seq === seq && head.hash !== hash)) {
      this.#fault('replaced', `record ${seq} is not the one that is known by its hash`, file, line);
    }
  }

  /** What the log says of itself. */
  #heed(record: AuditRecord, file: string, line: number): void {
    const { event, keptFromSeq, lastSeq } = record;
    if (event === 'segment' && typeof keptFromSeq === 'number') {
      this.#keptFromSeq = Math.max(this.#keptFromSeq, keptFromSeq);
    }
    if (event === 'missing') {
      const why = `record ${String(lastSeq)} had been the last one, and was not there when the delegate started at ${record.time}`;
      this.#fault('found-at-start', why, file, line);
    }
  }

  #checkBeginning(): void {
    if (this.#first === undefined) {
      this.#fault('empty', 'there is no record');
      return;
    }
    const { record, file } = this.#first;
    if (record.seq <= this.#keptFromSeq) return;
    const why = `records ${this.#keptFromSeq} to ${record.seq - 1} are missing: the log says that it kept them`;
    this.#fault('beginning-missing', why, file, 1);
  }

  #checkEnd(): void {
    const last = this.#last?.seq ?? 0;
    for (const { seq } of this.#known.filter((head) => head.seq > last)) {
      this.#fault('end-missing', `record ${seq} was written, and the log ends before it`);
    }
  }

  #fault(kind: AuditFaultKind, why: string, file?: string, line?: number): void {
    if (this.#faults.length < MAX_LISTED_FAULTS) this.#faults.push({ kind, file, line, why });
    else this.#moreFaults += 1;
  }
}

function headOf(record: AuditRecord | undefined): AuditReport['last'] {
  return record === undefined ? undefined : { seq: record.seq, hash: record.hash, time: record.time };
}
