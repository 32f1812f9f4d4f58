import { expect } from 'chai';
import { ManualClock } from '../support/manual-clock.ts';
import { failureOf } from '../support/failure.ts';
import { leavesNothingOpen } from '../support/open-handles.ts';
import { api, connectorBody } from './support/http.ts';
import { managersUnderTest, readTask } from './support/manager-under-test.ts';
import { storeWithApprovals } from './support/waiting-approvals.ts';

const codeOf = (work: () => unknown): Promise<string> =>
  failureOf(Promise.resolve().then(work)).then(({ code }) => code);

describe('what the manager refuses to whoever asks too much, or too late', () => {
  const start = managersUnderTest();
  const { signal } = new AbortController();

  leavesNothingOpen();

  it('the end of a task that it does not know', async () => {
    const { manager } = await start();
    expect(await codeOf(() => manager.whenEnded('nowhere', signal))).to.equal('task-not-found');
  });

  it('tasks, and to wait for them, once it is closed', async () => {
    const { manager } = await start();
    await manager.close();
    expect(await codeOf(() => manager.submit(readTask()))).to.equal('manager-closed');
    expect(await codeOf(() => manager.whenEnded('any', signal))).to.equal('manager-closed');
  });

  it('more than 1,000 enrolment tokens', async () => {
    const { manager } = await start();
    for (let issued = 0; issued < 1_000; issued += 1) manager.createEnrolmentToken();
    expect(await codeOf(() => manager.createEnrolmentToken())).to.equal('too-many-enrolment-tokens');
  });

  it('more than 8,000 approvals that wait', async () => {
    const clock = new ManualClock();
    const tickets = Array.from({ length: 8_000 }, (_, index) => `CHG${index}`);
    const store = storeWithApprovals({ clock, connector: connectorBody(), tickets, retryIntervalMs: 60_000 });
    const { manager } = await start({ clock, store });
    const { body, status } = await api(manager, 'POST', '/api/v1/approvals', {
      connector: 'servicenow_prod',
      ticket: { type: 'change_request', number: 'CHG9999' },
      approvalCriteria: { type: 'KeyValues', spec: { matchAnyCondition: false, conditions: [] } },
    });
    expect(status).to.equal(503);
    expect(body).to.have.nested.property('error.code', 'too-many-approvals');
  });
});
