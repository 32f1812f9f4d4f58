import { expect } from 'chai';
import { packageVersion } from '../../src/config/version.ts';
import { PASSWORDS, startFakeServiceNow } from '../../src/dev/fake-servicenow/index.ts';
import { startManager } from '../../src/manager/manager.ts';
import type { delegateProcesses, ProcessOptions } from '../system/one-delegate.ts';

/** For a task on two busy cores. Reached only by a test that fails. */
const TASK_WITHIN_MS = 20_000;

/**
 * A delegate as a process, from its enrolment to its end: beside a manager and a ServiceNow it does one task, is alive
 * and ready, and leaves in order at SIGTERM.
 */
export async function doesOneTask(
  start: ReturnType<typeof delegateProcesses>,
  options: Omit<ProcessOptions, 'managerUrl'>,
): Promise<void> {
  await using serviceNow = await startFakeServiceNow();
  const manager = await startManager();
  try {
    const delegate = start({
      ...options,
      managerUrl: manager.url,
      env: {
        DELEGATE_ENROLMENT_TOKEN: manager.createEnrolmentToken().value.reveal(),
        DELEGATE_SECRET_SNOW_PASSWORD: PASSWORDS.svc_deploy,
        ...options.env,
      },
    });
    const spec = {
      serviceNowUrl: serviceNow.url,
      auth: { type: 'UsernamePassword', spec: { username: 'svc_deploy', passwordRef: 'env:SNOW_PASSWORD' } },
    };
    const { taskId } = manager.submit({
      name: 'servicenow.connector.validate',
      version: 1,
      input: { connector: { name: 'test', identifier: 'test', type: 'ServiceNow', spec } },
      selectors: [],
      timeoutMs: TASK_WITHIN_MS,
    });
    const { state } = await manager.whenEnded(taskId, AbortSignal.timeout(TASK_WITHIN_MS));
    expect(state, delegate.text).to.deep.include({ at: 'ended', outcome: 'succeeded' });
    expect(manager.delegates.map(({ version }) => version)).to.deep.equal([packageVersion()]);
    expect(await delegate.health()).to.include({ livez: 200, readyz: 200 });
    delegate.kill('SIGTERM');
    expect(await delegate.end(), delegate.text).to.equal(0);
  } finally {
    await manager.close();
  }
}
