import type { AuditEvent } from './events.ts';

/** Where the delegate tells what it does, for whoever has to answer for it later. */
export interface AuditTrail {
  /**
   * For what must not happen unrecorded. Resolves when the record survives the end of the process; rejects with
   * `audit-unwritable`, and then it is as if it had not been asked for.
   */
  admit(event: AuditEvent): Promise<void>;
  /**
   * For what has happened. Resolves when the record survives the end of the process, or when the disk takes none at
   * present: it is then written as soon as the disk does. Never rejects.
   */
  record(event: AuditEvent): Promise<void>;
  /** False from a write that failed until one that succeeds: meanwhile no task is to be taken. */
  readonly writable: boolean;
  onWritable: () => void;
}

/** A trail with a lifetime: it may be told of things before it is open, and writes them then. */
export interface AuditLog extends AuditTrail, AsyncDisposable {
  /**
   * To be called once the state folder is this process's own. Resolves when the start is recorded, or the disk has
   * refused it; never rejects.
   */
  open(): Promise<void>;
}

/** For an operator who has switched the audit log off, and for commands that serve nobody but who types them. */
export function noAuditLog(): AuditLog {
  return {
    writable: true,
    onWritable: () => {},
    admit: () => Promise.resolve(),
    record: () => Promise.resolve(),
    open: () => Promise.resolve(),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}
