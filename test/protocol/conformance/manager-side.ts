import { once } from 'node:events';
import { WebSocket } from 'ws';
import { startManager } from '../../../src/manager/manager.ts';
import { systemClock, toTimestamp } from '../../../src/kit/time.ts';
import { CONNECT_PATH, SUBPROTOCOL } from '../../../src/protocol/limits.ts';
import { connectToken, enrol, type Enrolled } from '../../manager/support/scripted-delegate.ts';
import { within } from '../../support/until.ts';
import { Line, type Script, type Side } from './line.ts';

const AHEAD_FOR_EACH_CONNECT_MS = 10;

/** The test as a delegate. */
function scriptOf(who: Enrolled): Script {
  const { delegateId: id, name, instanceId, version } = who;
  return {
    opening: () => JSON.stringify(helloOf(who)),
    probe: (seq) =>
      JSON.stringify({
        type: 'heartbeat',
        seq,
        running: [],
        load: { running: 0, queued: 0, eventLoopDelayMs: 0, rssBytes: 1 },
      }),
    answersProbe: ({ type, seq }, n) => type === 'heartbeat.ack' && seq === n,
    reply({ type, taskId, attempt }) {
      if (type !== 'task.assign') return undefined;
      const at = toTimestamp(Date.now());
      return JSON.stringify({
        type: 'task.result',
        taskId,
        attempt,
        outcome: 'succeeded',
        output: 1,
        delegate: { id, name, instanceId, version },
        timing: { receivedAt: at, startedAt: at, finishedAt: at, queueMs: 0, runMs: 0 },
      });
    },
  };
}

function helloOf({ delegateId: id, name, instanceId, version }: Enrolled): object {
  return {
    type: 'hello',
    delegate: { id, name, instanceId, version },
    tags: [],
    tasks: [{ name: 'demo.read', version: 1 }],
    capabilities: [],
    capacity: 4,
    running: [],
    unacknowledged: [],
    policyHash: null,
  };
}

export interface ManagerSide extends Side {
  /** What a `hello` must name to be that of the connect token. */
  readonly who: Enrolled;
}

/** A real manager, dialled by the test with a key and tokens of its own. */
export async function startManagerSide(): Promise<ManagerSide> {
  // A manager remembers the connect tokens of two minutes, up to a bound that a fuzzer would reach. So its wall
  // clock runs a little ahead with each connect; what it measures, it measures on the other one.
  let aheadMs = 0;
  const now = (): number => Date.now() + aheadMs;
  const manager = await startManager({ clock: { ...systemClock, now } });
  const who = await enrol(manager);
  const script = scriptOf(who);

  const connect = async (): Promise<Line> => {
    aheadMs += AHEAD_FOR_EACH_CONNECT_MS;
    const token = await connectToken(manager, who, { iatS: Math.floor(now() / 1_000) });
    const socket = new WebSocket(`${manager.url.replace('http', 'ws')}${CONNECT_PATH}`, SUBPROTOCOL, {
      perMessageDeflate: false,
      headers: { authorization: `Bearer ${token}` },
    });
    const line = new Line(socket, script);
    await once(socket, 'open');
    return line;
  };
  return {
    direction: 'to-manager',
    delegateId: who.delegateId,
    who,
    connect,
    async assertAlive() {
      const line = await connect();
      line.open();
      await line.hears('welcome');
      line.say(JSON.stringify({ type: 'credit', granted: 1 }));
      const { taskId } = manager.submit({
        name: 'demo.read',
        version: 1,
        input: {},
        selectors: [],
        timeoutMs: 60_000,
      });
      const never = new AbortController().signal;
      const task = await within('the task to end', manager.whenEnded(taskId, never));
      if (task.state.at !== 'ended' || task.state.outcome !== 'succeeded') {
        throw new Error(`the task is ${JSON.stringify(task.state)}`);
      }
      await line.end();
    },
    [Symbol.asyncDispose]: () => manager.close(),
  };
}
