import { once } from 'node:events';
import { createServer } from 'node:http';
import { WebSocketServer } from 'ws';
import { Delegate } from '../../../src/delegate/delegate.ts';
import { Mailbox } from '../../../src/kit/flow.ts';
import { SUBPROTOCOL } from '../../../src/protocol/limits.ts';
import { listenOnLoopback } from '../../support/listen.ts';
import { within } from '../../support/until.ts';
import { Line, type Script, type Side } from './line.ts';
import { delegateOptions } from '../../support/delegate-options.ts';

const DELEGATE_ID = 'dlg-1';

const assign = (taskId: string, name: string): string =>
  JSON.stringify({ type: 'task.assign', taskId, attempt: 1, name, version: 1, input: 1, timeoutMs: 60_000 });

/** The test as a manager. */
const script: Script = {
  opening: () =>
    JSON.stringify({
      type: 'welcome',
      sessionId: 's',
      managerTime: '2026-11-23T13:10:35Z',
      heartbeatMs: 10_000,
      leaseMs: 30_000,
      maxFrameBytes: 1_048_576,
      lost: [],
    }),
  probe: (n) => assign(`probe-${n}`, 'no.such.task'),
  answersProbe: ({ type, taskId }, n) => type === 'task.reject' && taskId === `probe-${n}`,
  reply({ type, seq, taskId, attempt }) {
    switch (type) {
      case 'heartbeat':
        return JSON.stringify({ type: 'heartbeat.ack', seq, lost: [] });
      case 'task.accept':
        return JSON.stringify({ type: 'accept.ack', taskId, attempt });
      case 'task.result':
        return JSON.stringify({ type: 'result.ack', taskId, attempt });
      default:
        return undefined;
    }
  },
};

/** A real delegate that dials the test. Its back-off is drawn as 0, so that it is back at once after a close. */
export async function startDelegateSide(stateDir: string): Promise<Side> {
  const lines = new Mailbox<Line>(16);
  const next = lines[Symbol.asyncIterator]();
  const webSockets = new WebSocketServer({
    noServer: true,
    perMessageDeflate: false,
    handleProtocols: () => SUBPROTOCOL,
  });
  const server = createServer((_request, response) => {
    response.writeHead(201, { connection: 'close' });
    response.end(JSON.stringify({ delegateId: DELEGATE_ID }));
  });
  server.on('upgrade', (request, socket, head) => {
    webSockets.handleUpgrade(request, socket, head, (webSocket) => {
      const line = new Line(webSocket, script);
      webSocket.once('message', () => lines.put(line));
    });
  });
  const port = await listenOnLoopback(server);

  const delegate = new Delegate(
    delegateOptions({
      managerUrl: `http://127.0.0.1:${port}`,
      stateDir,
      taskTypes: [
        {
          name: 'test.echo',
          version: 1,
          effect: 'writes',
          prepare: (input) => ({ run: () => Promise.resolve(input) }),
        },
      ],
    }),
  );
  const run = delegate.run();

  /** The next line on which the delegate has said hello. */
  const connect = async (): Promise<Line> => {
    const { value: line } = await within('the delegate to connect', next.next());
    if (line === undefined) throw new Error('the side has ended');
    return line;
  };
  return {
    direction: 'to-delegate',
    delegateId: DELEGATE_ID,
    connect,
    async assertAlive() {
      const line = await connect();
      line.open();
      await line.hears('credit');
      const taskId = 'is-it-alive';
      line.say(assign(taskId, 'test.echo'));
      await line.hears('task.result', taskId);
      await line.end();
    },
    async [Symbol.asyncDispose]() {
      const stopped = delegate.stop('the test is over', 0);
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await within('the delegate to stop', Promise.all([stopped, run]));
      webSockets.close();
      await closed;
    },
  };
}
