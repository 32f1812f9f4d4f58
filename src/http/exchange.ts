import type { Dispatcher } from 'undici';
import { abortReason, deferred, type Deferred } from '../kit/flow.ts';

export interface WholeAnswer {
  readonly status: number;
  /** Lower-case names, as undici gives them. */
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
}

/**
 * One request and its whole answer. undici's own `request` makes a stream of each answer; a body that is wanted whole
 * pays for that with a third of the call's time.
 *
 * Rejects with the signal's reason, also while the request still waits for a connection; or with whatever undici
 * finds wrong.
 */
export async function exchange(
  dispatcher: Dispatcher,
  options: Dispatcher.DispatchOptions,
  signal: AbortSignal,
): Promise<WholeAnswer> {
  const collector = new Collector(signal);
  const giveUp = (): void => collector.abort();
  signal.addEventListener('abort', giveUp, { once: true });
  try {
    dispatcher.dispatch(options, collector);
    return await collector.answer;
  } finally {
    signal.removeEventListener('abort', giveUp);
  }
}

class Collector implements Dispatcher.DispatchHandler {
  readonly #signal: AbortSignal;
  readonly #answer: Deferred<WholeAnswer> = deferred();
  #controller: Dispatcher.DispatchController | undefined;
  #status = 0;
  #headers: WholeAnswer['headers'] = {};
  #chunks: Buffer[] = [];

  constructor(signal: AbortSignal) {
    this.#signal = signal;
  }

  get answer(): Promise<WholeAnswer> {
    return this.#answer.promise;
  }

  abort(): void {
    this.#controller?.abort(abortReason(this.#signal));
    this.#answer.reject(this.#signal.reason);
  }

  /** Once for each connection that the request is tried on. */
  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    this.#chunks = [];
    if (this.#signal.aborted) controller.abort(abortReason(this.#signal));
  }

  /** Also for what only announces an answer (1xx); the last one counts. */
  onResponseStart(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: WholeAnswer['headers'],
  ): void {
    this.#status = status;
    this.#headers = headers;
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#chunks.push(chunk);
  }

  onResponseEnd(): void {
    const [only] = this.#chunks;
    const body = this.#chunks.length === 1 && only !== undefined ? only : Buffer.concat(this.#chunks);
    this.#answer.resolve({ status: this.#status, headers: this.#headers, body });
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#answer.reject(error);
  }
}
