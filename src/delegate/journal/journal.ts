import type { DelegateIdentity, TaskEffect, TaskRef, TaskResult } from '../../protocol/messages.ts';
import type { SignatureMarks, TakenMark } from './taken-signatures.ts';

/** What must survive of an accepted task before the manager hears that it was accepted. No input: it names secrets. */
export interface BeginRecord {
  ref: TaskRef;
  name: string;
  effect: TaskEffect;
  /** RFC 3339. */
  receivedAt: string;
  /** Who took it, in the version of then: should it be interrupted, the result is to say so after an upgrade, too. */
  delegate: DelegateIdentity;
  /** Of a signed one. It outlives the task itself. */
  signature?: TakenMark | undefined;
}

export interface BegunTask extends BeginRecord {
  /** RFC 3339, the earliest moment at which work that may write can have begun; undefined if it had not. */
  startedAt: string | undefined;
}

/** What a start finds from the run before; of each task the highest attempt. */
export interface Recovered {
  /** Begun, and no result is known; oldest first. */
  begun: readonly BegunTask[];
  /** Finished and not acknowledged, in the order in which they finished. */
  finished: readonly TaskResult[];
  /** Acknowledged or discarded lately, oldest first. */
  ended: readonly TaskRef[];
  signatures: SignatureMarks;
}

/**
 * The memory of the way of one task. Each promise resolves when the record would survive a crash; only then does
 * the next step of the task happen. It rejects with `journal-unwritable` when the disk does not take the record.
 */
export interface Journal extends AsyncDisposable {
  recover(): Recovered;
  /** A rejected one is as if it had not been asked for, and so is a rejected start. */
  begin(record: BeginRecord): Promise<void>;
  /** Work that may write is about to begin. */
  start(ref: TaskRef, startedAt: string): Promise<void>;
  /** A second result of an attempt takes the place of the first. A rejected one is recorded as soon as possible. */
  finish(result: TaskResult): Promise<void>;
  /** Acknowledged or discarded. Survives a crash of the process; a power cut may bring the result back once more. */
  forget(ref: TaskRef): Promise<void>;
  /** False from a write that failed until one that succeeds: meanwhile no task is to be taken. */
  readonly writable: boolean;
  /** Called when `writable` has become true again. */
  onWritable: () => void;
}
