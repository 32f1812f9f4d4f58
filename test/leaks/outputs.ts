import { inspect } from 'node:util';
import { failureReport } from '../../src/cli/report/failure.ts';
import { withoutSecrets } from '../../src/delegate/tasks/outgoing.ts';
import { DelegateError } from '../../src/kit/errors.ts';
import { ScrubbedLines, type Redactor } from '../../src/kit/secret.ts';
import { createLogger, type Logger } from '../../src/observability/logger.ts';
import { encodeToManager } from '../../src/protocol/codec.ts';
import { jsonSchema, type ToManager } from '../../src/protocol/messages.ts';
import { resultOf } from '../delegate/frames.ts';
import { outcomeOfWork } from '../support/run-task.ts';

/** What leaves when a text gets where it should not: the real code of each way out. */
export type Output = (text: string, redactor: Redactor) => Promise<string>;

const logged =
  (format: 'json' | 'pretty', write: (log: Logger, text: string) => void): Output =>
  async (text, redactor) => {
    const lines: string[] = [];
    const destination = { write: (line: string) => void lines.push(line) };
    write(await createLogger({ level: 'trace', format, redactor, destination }), text);
    return lines.join('');
  };

const failed =
  (thrown: (text: string) => unknown): Output =>
  async (text, redactor) =>
    JSON.stringify(await outcomeOfWork(() => Promise.reject(thrown(text)), redactor));

/** Prepared for the wire as a session does it. */
const framed =
  (frame: (text: string) => ToManager): Output =>
  (text, redactor) =>
    Promise.resolve(
      encodeToManager(
        withoutSecrets(frame(text), {
          text: (one) => redactor.scrub(one),
          json: (value) => jsonSchema.parse(redactor.scrubDeep(value)),
        }),
      ),
    );

const TASK = { taskId: 't-1', attempt: 1 } as const;
const INVALID = { category: 'invalid-input' } as const;

export const OUTPUTS: Readonly<Record<string, Output>> = {
  'the message of a log line': logged('json', (log, text) => log.info(text)),
  'the fields of a log line': logged('json', (log, text) => log.info({ a: [{ b: text }] }, 'seen')),
  'the name of a logged field': logged('json', (log, text) => log.info({ [text]: 1 }, 'seen')),
  'a logged error and its cause': logged('json', (log, text) =>
    log.error({ err: new Error(text, { cause: new Error(`again: ${text}`) }) }, 'failed'),
  ),
  'the bindings of a logger': logged('json', (log, text) => log.child({ task: text }).warn('seen')),
  'a log line for people': logged('pretty', (log, text) => log.info({ a: text }, `seen ${text}`)),
  'an error for people': logged('pretty', (log, text) => log.error({ err: new Error(text) }, 'failed')),
  'the output of a task': async (text, redactor) =>
    JSON.stringify(await outcomeOfWork(() => Promise.resolve({ [text]: [text] }), redactor)),
  'the error of a task': failed((text) => new DelegateError('x', text, { ...INVALID, hint: text })),
  'the details of an error': failed(
    (text) => new DelegateError('x', 'y', { ...INVALID, details: { [text]: text, list: [text] } }),
  ),
  'an error that nobody foresaw': failed((text) => new TypeError(text)),
  'a frame of progress': framed((text) => ({
    type: 'task.progress',
    ...TASK,
    seq: 1,
    message: text,
    data: { text },
  })),
  'a reject': framed((text) => ({ type: 'task.reject', ...TASK, code: 'invalid-input', message: text })),
  'a result': framed((text) => ({ ...resultOf(), outcome: 'succeeded', output: [text] })),
  'a farewell': framed((text) => ({ type: 'goodbye', reason: text, running: [], unacknowledged: [] })),
  'a report of a command': async (text, redactor) => {
    const outcome = await outcomeOfWork(
      () => Promise.reject(new DelegateError('x', text, INVALID)),
      redactor,
    );
    if (outcome.outcome === 'succeeded') throw new Error('it was to fail');
    return failureReport('No answer', outcome.error, { width: 80, paint: (_, shown) => shown });
  },
  'what a library prints in chunks': (text, redactor) => {
    const lines = new ScrubbedLines(redactor);
    const printed = `${inspect({ text })} ${text}`;
    const chunks = printed.match(/[^]{1,7}/g) ?? [];
    for (const chunk of chunks) lines.add(chunk);
    return Promise.resolve(lines.lines() + lines.end());
  },
};
