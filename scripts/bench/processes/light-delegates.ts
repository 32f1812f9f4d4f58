import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { WebSocket } from 'ws';
import { z } from 'zod';
import { newKey, signConnectToken, type IdentityKey } from '../../../src/delegate/state/identity.ts';
import { enrolResponseSchema } from '../../../src/protocol/enrolment.ts';
import { CONNECT_PATH, ENROLL_PATH, SUBPROTOCOL } from '../../../src/protocol/limits.ts';
import { orders, type Storm } from '../messages.ts';
import { handed, serve } from './serve.ts';

/** Many delegates that only connect and say that they live: what is measured is the manager. */

const hand = z.object({ managerUrl: z.string(), enrolmentToken: z.string(), delegates: z.int() });
const { managerUrl, enrolmentToken, delegates } = hand.parse(handed());
const VERSION = '26.11.90100';
const CAPACITY = 16;

interface Light {
  readonly delegateId: string;
  readonly instanceId: string;
  readonly key: IdentityKey;
}

async function enrol(n: number): Promise<Light> {
  const key = await newKey();
  const instanceId = randomUUID();
  const response = await fetch(managerUrl + ENROLL_PATH, {
    method: 'POST',
    headers: { authorization: `Bearer ${enrolmentToken}`, 'content-type': 'application/json' },
    body: JSON.stringify({ name: `light-${n}`, instanceId, publicKey: key.publicJwk, version: VERSION }),
  });
  if (!response.ok) throw new Error(`enrolment: HTTP ${response.status}`);
  const { delegateId } = enrolResponseSchema.parse(await response.json());
  return { delegateId, instanceId, key };
}

const frame = z.looseObject({ type: z.string(), heartbeatMs: z.number().optional() });
const sessions = new Set<WebSocket>();

/** Resolves when it is welcome. */
async function connect({ delegateId, instanceId, key }: Light): Promise<void> {
  const token = await signConnectToken(key, { delegateId, managerUrl }, Date.now());
  const socket = new WebSocket(managerUrl.replace('http', 'ws') + CONNECT_PATH, SUBPROTOCOL, {
    headers: { authorization: `Bearer ${token}` },
    perMessageDeflate: false,
  });
  sessions.add(socket);
  await once(socket, 'open');
  socket.send(
    JSON.stringify({
      type: 'hello',
      delegate: { id: delegateId, name: delegateId, instanceId, version: VERSION },
      tags: [],
      tasks: [{ name: 'servicenow.approval.check', version: 1, effect: 'reads' }],
      capabilities: [],
      capacity: CAPACITY,
      running: [],
      unacknowledged: [],
      policyHash: null,
    }),
  );
  const [data]: unknown[] = await once(socket, 'message');
  const welcome = frame.parse(JSON.parse(String(data)));
  if (welcome.type !== 'welcome' || welcome.heartbeatMs === undefined)
    throw new Error(`not welcome: ${String(data)}`);
  socket.send(JSON.stringify({ type: 'credit', granted: CAPACITY }));
  beat(socket, welcome.heartbeatMs);
}

function beat(socket: WebSocket, everyMs: number): void {
  let seq = 0;
  const timer = setInterval(() => {
    seq += 1;
    const load = { running: 0, queued: 0, eventLoopDelayMs: 0, rssBytes: 0 };
    socket.send(JSON.stringify({ type: 'heartbeat', seq, running: [], load }));
  }, everyMs);
  socket.on('error', () => {});
  socket.on('close', () => {
    clearInterval(timer);
    sessions.delete(socket);
  });
}

/** Everybody at once, as after an outage; those that were connected are cut before. */
async function storm(): Promise<Storm> {
  await Promise.all(
    [...sessions].map(async (socket) => {
      const closed = once(socket, 'close');
      socket.terminate();
      await closed;
    }),
  );
  const from = performance.now();
  await Promise.all(enrolled.map(connect));
  return { seconds: (performance.now() - from) / 1_000 };
}

const enrolled: Light[] = [];
for (let n = 0; n < delegates; n += 1) enrolled.push(await enrol(n));

serve(async (order) => {
  const asked = orders.light.parse(order);
  return asked.do === 'storm' ? await storm() : { connected: sessions.size };
});
