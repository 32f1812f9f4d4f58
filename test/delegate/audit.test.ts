import { randomBytes } from 'node:crypto';
import { expect } from 'chai';
import { pino } from 'pino';
import type { TaskType } from '../../src/connectors/connector.ts';
import { openJournal } from '../../src/delegate/journal/file-journal.ts';
import { auditError } from '../../src/observability/audit/errors.ts';
import { auditEventSchema, type AuditEvent } from '../../src/observability/audit/events.ts';
import { inputHash } from '../../src/protocol/task-signature.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { memoryAudit } from '../support/memory-audit.ts';
import { leavesNothingOpen } from '../support/open-handles.ts';
import { until } from '../support/until.ts';
import { delegatesUnderTest } from './delegate-under-test.ts';
import { assignOf, REF } from './frames.ts';
import { FaultyFolder } from './journal/faulty-folder.ts';
import { Room } from './room.ts';
import { refusing } from './work.ts';

/** What a task record says beside the task's name. */
function wordsOf(event: AuditEvent): string {
  if (event.event === 'task') return `task ${event.taskId}#${event.attempt}`;
  if (event.event === 'refused') return `refused ${event.taskId}#${event.attempt} ${event.code}`;
  if (event.event !== 'task-ended') return event.event;
  return `task-ended ${event.taskId}#${event.attempt} ${event.outcome} ${event.code ?? '-'}`;
}

describe('what the audit log is told of tasks', () => {
  leavesNothingOpen();

  it('is who asked for what, and which rules allowed it, before the work begins', async () => {
    const told: string[] = [];
    const type: TaskType = {
      name: 'test.ruled',
      version: 3,
      effect: 'reads',
      prepare: () => ({
        allowedBy: ['instances[0]', 'secrets[2]'],
        run: (context) => {
          told.push(...audit.told.map(({ event }) => event));
          context.usedSecret('env:SN_PASSWORD', ['https://acme.service-now.com']);
          context.usedSecret('env:SN_PASSWORD', [
            'https://acme.service-now.com',
            'https://adfs.acme.com:8443',
          ]);
          context.usedSecret('file:key.pem', []);
          return Promise.resolve({});
        },
      }),
    };
    const audit = memoryAudit();
    const room = new Room({ audit, taskTypes: [type] });
    const { transport } = await room.open();
    const input = { a: 1 };
    transport.arrive(assignOf({ name: 'test.ruled', version: 3, input }));
    await until('it has ended', () => transport.sentOf('task.result').length > 0);
    expect(told).to.deep.equal(['task']);
    expect(audit.told).to.deep.equal([
      {
        event: 'task',
        ...REF,
        name: 'test.ruled',
        version: 3,
        inputHash: inputHash(input),
        signedBy: null,
        allowedBy: ['instances[0]', 'secrets[2]'],
      },
      {
        event: 'task-ended',
        ...REF,
        name: 'test.ruled',
        outcome: 'succeeded',
        code: null,
        secrets: [
          { name: 'env:SN_PASSWORD', hosts: ['acme.service-now.com', 'adfs.acme.com:8443'] },
          { name: 'file:key.pem', hosts: [] },
        ],
        durationMs: 0,
      },
    ]);
    for (const event of audit.told) auditEventSchema.parse(event);
  });

  it('is every refusal, with the rule of the policy', async () => {
    const audit = memoryAudit();
    const room = new Room({ audit, taskTypes: [refusing('policy')] });
    const { transport } = await room.open();
    transport.arrive(assignOf({ name: 'test.refusing' }));
    transport.arrive(assignOf({ taskId: 't-2', name: 'nobody.knows.it' }));
    await room.clock.settle();
    expect(audit.told.map(wordsOf)).to.deep.equal([
      'refused t-1#1 policy-denied',
      'refused t-2#1 unknown-task',
    ]);
  });

  it('is one end for each task, however it ends', async () => {
    const audit = memoryAudit();
    const room = new Room({ audit });
    const { transport } = await room.open();
    transport.arrive(assignOf({ taskId: 'failing', name: 'test.read' }));
    (await room.workshop.next()).fail(new Error('nobody foresaw it'));
    transport.arrive(assignOf({ taskId: 'cancelled', name: 'test.read' }));
    await room.workshop.next();
    transport.arrive({ type: 'task.cancel', taskId: 'cancelled', attempt: 1, reason: 'not wanted' });
    await room.clock.settle();
    transport.arrive(assignOf({ taskId: 'replaced', name: 'test.read' }));
    await room.workshop.next();
    transport.arrive(assignOf({ taskId: 'replaced', attempt: 2 }));
    await room.clock.settle();
    expect(audit.told.map(wordsOf)).to.deep.equal([
      'task failing#1',
      'task-ended failing#1 failed internal',
      'task cancelled#1',
      'task-ended cancelled#1 cancelled cancelled',
      'task replaced#1',
      'task-ended replaced#1 discarded -',
      'task replaced#2',
      'task-ended replaced#2 succeeded -',
    ]);
  });

  it('is the end of what the run before left unfinished', async () => {
    const folder = new FaultyFolder();
    const key = randomBytes(32);
    const next = async (audit = memoryAudit()): Promise<Room> => {
      const clock = new ManualClock();
      const journal = await openJournal({ folder, key, clock, log: pino({ level: 'silent' }) });
      const room = new Room({ audit, clock, journal });
      await room.recovered;
      return room;
    };
    const before = await next();
    const { transport } = await before.open();
    transport.arrive(assignOf({ name: 'test.read' }));
    await before.workshop.next();
    const audit = memoryAudit();
    await next(audit);
    expect(audit.told.map(wordsOf)).to.deep.equal(['task-ended t-1#1 failed interrupted']);
    expect(audit.told[0]).to.include({ name: 'test.read', durationMs: null });
  });
});

describe('a delegate whose audit log cannot be written', () => {
  const delegates = delegatesUnderTest();
  leavesNothingOpen();

  it('gives a task back whose record the disk does not take, and does no work', async () => {
    const audit = memoryAudit({
      admit: () =>
        Promise.reject(auditError('audit-unwritable', 'The audit log cannot be written (ENOSPC).')),
    });
    const room = new Room({ audit });
    const { transport } = await room.open();
    transport.arrive(assignOf({ name: 'test.read' }));
    await room.clock.settle();
    expect(room.workshop.begun).to.deep.equal([]);
    expect(transport.sentOf('task.reject').map(({ code }) => code)).to.deep.equal(['outbox-full']);
    expect(transport.sentOf('task.accept')).to.deep.equal([]);
    expect(audit.told.map(wordsOf)).to.deep.equal(['refused t-1#1 outbox-full']);
    expect(room.journal.recover().begun).to.deep.equal([]);
  });

  it('grants no slot, and grants all of them when the log can be written again', async () => {
    const audit = { ...memoryAudit(), writable: false };
    const room = new Room({ audit });
    const { transport } = await room.open();
    expect(transport.sentOf('credit')).to.deep.equal([]);
    transport.arrive(assignOf({ name: 'test.read' }));
    await room.clock.settle();
    expect(transport.sentOf('task.reject').map(({ code }) => code)).to.deep.equal(['no-credit']);
    audit.writable = true;
    room.workload.onSlotFree = () => room.workload.freeSlots;
    audit.onWritable();
    expect(room.workload.freeSlots).to.equal(4);
  });

  it('says so where the orchestrator asks, and is ready again by itself', async () => {
    const audit = { ...memoryAudit(), writable: false };
    const { delegate } = await delegates({ audit });
    await until('there is a session', () => delegate.phase === 'ready');
    expect(delegate.readiness()).to.include({ ready: false, reason: 'the audit log cannot be written' });
    audit.writable = true;
    audit.onWritable();
    expect(delegate.readiness()).to.include({ ready: true, phase: 'ready' });
  });
});

describe('what the audit log is told of connections', () => {
  const delegates = delegatesUnderTest();
  leavesNothingOpen();

  it('is the enrolment, and each session from its welcome to its end, between open and close', async () => {
    const steps: string[] = [];
    const audit = memoryAudit({
      open: () => Promise.resolve(void steps.push('open')),
      record: (event) => Promise.resolve(void steps.push(event.event)),
      [Symbol.asyncDispose]: () => Promise.resolve(void steps.push('close')),
    });
    const { delegate, ended } = await delegates({ audit });
    await until('there is a session', () => delegate.phase === 'ready');
    await delegate.stop('the test is over', 0);
    await ended();
    expect(steps).to.deep.equal(['open', 'enrolled', 'connected', 'disconnected', 'close']);
  });
});
