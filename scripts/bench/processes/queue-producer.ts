import { Queue, QueueEvents } from 'bullmq';
import { z } from 'zod';
import { CHECK_APPROVAL } from '../../../src/connectors/servicenow/tasks/approval-check.ts';
import { deferred, type Deferred } from '../../../src/kit/flow.ts';
import { measureLoad } from '../load.ts';
import { orders, queueHand } from '../messages.ts';
import { questionAbout, ticketOf } from '../question.ts';
import { handed, serve } from './serve.ts';

/** Whoever has BullMQ do the work: adds a job, and learns its result from the queue's events. */

const { socketPath, queue: name, instanceUrl } = queueHand.parse(handed());
/** BullMQ has parsed it already. */
const approved = z.object({ decision: z.literal('approved') });
const connection = { path: socketPath };
const queue = new Queue<unknown>(name, { connection });
const events = new QueueEvents(name, { connection });
const complain = (error: Error): void => {
  process.stderr.write(`queue producer: ${error.message}\n`);
};
queue.on('error', complain);
events.on('error', complain);
/** One listener for all: `Job.waitUntilFinished` adds a listener and a question to Redis for each job. */
const results = new Map<string, Deferred<void>>();
events.on('completed', ({ jobId, returnvalue }) => {
  const result = results.get(jobId);
  results.delete(jobId);
  if (approved.safeParse(returnvalue).success) result?.resolve();
  else result?.reject(new Error(`not approved: ${JSON.stringify(returnvalue)}`));
});
events.on('failed', ({ jobId, failedReason }) => {
  results.get(jobId)?.reject(new Error(failedReason));
  results.delete(jobId);
});
await Promise.all([queue.waitUntilReady(), events.waitUntilReady()]);

const last = { job: 0 };

async function call(n: number): Promise<void> {
  last.job += 1;
  // An id of ours, known before the job can have ended. BullMQ takes none that is a mere number.
  const jobId = `job-${last.job}`;
  const result = deferred<void>();
  results.set(jobId, result);
  const job = questionAbout(ticketOf(n), instanceUrl);
  await queue.add(CHECK_APPROVAL, job, { jobId, removeOnComplete: true, removeOnFail: true });
  await result.promise;
}

serve((order) => measureLoad(call, orders.load.parse(order)));
