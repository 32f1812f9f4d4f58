import { z } from 'zod';
import { sleep, systemClock } from '../kit/time.ts';
import { developmentError } from './errors.ts';
import { SEED } from './fake-servicenow/index.ts';
import { OLD_VERSION, type World } from './world.ts';

/** The demonstration: what happens in the world, told line by line and checked as it goes. */

const holder = z.object({ name: z.string(), version: z.string() });
const problem = z.object({ code: z.string(), message: z.string(), hint: z.string().optional() });

const report = z.object({
  status: z.string(),
  errorSummary: z.string().optional(),
  errors: z.array(problem),
  checks: z.array(z.object({ id: z.string(), status: z.string(), durationMs: z.number() })),
});

const testTask = z.object({
  outcome: z.string().nullable(),
  delegate: holder.nullable(),
  output: report.optional(),
  error: problem.optional(),
});

const look = z.object({
  at: z.string(),
  decision: z.string().nullable(),
  reason: z.string().nullable(),
  error: problem.nullable(),
  delegate: z.object({ version: z.string() }).nullable(),
});

const approval = z.object({
  approvalId: z.string(),
  status: z.string(),
  reason: z.string().nullable(),
  looks: z.array(look),
});

/** A paragraph, indented by what stands before it; whoever prints it wraps it. */
type Tell = (text?: string) => void;

const MARKS: Readonly<Record<string, string>> = { passed: '✓', failed: '✗', warned: '!', skipped: '–' };
const POLL_MS = 200;
const DECIDED_WITHIN_MS = 30_000;

export async function tellStory(world: World, tell: Tell): Promise<void> {
  tell('1. One connector of each kind, tested by a delegate');
  for (const connector of [world.connectors.password, world.connectors.adfs, world.connectors.refreshToken]) {
    const task = await testConnector(world, connector, tell);
    expectThat(task.output?.status === 'SUCCESS', `${connector.name} works`);
  }

  tell('2. A fourth one, with a wrong password');
  const refused = await testConnector(world, world.connectors.wrongPassword, tell);
  expectThat(refused.output?.errors[0]?.code === 'servicenow.not-authenticated', 'a wrong password is named');

  tell(`3. An approval that waits: ${SEED.changes.scheduled} must be in Implement`);
  await watchApproval(world, tell);

  tell(`4. OIDC for a delegate that is too old (${OLD_VERSION})`);
  const gated = await testConnector(world, world.connectors.oldDelegate, tell);
  expectThat(gated.error?.code === 'delegate-too-old', 'the version gate holds');
}

async function testConnector(
  world: World,
  connector: World['connectors']['password'],
  tell: Tell,
): Promise<z.output<typeof testTask>> {
  await world.manager.post('/api/v1/connectors', connector, z.unknown());
  const path = `/api/v1/connectors/${connector.identifier}/test?wait=60000`;
  const task = await world.manager.post(path, undefined, testTask);
  const how = task.output?.status ?? `not tested (${task.error?.code ?? 'no result'})`;
  const by = task.delegate === null ? '' : `, by delegate ${task.delegate.name} ${task.delegate.version}`;
  tell(`   ${connector.name}: ${how}${by}`);
  if (task.output !== undefined) {
    const checks = task.output.checks.map((check) => `${check.id} ${MARKS[check.status] ?? check.status}`);
    tell(`      ${checks.join('  ')}`);
  }
  const { output, error } = task;
  const summary = output?.errorSummary ?? (error && `${error.message} ${error.hint ?? ''}`);
  if (summary !== undefined) tell(`      ${summary}`);
  tell();
  return task;
}

async function watchApproval(world: World, tell: Tell): Promise<void> {
  const { approvalId } = await world.manager.post(
    '/api/v1/approvals',
    {
      connector: world.connectors.password.identifier,
      ticket: { type: 'change_request', number: SEED.changes.scheduled },
      approvalCriteria: {
        type: 'KeyValues',
        spec: { conditions: [{ key: 'state', operator: 'equals', value: 'Implement' }] },
      },
      rejectionCriteria: {
        type: 'Expression',
        spec: { expression: 'ticket.state.displayValue == "Canceled"' },
      },
      retryIntervalMs: 1_000,
      timeoutMs: DECIDED_WITHIN_MS,
    },
    approval,
  );
  const giveUpAt = systemClock.monotonic() + DECIDED_WITHIN_MS;
  let told = 0;
  for (;;) {
    const current = await world.manager.get(`/api/v1/approvals/${approvalId}`, approval);
    for (const { at, decision, reason, error, delegate } of current.looks.slice(told)) {
      const what = decision === null ? `${error?.code}: ${error?.message}` : reason;
      tell(`   ${at.slice(11, 19)}  ${what} (delegate ${delegate?.version ?? 'unknown'})`);
    }
    if (told === 0 && current.looks.length > 0) {
      tell('             … the change is moved to Implement in ServiceNow …');
      const move = { table: 'change_request', key: SEED.changes.scheduled, state: 'Implement' };
      await world.serviceNowAdmin.post('/__sim/tickets/move', move, z.unknown());
    }
    told = current.looks.length;
    if (current.status !== 'waiting') {
      tell(`   The approval ends: ${current.status}.`);
      tell();
      expectThat(current.status === 'approved', 'the approval ends approved');
      expectThat(current.looks[0]?.decision === 'pending', 'the approval waits first');
      return;
    }
    expectThat(systemClock.monotonic() < giveUpAt, 'the approval is decided in time');
    await sleep(systemClock, POLL_MS);
  }
}

function expectThat(holds: boolean, what: string): void {
  if (holds) return;
  throw developmentError('demo-failed', `The demonstration went wrong: it should be that ${what}.`);
}
