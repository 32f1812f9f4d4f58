import type { WebSocket } from 'ws';
import { z } from 'zod';
import { deferred, type Deferred } from '../../../src/kit/flow.ts';
import type { WireFrame } from '../../../src/protocol/codec.ts';
import type { Direction } from '../vectors.ts';
import { within } from '../../support/until.ts';

/** What becomes of a connection: it stays open, or it is closed with this code. */
export type Fate = 'open' | number;

/** Either side of the protocol, running for real, with the test at the other end of its sockets. */
export interface Side extends AsyncDisposable {
  /** What the side reads. */
  readonly direction: Direction;
  /** The `delegateId` of the delegate in question. */
  readonly delegateId: string;
  /** A fresh connection, before its opening. */
  connect(): Promise<Line>;
  /** Opens a session and takes a task through it; rejects if that can't be done. */
  assertAlive(): Promise<void>;
}

/** What the test's end of a line knows to say. */
export interface Script {
  /** The frame that makes a connection a session. */
  opening(): string;
  /** A frame that is answered whatever the state of the session. */
  probe(n: number): string;
  answersProbe(message: Message, n: number): boolean;
  /** What a peer in good order answers to this, so that nothing is overdue; undefined if nothing. */
  reply(message: Message): string | undefined;
}

const messageSchema = z.looseObject({
  type: z.string(),
  taskId: z.string().optional(),
  attempt: z.number().optional(),
  seq: z.number().optional(),
});

type Message = z.infer<typeof messageSchema>;

/** One raw connection. It checks nothing of what it sends and keeps nothing of what it receives. */
export class Line {
  readonly #socket: WebSocket;
  readonly #script: Script;
  readonly #closed: Deferred<number> = deferred();
  #isOpen = true;
  #opened = false;
  #probes = 0;
  #waiting: { heard: (message: Message) => boolean; done: Deferred<void> } | undefined;

  constructor(socket: WebSocket, script: Script) {
    this.#socket = socket;
    this.#script = script;
    socket.on('error', () => {});
    socket.on('message', (data) => {
      if (!Buffer.isBuffer(data)) throw new TypeError('ws hands out buffers');
      this.#receive(messageSchema.parse(JSON.parse(data.toString('utf8'))));
    });
    socket.on('close', (code) => {
      this.#isOpen = false;
      this.#closed.resolve(code);
    });
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** How it was closed; rejects if it is not. */
  closed(): Promise<number> {
    return within('the connection to close', this.#closed.promise);
  }

  send(frame: WireFrame): void {
    this.#socket.send(frame.bytes, { binary: frame.binary });
  }

  say(text: string): void {
    this.#socket.send(text);
  }

  open(): void {
    this.#opened = true;
    this.say(this.#script.opening());
  }

  /** The test has opened the session by a frame of its own. */
  markOpened(): void {
    this.#opened = true;
  }

  /** What has become of it once everything sent so far was handled. Does the opening, if nobody has. */
  async fate(): Promise<Fate> {
    if (!this.#opened) this.open();
    const n = (this.#probes += 1);
    this.say(this.#script.probe(n));
    return await this.#hear((message) => this.#script.answersProbe(message, n));
  }

  /** Waits for a message of this type about this task. */
  async hears(type: string, taskId?: string): Promise<void> {
    const fate = await this.#hear(
      (message) => message.type === type && (taskId === undefined || message.taskId === taskId),
    );
    if (fate !== 'open') throw new Error(`closed with ${fate} before ${type}`);
  }

  async end(): Promise<void> {
    this.#socket.terminate();
    await this.closed();
  }

  async #hear(heard: (message: Message) => boolean): Promise<Fate> {
    const done = deferred<void>();
    this.#waiting = { heard, done };
    const answered = done.promise.then((): Fate => 'open');
    return await within('an answer or a close', Promise.race([answered, this.#closed.promise]));
  }

  #receive(message: Message): void {
    const reply = this.#script.reply(message);
    if (reply !== undefined) this.#socket.send(reply);
    if (this.#waiting?.heard(message) === true) this.#waiting.done.resolve();
  }
}
