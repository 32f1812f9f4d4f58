import { STATUS_CODES, type IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';
import type { Clock } from '../kit/time.ts';
import { MAX_FRAME_BYTES, SUBPROTOCOL } from '../protocol/limits.ts';
import { judgeConnectToken, type ConnectTokenRules } from './connect-token.ts';
import { bearerToken, HttpProblem } from './http-io.ts';
import type { SessionTable } from './session-table.ts';
import type { DelegateRecord } from './store.ts';

const RETRY_AFTER_S = 5;
/** RFC 6455, section 4.1. */
const WEBSOCKET_VERSION = '13';

/** Turns an upgrade request into a session, or into an HTTP answer that says why not. */
export class ConnectEndpoint {
  readonly #rules: ConnectTokenRules;
  readonly #sessions: SessionTable;
  /** Sockets whose token is being checked; the HTTP server has let go of them. */
  readonly #pending = new Set<Duplex>();
  readonly #server = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    // The session knows the smaller limit that `welcome` set; `hello` may come as large as this.
    maxPayload: MAX_FRAME_BYTES,
    // The codec decides, so that it is 4400 by this protocol rather than 1007.
    skipUTF8Validation: true,
    handleProtocols: () => SUBPROTOCOL,
  });
  #closed = false;

  constructor(rules: ConnectTokenRules, sessions: SessionTable) {
    this.#rules = rules;
    this.#sessions = sessions;
  }

  async upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    // Until ws takes over, nobody else listens: an error here ends the socket and nothing more.
    const onError = (): void => {
      socket.destroy();
    };
    socket.on('error', onError);
    this.#pending.add(socket);
    try {
      const { delegate, keyId } = await this.#admit(request);
      socket.off('error', onError);
      this.#server.handleUpgrade(request, socket, head, (webSocket) => {
        this.#sessions.start(webSocket, delegate, keyId);
      });
    } catch (error) {
      if (!(error instanceof HttpProblem)) throw error;
      refuseUpgrade(socket, error, this.#rules.clock);
    } finally {
      this.#pending.delete(socket);
    }
  }

  /** Refuses whatever comes from now on. */
  close(): void {
    this.#closed = true;
    for (const socket of this.#pending) socket.destroy();
    this.#server.close();
  }

  async #admit(request: IncomingMessage): Promise<{ delegate: DelegateRecord; keyId: string }> {
    // ws would answer 400, which tells a client to give up rather than to speak another version.
    if (request.headers['sec-websocket-version'] !== WEBSOCKET_VERSION) {
      const message = `This manager speaks version ${WEBSOCKET_VERSION} of WebSocket alone.`;
      throw new HttpProblem(426, 'unsupported-websocket', message, {
        headers: { upgrade: 'websocket', 'sec-websocket-version': WEBSOCKET_VERSION },
      });
    }
    const offered = (request.headers['sec-websocket-protocol'] ?? '').split(',').map((name) => name.trim());
    if (!offered.includes(SUBPROTOCOL)) {
      throw new HttpProblem(426, 'unsupported-protocol', `This manager speaks ${SUBPROTOCOL} alone.`, {
        headers: { upgrade: 'websocket', 'sec-websocket-protocol': SUBPROTOCOL },
      });
    }
    const token = bearerToken(request);
    if (token === undefined) throw unauthorized('A connect token is needed.');
    this.#assertRoom();
    const judgement = await judgeConnectToken(token, this.#rules);
    this.#assertRoom();
    if (judgement.kind === 'admitted') return judgement;
    if (judgement.status === 401) throw unauthorized(judgement.message);
    if (judgement.status === 503) throw busy(judgement.message);
    throw new HttpProblem(judgement.status, judgement.code, judgement.message);
  }

  #assertRoom(): void {
    if (this.#closed) throw busy('The manager is going away.');
    if (this.#sessions.full) throw busy('There are as many sessions as this manager holds.');
  }
}

export function refuseUpgrade(socket: Duplex, problem: HttpProblem, clock: Clock): void {
  const body = JSON.stringify(problem.body);
  const headers: Record<string, string> = {
    connection: 'close',
    // RFC 9110, section 6.6.1. A delegate whose clock is wrong learns here what its token should say.
    date: new Date(clock.now()).toUTCString(),
    'content-type': 'application/json; charset=utf-8',
    'content-length': String(Buffer.byteLength(body)),
    ...problem.headers,
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
  const status = `HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status] ?? ''}`;
  socket.end(`${[status, ...lines].join('\r\n')}\r\n\r\n${body}`, () => socket.destroy());
}

function unauthorized(message: string): HttpProblem {
  return new HttpProblem(401, 'bad-connect-token', message, { headers: { 'www-authenticate': 'Bearer' } });
}

function busy(message: string): HttpProblem {
  return new HttpProblem(503, 'busy', message, { headers: { 'retry-after': String(RETRY_AFTER_S) } });
}
