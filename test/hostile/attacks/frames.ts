import type { Json } from '../../../src/protocol/messages.ts';
import { attack, basic, connectorTo, VALIDATE, type Attack, type AttackGroup } from '../attack.ts';
import type { Victim } from '../victim.ts';
import type { HostileWorld } from '../world.ts';

const MALFORMED = { on: 'fresh', comesTo: '4400' } as const;
const nested = (depth: number): string => `${'['.repeat(depth)}${']'.repeat(depth)}`;
const honest = (world: HostileWorld): Json => ({ connector: connectorTo(world.serviceNow.url, basic()) });

/** A frame that ends the connection; the delegate comes back by itself. */
const broken = (name: string, data: string | Uint8Array, binary = false, comesTo = '4400'): Attack =>
  attack(name, { ...MALFORMED, comesTo }, async (_world, victim) => {
    await victim.start();
    const { connection } = victim;
    connection.sendRaw(data, binary);
    const { code, reason } = await connection.closed();
    await victim.connected();
    return { code: String(code), text: reason };
  });

const assign = (fields: string): string =>
  `{"type":"task.assign","taskId":"t","attempt":1,"name":"x","version":1,"timeoutMs":1000,"input":{}${fields}}`;

/** So many assigns of one input, and what came of the last. */
async function flood(victim: Victim, count: number, input: Json): ReturnType<Victim['endOf']> {
  const ids = Array.from({ length: count }, () => victim.newTaskId());
  for (const taskId of ids)
    victim.connection.assign({ taskId, attempt: 1 }, VALIDATE, { input, timeoutMs: 1_000 });
  const came = await victim.endOf(ids.at(-1) ?? '');
  for (const taskId of ids) await victim.endOf(taskId);
  return came;
}

export const FRAMES: AttackGroup = {
  title: 'Frames that break things',
  attacks: [
    broken('JSON that is ten thousand deep', `{"type":"task.assign","input":${nested(10_000)}}`),
    broken('no JSON', '{"type":'),
    broken('no message', '[1,2,3]'),
    broken('half a frame', '{"type":"welcome"}'),
    broken(
      'a second welcome',
      '{"type":"welcome","sessionId":"s","managerTime":"2026-11-23T10:00:00Z","heartbeatMs":1,"leaseMs":3,"maxFrameBytes":4096,"lost":[]}',
    ),
    broken('text that is no UTF-8', Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x7d])),
    broken('a binary frame', Buffer.from('{"type":"pause","reason":"x"}'), true),
    broken('a number beyond all numbers', assign(',"attempt":1e400')),
    broken('a task with a path for its id', assign(',"taskId":"../../identity"')),
    broken('a task whose name ends the line', assign(',"name":"a\\r\\nb"')),
    broken('a task without time', assign(',"timeoutMs":0')),
    broken(
      'more than a frame may hold',
      `{"type":"task.assign","pad":"${'x'.repeat(1_100_000)}"}`,
      false,
      '1009',
    ),
    attack(
      'a key that is there twice: the last one counts',
      { on: 'policy', comesTo: 'policy-denied' },
      async (world, victim) => {
        const taskId = victim.newTaskId();
        const [good, evil] = [world.serviceNow.url, world.attacker.url].map((url) =>
          JSON.stringify({ connector: connectorTo(url, basic()) }),
        );
        victim.connection.sendRaw(
          `{"type":"task.assign","taskId":"${taskId}","attempt":1,"name":"${VALIDATE}","version":1,"timeoutMs":1000,"input":${good},"input":${evil}}`,
        );
        return await victim.endOf(taskId);
      },
    ),
    attack(
      'what every object has, in a frame',
      { on: 'default', comesTo: 'ignored' },
      async (_world, { connection }) => {
        connection.sendRaw('{"type":"__proto__"}');
        connection.sendRaw(
          '{"type":"pause","reason":"x","__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}',
        );
        connection.send({ type: 'resume' });
        await connection.synchronise();
        return { code: 'polluted' in {} ? 'polluted' : 'ignored', text: '' };
      },
    ),
    attack(
      'frames of five hundred types that nobody knows',
      { on: 'default', comesTo: 'ignored' },
      async (_world, { connection }) => {
        for (let n = 0; n < 500; n += 1) connection.sendRaw(`{"type":"evil.${n}","x":{}}`);
        await connection.synchronise();
        return { code: 'ignored', text: '' };
      },
    ),
    attack(
      'answers to what was never asked',
      { on: 'default', comesTo: 'ignored' },
      async (_world, { connection }) => {
        const ref = { taskId: 'never', attempt: 1 };
        connection.send({ type: 'accept.ack', ...ref });
        connection.send({ type: 'result.ack', ...ref });
        connection.send({ type: 'task.cancel', ...ref, reason: 'x' });
        connection.send({ type: 'heartbeat.ack', seq: 99_999, lost: [ref] });
        await connection.synchronise();
        return { code: 'ignored', text: '' };
      },
    ),
    attack('more tasks than were granted', { on: 'policy', comesTo: 'no-credit' }, async (world, victim) => {
      world.serviceNow.reply = () => 'never';
      return await flood(victim, 40, honest(world));
    }),
    attack('one task a thousand times', { on: 'policy', comesTo: 'succeeded' }, async (world, victim) => {
      const taskId = victim.newTaskId();
      for (let n = 0; n < 1_000; n += 1)
        victim.connection.assign({ taskId, attempt: 1 }, VALIDATE, { input: honest(world) });
      const came = await victim.endOf(taskId);
      const asked = world.serviceNow.got.length;
      return asked > 20 ? { code: `${asked} requests`, text: '' } : came;
    }),
    attack('two thousand refusals', { on: 'policy', comesTo: 'policy-denied' }, async (world, victim) => {
      const linesBefore = (await victim.audit()).length;
      const ids = Array.from({ length: 2_000 }, () => victim.newTaskId());
      const input: Json = { connector: connectorTo(world.attacker.url, basic()) };
      for (const taskId of ids) victim.connection.assign({ taskId, attempt: 1 }, VALIDATE, { input });
      const came = await victim.endOf(ids.at(-1) ?? '');
      const lines = (await victim.audit()).length - linesBefore;
      return lines > 200 ? { code: `${lines} lines in the audit log`, text: '' } : came;
    }),
  ],
};
