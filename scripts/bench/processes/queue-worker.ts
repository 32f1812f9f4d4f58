import { Worker } from 'bullmq';
import { composeConnectors } from '../../../src/compose/connectors.ts';
import { policyOf } from '../../../src/compose/policy.ts';
import { loadLocalConfiguration } from '../../../src/config/local.ts';
import { packageVersion } from '../../../src/config/version.ts';
import { servicenow } from '../../../src/connectors/servicenow/index.ts';
import type { TaskContext } from '../../../src/connectors/connector.ts';
import { Redactor } from '../../../src/kit/secret.ts';
import { systemClock } from '../../../src/kit/time.ts';
import { createLogger } from '../../../src/observability/logger.ts';
import { NO_TRACE } from '../../../src/observability/tracing/tracer.ts';
import { TASK_TIMEOUT_MS } from '../question.ts';
import { queueHand, orders } from '../messages.ts';
import { handed, serve } from './serve.ts';

/**
 * A worker of BullMQ that does the delegate's work with the delegate's own connector, down to policy, secrets and HTTP
 * client. What it leaves out is what the delegate adds: a journal, scrubbed results, an audit log.
 */

const { socketPath, queue, stateDir, environment } = queueHand.parse(handed());
const { configuration } = loadLocalConfiguration(
  {
    args: [],
    environment: { ...environment, DELEGATE_STATE_DIR: stateDir, DELEGATE_ALLOW_LOOPBACK: 'true' },
  },
  { flags: {} },
  '',
);
const redactor = new Redactor();
const log = await createLogger({
  level: configuration.logLevel,
  format: 'json',
  redactor,
  destination: process.stderr,
});
const { taskTypes } = composeConnectors({
  configuration,
  policy: policyOf(configuration),
  connectors: [(deps) => servicenow(deps, { gathering: { quietMs: 0, mostMs: 0 } })],
  environment,
  version: packageVersion(),
  redactor,
  clock: systemClock,
  log,
  keptSecretsKey: () => Promise.reject(new Error('a password is not kept')),
  delegateId: () => 'bench',
});
const byName = new Map(taskTypes.map((task) => [task.name, task]));

function context(): TaskContext {
  return {
    signal: new AbortController().signal,
    deadline: systemClock.monotonic() + TASK_TIMEOUT_MS,
    clock: systemClock,
    log,
    fence: () => {},
    progress: () => {},
    usedSecret: () => {},
    trace: NO_TRACE,
  };
}

const worker = new Worker<unknown>(
  queue,
  async ({ name, data }) => {
    const task = byName.get(name);
    if (task === undefined) throw new RangeError(`no task ${name}`);
    return await task.prepare(data).run(context());
  },
  { connection: { path: socketPath } },
);
worker.on('error', (error) => {
  process.stderr.write(`queue worker: ${error.message}\n`);
});
await worker.waitUntilReady();

serve((order) => {
  worker.concurrency = orders.concurrency.parse(order).atOnce;
  return null;
});
