import type { AuditEvent } from '../../src/observability/audit/events.ts';
import type { AuditLog } from '../../src/observability/audit/trail.ts';

export interface MemoryAudit extends AuditLog {
  /** What was told, oldest first. */
  readonly told: readonly AuditEvent[];
}

/** Keeps what it is told for as long as the test runs. */
export function memoryAudit(changes: Partial<AuditLog> = {}): MemoryAudit {
  const told: AuditEvent[] = [];
  const tell = (event: AuditEvent): Promise<void> => {
    told.push(event);
    return Promise.resolve();
  };
  return {
    told,
    writable: true,
    onWritable: () => {},
    admit: tell,
    record: tell,
    open: () => Promise.resolve(),
    [Symbol.asyncDispose]: () => Promise.resolve(),
    ...changes,
  };
}
