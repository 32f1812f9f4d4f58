import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { z } from 'zod';
import { listenOnLoopback } from '../support/listen.ts';

export const DESK_TOKEN = 'desk-token-of-the-tests-4f1c';

const callSchema = z.object({ method: z.string(), params: z.record(z.string(), z.string()) });

/** A desk with one open ticket, over real HTTP. */
export class FakeDesk implements AsyncDisposable {
  readonly comments: string[] = [];
  /** What becomes of the next calls: an answer, or the connection cut after the desk has acted. */
  behaviour: 'answers' | 'cuts' | 'fails' = 'answers';
  readonly #server = createServer((request, response) => void this.#handle(request, response));
  url = '';

  static async start(): Promise<FakeDesk> {
    const fake = new FakeDesk();
    fake.url = `http://127.0.0.1:${await listenOnLoopback(fake.#server)}/rpc`;
    return fake;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let text = '';
    for await (const chunk of request.setEncoding('utf8')) text += String(chunk);
    const { status, body } = this.#answer(request.headers.authorization, callSchema.parse(JSON.parse(text)));
    if (this.behaviour === 'cuts') {
      request.socket.destroy();
      return;
    }
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  }

  #answer(
    authorization: string | undefined,
    { method, params }: z.infer<typeof callSchema>,
  ): { status: number; body: object } {
    if (authorization !== `Bearer ${DESK_TOKEN}`) {
      return { status: 401, body: { error: { message: `unknown: ${authorization}` } } };
    }
    if (this.behaviour === 'fails') return { status: 500, body: { error: { message: 'out of order' } } };
    const { id = '', text = '' } = params;
    if (id !== 'DESK-4711') return { status: 404, body: { error: { message: `${id} is not here` } } };
    if (method === 'ticket.get') {
      return { status: 200, body: { result: { id, title: 'Upgrade the database', status: 'open' } } };
    }
    this.comments.push(text);
    return { status: 200, body: { result: { comment: `C-${this.comments.length}` } } };
  }
}
