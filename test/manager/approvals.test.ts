import { expect } from 'chai';
import { z } from 'zod';
import { lookIntervalMs } from '../../src/manager/approval-looks.ts';
import { createMemoryStore, type Manager, type ManagerOptions } from '../../src/manager/manager.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { leavesNothingOpen } from '../support/open-handles.ts';
import { api, connectorBody } from './support/http.ts';
import { managersUnderTest } from './support/manager-under-test.ts';
import { enrol, ScriptedDelegate } from './support/scripted-delegate.ts';

const question = {
  connector: 'servicenow_prod',
  ticket: { type: 'change_request', number: 'CHG0030001' },
  approvalCriteria: { type: 'KeyValues', spec: { matchAnyCondition: false, conditions: [] } },
  changeWindow: { startField: 'start_date', endField: 'end_date' },
};

const approvalIdSchema = z.object({ approvalId: z.string() });

describe('an approval', () => {
  const start = managersUnderTest();

  async function startWithApproval(changes: object = {}, options: ManagerOptions = {}) {
    const clock = new ManualClock();
    const watched = await start({
      clock,
      heartbeatMs: 200_000,
      leaseMs: 600_000,
      queueTimeoutMs: 600_000,
      ...options,
    });
    const { manager } = watched;
    const who = await enrol(manager);
    const { delegate } = await ScriptedDelegate.join(manager, who, 99);
    await delegate.synchronise();
    await api(manager, 'POST', '/api/v1/connectors', connectorBody());
    const { body, status } = await api(manager, 'POST', '/api/v1/approvals', { ...question, ...changes });
    expect(status).to.equal(202);
    const { approvalId } = approvalIdSchema.parse(body);
    return { ...watched, clock, who, delegate, approvalId };
  }

  const intervalMs = lookIntervalMs('servicenow_prod', 60_000);

  const find = (manager: Manager, approvalId: string) => {
    const approval = manager.approvals.find((each) => each.approvalId === approvalId);
    if (approval === undefined) throw new Error('there is no such approval');
    return approval;
  };

  leavesNothingOpen();

  it('looks at once, then at every interval, and ends with the decision', async () => {
    const { manager, delegate, clock, approvalId, who } = await startWithApproval();
    const first = await delegate.next('task.assign');
    expect(first).to.include({ name: 'servicenow.approval.check', version: 1 });
    const { connector: _, ...asked } = question;
    expect(first.input).to.deep.equal({ connector: connectorBody(), ...asked });
    delegate.succeed(first, { decision: 'pending', reason: 'state is Assess' });
    await delegate.synchronise();
    await clock.advance(intervalMs - 1);
    expect(delegate.unread('task.assign')).to.equal(0);
    await clock.advance(1);
    delegate.succeed(await delegate.next('task.assign'), {
      decision: 'approved',
      reason: 'state is Implement',
    });
    await delegate.synchronise();
    await clock.settle();

    const approval = find(manager, approvalId);
    expect(approval).to.include({ status: 'approved', reason: 'state is Implement', lookCount: 2 });
    expect(approval.looks.map(({ decision }) => decision)).to.deep.equal(['pending', 'approved']);
    expect(approval.looks[0]?.delegate).to.deep.equal({ id: who.delegateId, version: who.version });
  });

  it('is rejected when the ticket is', async () => {
    const { manager, delegate, approvalId, clock } = await startWithApproval();
    delegate.succeed(await delegate.next('task.assign'), {
      decision: 'rejected',
      reason: 'state is Cancelled',
    });
    await delegate.synchronise();
    await clock.settle();
    expect(find(manager, approvalId).status).to.equal('rejected');
  });

  /** Lets looks end one after the other, each an interval after the one before. */
  async function play(
    { delegate, clock }: { delegate: ScriptedDelegate; clock: ManualClock },
    looks: readonly ((ref: { taskId: string; attempt: number }) => void)[],
  ): Promise<void> {
    for (const look of looks) {
      look(await delegate.next('task.assign'));
      await delegate.synchronise();
      await clock.advance(intervalMs);
    }
  }

  it('fails after three looks in a row that waiting does not cure; retryable ones between do not count', async () => {
    const world = await startWithApproval();
    const { delegate, manager, approvalId } = world;
    const hard = (ref: { taskId: string; attempt: number }) =>
      delegate.fail(ref, { code: 'servicenow.field-missing', retryable: false });
    const soft = (ref: { taskId: string; attempt: number }) =>
      delegate.fail(ref, { code: 'servicenow.unavailable', retryable: true });
    const pending = (ref: { taskId: string; attempt: number }) =>
      delegate.succeed(ref, { decision: 'pending', reason: 'not yet' });
    await play(world, [hard, hard, pending, soft, soft, soft, soft, hard, soft, hard]);
    expect(find(manager, approvalId).status).to.equal('waiting');
    await play(world, [hard]);
    const approval = find(manager, approvalId);
    expect(approval.status).to.equal('failed');
    expect(approval.error?.code).to.equal('servicenow.field-missing');
    expect(approval.lookCount).to.equal(11);
  });

  for (const category of ['invalid-input', 'policy'] as const) {
    it(`fails at the first look that ends in an error of the category ${category}`, async () => {
      const world = await startWithApproval();
      const { delegate, manager, approvalId } = world;
      await play(world, [(ref) => delegate.fail(ref, { code: 'wrong', retryable: false, category })]);
      const approval = find(manager, approvalId);
      expect(approval).to.include({ status: 'failed', lookCount: 1, reason: 'as the script says' });
      expect(approval.error?.category).to.equal(category);
    });
  }

  for (const code of ['invalid-input', 'policy-denied'] as const) {
    it(`fails at the first look that is rejected for ${code}, and names who rejected it`, async () => {
      const world = await startWithApproval();
      const { delegate, manager, approvalId, who } = world;
      await play(world, [
        ({ taskId, attempt }) => delegate.send({ type: 'task.reject', taskId, attempt, code, message: 'no' }),
      ]);
      const approval = find(manager, approvalId);
      expect(approval).to.include({ status: 'failed', lookCount: 1 });
      expect(approval.error?.code).to.equal(code);
      expect(approval.looks[0]?.delegate).to.deep.equal({ id: who.delegateId, version: who.version });
    });
  }

  it('goes on after a look whose delegate crashed or stopped', async () => {
    const world = await startWithApproval();
    const { delegate, manager, approvalId } = world;
    await play(world, [
      (ref) => delegate.fail(ref, { code: 'delegate.crashed', retryable: false }, 'unknown'),
      (ref) => delegate.fail(ref, { code: 'cancelled', retryable: false }, 'cancelled'),
      (ref) => delegate.fail(ref, { code: 'cancelled', retryable: false }, 'cancelled'),
    ]);
    expect(find(manager, approvalId)).to.include({ status: 'waiting', failuresInARow: 0 });
  });

  it('takes an answer without a decision as an error', async () => {
    const world = await startWithApproval();
    const { delegate, manager, approvalId } = world;
    const odd = (ref: { taskId: string; attempt: number }) => delegate.succeed(ref, { verdict: 'fine' });
    await play(world, [odd, odd, odd]);
    expect(find(manager, approvalId).error?.code).to.equal('unreadable-decision');
  });

  it('expires at its timeout, even in the middle of a look, which is cancelled', async () => {
    const { manager, delegate, clock, approvalId } = await startWithApproval({ timeoutMs: 90_000 });
    delegate.succeed(await delegate.next('task.assign'), { decision: 'pending', reason: 'state is Assess' });
    await delegate.synchronise();
    await clock.advance(intervalMs);
    const { taskId } = await delegate.next('task.assign');
    await clock.advance(90_000 - intervalMs);
    expect((await delegate.next('task.cancel')).taskId).to.equal(taskId);
    expect(find(manager, approvalId)).to.include({ status: 'expired', reason: 'state is Assess' });
  });

  it('stops when it is cancelled', async () => {
    const { manager, delegate, approvalId } = await startWithApproval();
    await delegate.next('task.assign');
    const path = `/api/v1/approvals/${approvalId}/cancel`;
    const { status, body } = await api(manager, 'POST', path, { reason: 'rolled back' });
    expect(status).to.equal(200);
    expect(body).to.include({ status: 'cancelled', reason: 'rolled back' });
    await delegate.next('task.cancel');
  });

  it('fails when its connector is deleted', async () => {
    const { manager, delegate, clock, approvalId } = await startWithApproval();
    delegate.succeed(await delegate.next('task.assign'), { decision: 'pending', reason: 'not yet' });
    await delegate.synchronise();
    await api(manager, 'DELETE', '/api/v1/connectors/servicenow_prod');
    await clock.advance(intervalMs);
    expect(find(manager, approvalId).error?.code).to.equal('connector-not-found');
  });

  it('goes on after a restart of the manager on the same store', async () => {
    const store = createMemoryStore();
    const { manager: before, delegate, who, approvalId } = await startWithApproval({}, { store });
    await delegate.next('task.assign');
    await before.close();
    const { manager: after, seen } = await start({ store });
    const { delegate: back } = await ScriptedDelegate.join(after, who, 99);
    const assign = await back.next('task.assign');
    back.succeed(assign, { decision: 'approved', reason: 'state is Implement' });
    await seen(
      (event) => (event.type === 'approval.changed' && event.approval.status === 'approved') || undefined,
    );
    expect(find(after, approvalId).status).to.equal('approved');
  });

  it('keeps the looks of one connector in step, and those of two apart', () => {
    expect(lookIntervalMs('a', 60_000)).to.equal(lookIntervalMs('a', 60_000));
    expect(lookIntervalMs('a', 60_000)).to.not.equal(lookIntervalMs('b', 60_000));
    for (const name of ['a', 'b', 'c', 'd'])
      expect(lookIntervalMs(name, 60_000)).to.be.within(54_000, 66_000);
  });
});
