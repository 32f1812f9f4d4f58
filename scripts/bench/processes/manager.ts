import { once } from 'node:events';
import { createServer } from 'node:http';
import { z } from 'zod';
import { WebSocketServer, type RawData, type WebSocket } from 'ws';
import { deferred, type Deferred } from '../../../src/kit/flow.ts';
import { MAX_FRAME_BYTES, SUBPROTOCOL } from '../../../src/protocol/limits.ts';
import { measureLoad } from '../load.ts';
import { orders } from '../messages.ts';
import { questionAbout, TASK_TIMEOUT_MS, ticketOf } from '../question.ts';
import { handed, serve } from './serve.ts';

/**
 * The manager's side of the protocol for one delegate, with as little work as it can be done with: the delegate is
 * measured, not a manager. It assigns within the credit, acknowledges what wants acknowledging, and looks at no more of
 * a frame than that takes.
 */

const { instanceUrl } = z.object({ instanceUrl: z.string() }).parse(handed());

const HEARTBEAT_MS = 10_000;

const toTicket = JSON.stringify(questionAbout('TICKET', instanceUrl)).split('TICKET');
const [beforeTicket = '', afterTicket = ''] = toTicket;

/** `type`, `taskId` and `attempt` of the delegate's frames come first, in the order of their schemas. */
const HEAD = /^\{"type":"(task\.accept|task\.result|task\.reject)","taskId":"([^"]+)"/;
const otherFrame = z.looseObject({
  type: z.string(),
  seq: z.number().optional(),
  granted: z.number().optional(),
});

class Session {
  readonly #socket: WebSocket;
  readonly #results = new Map<string, Deferred<void>>();
  readonly #waiting: Deferred<void>[] = [];
  #granted = 0;
  #assigned = 0;

  constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on('error', () => {});
    socket.on('message', (data) => this.#take(textOf(data)));
    socket.on('close', () => this.#end());
  }

  /** Resolves with the result. */
  async run(n: number): Promise<void> {
    while (this.#assigned >= this.#granted) {
      const more = deferred<void>();
      this.#waiting.push(more);
      await more.promise;
    }
    this.#assigned += 1;
    const taskId = String(this.#assigned);
    const result = deferred<void>();
    this.#results.set(taskId, result);
    this.#socket.send(
      `{"type":"task.assign","taskId":"${taskId}","attempt":1,"name":"servicenow.approval.check","version":1,"input":${beforeTicket}${ticketOf(n)}${afterTicket},"timeoutMs":${TASK_TIMEOUT_MS}}`,
    );
    await result.promise;
  }

  #take(text: string): void {
    const [, type, taskId = ''] = HEAD.exec(text) ?? [];
    switch (type) {
      case 'task.accept':
        this.#socket.send(`{"type":"accept.ack","taskId":"${taskId}","attempt":1}`);
        return;
      case 'task.result':
        this.#socket.send(`{"type":"result.ack","taskId":"${taskId}","attempt":1}`);
        this.#settle(taskId, text.includes('"decision":"approved"') ? undefined : text);
        return;
      case 'task.reject':
        this.#settle(taskId, text);
        return;
      default:
        this.#takeOther(otherFrame.parse(JSON.parse(text)));
    }
  }

  #takeOther({ type, seq, granted = 0 }: z.infer<typeof otherFrame>): void {
    switch (type) {
      case 'hello': {
        const managerTime = new Date().toISOString();
        this.#socket.send(
          `{"type":"welcome","sessionId":"bench","managerTime":"${managerTime}","heartbeatMs":${HEARTBEAT_MS},"leaseMs":${3 * HEARTBEAT_MS},"maxFrameBytes":${MAX_FRAME_BYTES},"lost":[]}`,
        );
        return;
      }
      case 'heartbeat':
        this.#socket.send(`{"type":"heartbeat.ack","seq":${seq},"lost":[]}`);
        return;
      case 'credit':
        this.#granted = granted;
        present.session.resolve(this);
        for (const one of this.#waiting.splice(0)) one.resolve();
        return;
      case 'task.accept':
      case 'task.result':
      case 'task.reject':
        // Waited for without end otherwise.
        throw new TypeError(`the fields of ${type} are in another order`);
      default:
    }
  }

  #settle(taskId: string, complaint: string | undefined): void {
    const result = this.#results.get(taskId);
    this.#results.delete(taskId);
    if (complaint === undefined) result?.resolve();
    else result?.reject(new Error(`not approved: ${complaint}`));
  }

  #end(): void {
    // One without credit was not the delegate's session yet.
    if (this.#granted > 0) present.session = deferred();
    for (const result of [...this.#results.values(), ...this.#waiting])
      result.reject(new Error('the delegate is gone'));
  }
}

function textOf(data: RawData): string {
  if (!Buffer.isBuffer(data)) throw new TypeError('ws hands out buffers');
  return data.toString();
}

/** Of the delegate; one that comes back has another. */
const present = { session: deferred<Session>() };
const http = createServer((request, response) => {
  request.resume();
  response.writeHead(201, { 'content-type': 'application/json' }).end('{"delegateId":"bench"}');
});
const sockets = new WebSocketServer({
  server: http,
  perMessageDeflate: false,
  maxPayload: MAX_FRAME_BYTES,
  handleProtocols: () => SUBPROTOCOL,
});
sockets.on('connection', (socket) => void new Session(socket));
http.listen(0, '127.0.0.1');
await once(http, 'listening');
const address = http.address();
if (address === null || typeof address === 'string') throw new TypeError('a port was asked for');
serve(
  async (order) => {
    const session = await present.session.promise;
    return await measureLoad((n) => session.run(n), orders.load.parse(order));
  },
  [`http://127.0.0.1:${address.port}`],
);
