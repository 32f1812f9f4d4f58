import type { HttpSend } from '../../kit/http-exchange.ts';
import { parseTraceparent, traceparentOf } from './trace-parent.ts';

/** The trace of one task, for the work of the task. */
export interface TaskTrace {
  /**
   * The same `send`, with a span for each exchange. The span, or where none is made the manager's own, goes along as
   * `traceparent`; `tracestate` never does, because anything may stand in it.
   *
   * @param step what the exchange is for, such as `token.request`; a constant of the code
   */
  sending(step: string, send: HttpSend): HttpSend;
  /**
   * Work with a span of its own. Ends as the work does.
   *
   * @param step a constant of the code
   */
  during<T>(step: string, work: () => Promise<T>): Promise<T>;
}

export interface TaskSpan extends TaskTrace {
  /** The first call counts. Undefined: nobody gets a result of it. */
  end(ending: TaskEnding | undefined): void;
}

export interface TaskEnding {
  readonly outcome: string;
  /** Of the error; a success has none. */
  readonly code?: string;
}

export interface TracedTask {
  readonly taskId: string;
  readonly attempt: number;
  readonly name: string;
  /** As the manager sent it. */
  readonly traceparent?: string | undefined;
}

/** Follows tasks. `[Symbol.asyncDispose]` sends what is still waiting, within a few seconds. */
export interface Tracer extends AsyncDisposable {
  task(task: TracedTask): TaskSpan;
}

/** Of a task that nobody follows: it costs nothing. */
export const NO_TRACE: TaskSpan = {
  sending: (_step, send) => send,
  during: (_step, work) => work(),
  end: () => {},
};

/** Makes no spans. Whoever follows a task at the manager still finds it again in ServiceNow's own logs. */
export const tracingOff: Tracer = {
  task({ traceparent }) {
    const parent = parseTraceparent(traceparent);
    return parent === undefined ? NO_TRACE : { ...NO_TRACE, sending: passingOn(traceparentOf(parent)) };
  },
  [Symbol.asyncDispose]: () => Promise.resolve(),
};

function passingOn(traceparent: string): TaskTrace['sending'] {
  return (_step, send) => (request) => send({ ...request, headers: { ...request.headers, traceparent } });
}
