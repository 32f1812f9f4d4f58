import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { hostname, tmpdir } from 'node:os';
import { decodeJwt, decodeProtectedHeader } from 'jose';
import { PASSWORDS, SEED, startFakeServiceNow } from '../../src/dev/fake-servicenow/index.ts';
import type { Json, TaskAssign } from '../../src/protocol/messages.ts';
import { DelegateProcess } from '../system/one-delegate.ts';
import { ScriptedManager, type ScriptedConnection } from './scripted-manager.ts';

const HEAD = `# What the manager sees

Everything that a delegate sends to its manager, and what it is asked: recorded from a real conversation, with examples in the place of what differs from run to run (times, ids, keys, addresses, sizes). A test records it anew and compares. What the manager can't see: any secret, any token, the answers of ServiceNow beyond the fields that the task names, and the fields of other tickets.

While a task runs the manager may also be sent \`task.progress\`: its name, its attempt, a number, and one sentence (\`Hosts can be reached\`). Everything passes the scrubber before it leaves: a secret that turns up anywhere, also in a ticket, is sent as \`[secret]\`.
`;

/**
 * One delegate's whole conversation with its manager, as `docs/what-the-manager-sees.md` shows it: enrolment, opening,
 * both tasks, a heartbeat, the end. What differs from run to run is replaced by examples, and nothing is left out.
 */
export async function wireReference(): Promise<string> {
  return `${HEAD}\n${await wireStory()}`;
}

async function wireStory(): Promise<string> {
  const stateDir = await mkdtemp(join(tmpdir(), 'delegate-wire-'));
  await using manager = await ScriptedManager.start({ welcome: { heartbeatMs: 1_000, leaseMs: 3_000 } });
  const serviceNow = await startFakeServiceNow({});
  const delegate = new DelegateProcess({
    managerUrl: manager.url,
    stateDir,
    env: { DELEGATE_SECRET_SNOW_PASSWORD: PASSWORDS.svc_deploy, DELEGATE_TAGS: 'prod' },
  });
  try {
    const connection = await manager.nextSession();
    const connector = {
      name: 'ServiceNow prod',
      identifier: 'servicenow_prod',
      type: 'ServiceNow',
      spec: {
        serviceNowUrl: serviceNow.url,
        auth: {
          type: 'UsernamePassword',
          spec: { username: 'svc_deploy', passwordRef: 'env:SNOW_PASSWORD' },
        },
      },
    };
    const validate = await perform(connection, {
      taskId: 'test-1',
      name: 'servicenow.connector.validate',
      input: { connector },
    });
    const check = await perform(connection, {
      taskId: 'approval-1',
      name: 'servicenow.approval.check',
      input: {
        connector,
        ticket: { type: 'change_request', number: SEED.changes.implement },
        approvalCriteria: {
          type: 'KeyValues',
          spec: { conditions: [{ key: 'state', operator: 'equals', value: 'Implement' }] },
        },
      },
    });
    const heartbeat = await connection.next('heartbeat');
    delegate.kill('SIGTERM');
    await connection.closed();
    await delegate.end();
    const [token = ''] = manager.connectTokens;
    const [enrolment] = manager.enrolments;
    const sections: [string, string, unknown[]][] = [
      [
        'Enrolment',
        'Once, as the body of a POST, with the enrolment token in its `Authorization` header.',
        [enrolment],
      ],
      [
        'Each connect',
        'A signed token in the `Authorization` header of the WebSocket upgrade: its header and its claims.',
        [decodeProtectedHeader(token), decodeJwt(token)],
      ],
      ['Opening', 'What the delegate is and can do.', connection.all('hello')],
      ['Test of a connector', 'What the manager sent, and all that came back.', validate],
      ['Approval check', 'What the manager sent, and all that came back.', check],
      ['Each heartbeat', 'What runs, and how busy the process is.', [heartbeat]],
      [
        'Credit and leaving',
        'How many tasks it takes, and its goodbye.',
        [
          ...connection.all('credit').slice(0, 1),
          ...connection.all('draining'),
          ...connection.all('goodbye'),
        ],
      ],
    ];
    const hosts = {
      [serviceNow.url]: 'https://acme.service-now.com',
      [manager.url]: 'https://manager.example.com',
    };
    return sections
      .map(
        ([title, what, frames]) =>
          `## ${title}\n\n${what}\n\n${frames.map((one) => block(one, hosts)).join('\n\n')}\n`,
      )
      .join('\n');
  } finally {
    if (!delegate.hasExited) delegate.kill('SIGKILL');
    await delegate.exited;
    await serviceNow.close();
    await rm(stateDir, { recursive: true, force: true });
  }
}

/** What the manager sent and received of one task, oldest first. Progress is left out: how much of it there is depends on time. */
async function perform(
  connection: ScriptedConnection,
  { taskId, name, input }: { taskId: string; name: string; input: Json },
): Promise<unknown[]> {
  const ref = { taskId, attempt: 1 };
  const assign: TaskAssign = {
    type: 'task.assign',
    ...ref,
    name,
    version: 1,
    input,
    timeoutMs: 60_000,
  };
  connection.send(assign);
  return [assign, await connection.next('task.accept'), await connection.next('task.result')];
}

const BLOCK = '```';

/** What is another in each run, by the name of its field. */
const EXAMPLES: Readonly<Record<string, string | number>> = {
  instanceId: '7b1f3c52-6d0e-4a8b-9c55-2f4e8a90d1b3',
  jti: '0d9a7f64-1f0b-4c7e-8a43-5f1f0f0f5a11',
  kid: 'Qm9uZSBvZiB0aGUgZmFsc2UgdGh1bWJwcmludHMgaXM',
  x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo',
  iat: 1_795_428_000,
  exp: 1_795_428_060,
  runtime: 'node 24.11.1',
  version: '26.11.90100',
  eventLoopDelayMs: 20,
  rssBytes: 94_371_840,
  seq: 1,
};

function exampleOf(name: string, value: unknown): unknown {
  // A task's version is a number of its own.
  if (name in EXAMPLES && typeof value === typeof EXAMPLES[name]) return EXAMPLES[name];
  if (typeof value === 'string') {
    if (/^\d{4}-\d{2}-\d{2}T[\d:.]+Z$/.test(value)) return '2026-11-23T10:00:00.000Z';
    if (/^\d{4}-\d{2}-\d{2} [\d:]{8}$/.test(value)) return '2026-11-23 09:55:00';
  }
  return typeof value === 'number' && /^(durationMs|queueMs|runMs)$/.test(name) ? 12 : value;
}

function block(value: unknown, hosts: Readonly<Record<string, string>>): string {
  let text = JSON.stringify(value, exampleOf, 2);
  for (const [real, example] of Object.entries(hosts)) {
    text = text
      .replaceAll(real, example)
      .replaceAll(new URL(real).host, new URL(example).host)
      .replaceAll(hostname(), 'delegate-0');
  }
  return `${BLOCK}json\n${text}\n${BLOCK}`;
}
