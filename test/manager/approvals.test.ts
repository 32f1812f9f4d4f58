import { expect } from 'chai';
import { z } from 'zod';
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

interface PlayedWorld {
  readonly manager: Manager;
  readonly delegate: ScriptedDelegate;
  readonly clock: ManualClock;
  readonly approvalId: string;
}

const shownSchema = z.object({
  status: z.string(),
  error: z.object({ code: z.string(), retryable: z.boolean() }).nullable(),
  failuresInARow: z.number(),
  nextLookAt: z.string().nullable(),
  waitingFor: z.string().nullable(),
});

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

  const find = (manager: Manager, approvalId: string) => {
    const approval = manager.approvals.find((each) => each.approvalId === approvalId);
    if (approval === undefined) throw new Error('there is no such approval');
    return approval;
  };

  /** How long until the next look of the approval. */
  const untilNextMs = (manager: Manager, approvalId: string, clock: ManualClock): number => {
    const { nextLookAt } = find(manager, approvalId);
    if (nextLookAt === null) throw new Error('no look is to come');
    return Date.parse(nextLookAt) - clock.now();
  };

  leavesNothingOpen();

  it('looks at once, then at every tick, and ends with the decision', async () => {
    const { manager, delegate, clock, approvalId, who } = await startWithApproval();
    const first = await delegate.next('task.assign');
    expect(first).to.include({ name: 'servicenow.approval.check', version: 1 });
    const { connector: _, ...asked } = question;
    expect(first.input).to.deep.equal({ connector: connectorBody(), ...asked });
    delegate.succeed(first, { decision: 'pending', reason: 'state is Assess' });
    await delegate.synchronise();
    const gapMs = untilNextMs(manager, approvalId, clock);
    expect(gapMs).to.be.within(30_000, 90_000);
    await clock.advance(gapMs - 1);
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
    expect(approval.looks[0]?.delegate).to.deep.equal({
      id: who.delegateId,
      name: who.name,
      version: who.version,
    });
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

  /** Lets one look end; the clock stands. */
  async function lookOnce(
    { delegate, clock }: PlayedWorld,
    look: (ref: { taskId: string; attempt: number }) => void,
  ): Promise<void> {
    look(await delegate.next('task.assign'));
    await delegate.synchronise();
    await clock.settle();
  }

  /** Lets looks end one after the other, each as soon as the next is due. */
  async function play(
    world: PlayedWorld,
    looks: readonly ((ref: { taskId: string; attempt: number }) => void)[],
  ): Promise<void> {
    const { clock, manager, approvalId } = world;
    for (const look of looks) {
      await lookOnce(world, look);
      if (find(manager, approvalId).status === 'waiting')
        await clock.advance(untilNextMs(manager, approvalId, clock));
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

  for (const [code, category] of [
    ['invalid-input', 'invalid-input'],
    ['policy.address-refused', 'policy'],
  ] as const) {
    it(`fails at the first look that ends in ${code}: the next would ask the same`, async () => {
      const world = await startWithApproval();
      const { delegate, manager, approvalId } = world;
      await play(world, [(ref) => delegate.fail(ref, { code, retryable: false, category })]);
      const approval = find(manager, approvalId);
      expect(approval).to.include({ status: 'failed', lookCount: 1, reason: 'as the script says' });
      expect(approval.error?.category).to.equal(category);
    });
  }

  it('bears twice with an error that is about the ticket: its dates may be put right', async () => {
    const world = await startWithApproval();
    const { delegate, manager, approvalId } = world;
    const undated = (ref: { taskId: string; attempt: number }) =>
      delegate.fail(ref, {
        code: 'servicenow.change-window-invalid',
        retryable: false,
        category: 'invalid-input',
      });
    await play(world, [undated, undated]);
    expect(find(manager, approvalId)).to.include({ status: 'waiting', failuresInARow: 2 });
    await play(world, [undated]);
    expect(find(manager, approvalId)).to.include({ status: 'failed', lookCount: 3 });
  });

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
      expect(approval.looks[0]?.delegate).to.include({ id: who.delegateId, version: who.version });
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
    const timeoutMs = 150_000;
    const { manager, delegate, clock, approvalId } = await startWithApproval({ timeoutMs });
    delegate.succeed(await delegate.next('task.assign'), { decision: 'pending', reason: 'state is Assess' });
    await delegate.synchronise();
    const gapMs = untilNextMs(manager, approvalId, clock);
    await clock.advance(gapMs);
    const { taskId } = await delegate.next('task.assign');
    await clock.advance(timeoutMs - gapMs);
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
    await clock.advance(untilNextMs(manager, approvalId, clock));
    expect(find(manager, approvalId).error?.code).to.equal('connector-not-found');
  });

  it('shows the last error, whether it is retryable, and when it asks again', async () => {
    const world = await startWithApproval();
    const { manager, approvalId } = world;
    const read = async () => {
      const { body } = await api(manager, 'GET', `/api/v1/approvals/${approvalId}`);
      return shownSchema.parse(body);
    };
    expect(await read()).to.deep.equal({
      status: 'waiting',
      error: null,
      failuresInARow: 0,
      nextLookAt: null,
      waitingFor: 'the first look is under way',
    });
    await lookOnce(world, (ref) => world.delegate.fail(ref, { code: 'busy', retryable: true }));
    const soft = await read();
    expect(soft.error).to.deep.equal({ code: 'busy', retryable: true });
    expect(soft.failuresInARow).to.equal(0);
    expect(soft.waitingFor).to.equal(`as the script says; asking again at ${soft.nextLookAt}`);
    await world.clock.advance(untilNextMs(manager, approvalId, world.clock));
    await lookOnce(world, (ref) => world.delegate.fail(ref, { code: 'forbidden', retryable: false }));
    const hard = await read();
    expect(hard.error).to.deep.equal({ code: 'forbidden', retryable: false });
    expect(hard.failuresInARow).to.equal(1);
    expect(hard.waitingFor).to.equal(
      `as the script says (waiting does not cure it; failure 1 of 3 in a row); asking again at ${hard.nextLookAt}`,
    );
    await world.clock.advance(untilNextMs(manager, approvalId, world.clock));
    await lookOnce(world, (ref) => world.delegate.succeed(ref, { decision: 'pending', reason: 'not yet.' }));
    const good = await read();
    expect(good).to.include({ error: null, failuresInARow: 0 });
    expect(good.waitingFor).to.equal(`not yet; asking again at ${good.nextLookAt}`);
  });

  it('promises no look that would come after its timeout', async () => {
    const world = await startWithApproval({ timeoutMs: 20_000 });
    const { manager, approvalId } = world;
    await lookOnce(world, (ref) => world.delegate.succeed(ref, { decision: 'pending', reason: 'not yet' }));
    const { body } = await api(manager, 'GET', `/api/v1/approvals/${approvalId}`);
    const shown = shownSchema.parse(body);
    expect(shown.nextLookAt).to.equal(null);
    const { expiresAt } = find(manager, approvalId);
    expect(shown.waitingFor).to.equal(`not yet; expiring at ${expiresAt} without another look`);
  });

  it('writes one line for each look, whose texts are bounded', async () => {
    const lines: { fields: Record<string, unknown>; message: string }[] = [];
    const keep = (fields: Record<string, unknown>, message: string): void =>
      void lines.push({ fields, message });
    const log = { debug: keep, info: keep, warn: keep, error: keep };
    const world = await startWithApproval({}, { log });
    const { delegate, clock, manager, approvalId, who } = world;
    await lookOnce(world, (ref) =>
      delegate.fail(ref, { code: 'busy', retryable: true, message: 'wait '.repeat(500) }),
    );
    await clock.advance(untilNextMs(manager, approvalId, clock));
    const assign = await delegate.next('task.assign');
    await clock.advance(250);
    delegate.succeed(assign, { decision: 'approved', reason: 'state is Implement' });
    await delegate.synchronise();
    await clock.settle();
    const looks = lines.filter(({ message }) => message === 'looked at a ticket').map(({ fields }) => fields);
    expect(looks).to.have.length(2);
    const [missed, decided] = looks;
    const common = {
      approvalId,
      connector: 'servicenow_prod',
      ticketType: 'change_request',
      ticket: 'CHG0030001',
      delegate: who.name,
      delegateVersion: who.version,
    };
    expect(missed).to.include({ ...common, look: 1, decision: null, code: 'busy', retryable: true });
    expect(missed?.['nextLookAt']).to.be.a('string');
    expect(missed?.['reason']).to.be.a('string').with.length.below(210);
    expect(decided).to.include({
      ...common,
      look: 2,
      decision: 'approved',
      reason: 'state is Implement',
      status: 'approved',
      durationMs: 250,
      nextLookAt: null,
    });
  });

  it('keeps the youngest looks, shortened, and the last error whole', async () => {
    const world = await startWithApproval();
    const { manager, approvalId, delegate } = world;
    const details = { trace: 'x'.repeat(5_000) };
    const message = 'unavailable '.repeat(200);
    const miss = (ref: { taskId: string; attempt: number }): void =>
      delegate.fail(ref, { code: 'busy', retryable: true, message, details });
    await play(
      world,
      Array.from({ length: 52 }, () => miss),
    );
    const { looks, lookCount, error } = find(manager, approvalId);
    expect(lookCount).to.equal(52);
    expect(looks).to.have.length(50);
    for (const look of looks) expect(JSON.stringify(look)).to.have.length.below(1_000);
    expect(error).to.deep.include({ message, details });
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
});
