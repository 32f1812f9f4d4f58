import { pino } from 'pino';
import { z } from 'zod';
import { FileAuditLog } from '../../../src/observability/audit/audit-log.ts';
import type { AuditEvent } from '../../../src/observability/audit/events.ts';
import type { AuditFolder } from '../../../src/observability/audit/folder.ts';
import type { Clock } from '../../../src/kit/time.ts';
import { DelegateError } from '../../../src/kit/errors.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { MemoryFolder } from './memory-folder.ts';

export const STARTED: AuditEvent = {
  event: 'started',
  version: '26.11.90100',
  delegateName: 'eu-1',
  delegateId: 'dlg-1',
  managerUrl: 'https://manager.example.com',
  policyHash: null,
  requireSignedTasks: false,
  allowLoopback: false,
};

export function taken(n: number, changes: Partial<Extract<AuditEvent, { event: 'task' }>> = {}): AuditEvent {
  return {
    event: 'task',
    taskId: `t-${n}`,
    attempt: 1,
    name: 'servicenow.approval.check',
    version: 1,
    inputHash: null,
    signedBy: null,
    allowedBy: ['default'],
    ...changes,
  };
}

export function refused(
  n: number,
  changes: Partial<Extract<AuditEvent, { event: 'refused' }>> = {},
): AuditEvent {
  return {
    event: 'refused',
    taskId: `t-${n}`,
    attempt: 1,
    name: 'servicenow.approval.check',
    code: 'bad-signature',
    rule: null,
    why: 'The task is not signed.',
    ...changes,
  };
}

/** A disk, and one process after the other that writes its audit log there. */
export class Disk {
  readonly folder: AuditFolder & MemoryFolder = new MemoryFolder();
  /** Of the process that runs. */
  clock = new ManualClock();
  readonly logged: string[] = [];
  readonly #log = pino({ level: 'info' }, { write: (line) => void this.logged.push(line) });

  /** The log of the next process, not yet open. The one before is left as a crash leaves it. */
  boot({
    maxBytes = 1_048_576,
    scrub = (text: string): string => text,
    folder = this.folder,
    clock = this.clock,
  }: {
    maxBytes?: number;
    scrub?: (text: string) => string;
    folder?: AuditFolder;
    clock?: Clock;
  } = {}): FileAuditLog {
    return new FileAuditLog({ folder, maxBytes, started: () => STARTED, scrub, clock, log: this.#log });
  }

  async open(options: Parameters<Disk['boot']>[0] = {}): Promise<FileAuditLog> {
    const audit = this.boot(options);
    await audit.open();
    return audit;
  }

  /** The process ends, and with it all that it would still have done. */
  kill(): void {
    this.clock = new ManualClock();
  }

  says(text: string): boolean {
    return this.logged.some((line) => line.includes(text));
  }

  /** What the log says, in a few words for each record. */
  get story(): string[] {
    return recordsOf(this.folder.text).map(({ event, ...record }) =>
      'taskId' in record ? `${event} ${String(record.taskId)}` : event,
    );
  }
}

const recordSchema = z.looseObject({
  seq: z.number(),
  time: z.string(),
  event: z.string(),
  prev: z.string(),
  hash: z.string(),
});

export function recordsOf(text: string): z.infer<typeof recordSchema>[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => recordSchema.parse(JSON.parse(line)));
}

export async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return 'none';
  } catch (thrown) {
    return thrown instanceof DelegateError ? thrown.code : String(thrown);
  }
}
