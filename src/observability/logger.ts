import { writeSync } from 'node:fs';
import { pino, type DestinationStream, type Logger } from 'pino';
import type { Redactor } from '../kit/secret.ts';
import { LogOutput, type LogOutputOptions } from './log-output.ts';

export type { Logger } from 'pino';

export interface LoggerOptions {
  level: string;
  format: 'json' | 'pretty';
  redactor: Redactor;
  /** Takes whole lines; standard output unless a test listens. */
  destination?: DestinationStream;
  /** Called for each line that standard output did not take. It must not log. */
  onLostLine?: () => void;
}

/**
 * Every line is scrubbed as a whole just before it is written. pino's own `redact` goes by path: it misses a
 * secret two levels down, in an error's message, or in a third party's text.
 *
 * A process has one log on standard output at most: two would write into each other's torn lines.
 */
export async function createLogger(options: LoggerOptions): Promise<Logger> {
  const { level, redactor } = options;
  const layOut = options.format === 'pretty' ? await prettyPrinter(redactor) : (line: string) => line;
  const output: LogDestination =
    options.destination ??
    standardOutput({
      onLost: (lostLines) => log.error({ lostLines }, 'log lines were lost: the output took none'),
      ...(options.onLostLine === undefined ? {} : { onLostLine: options.onLostLine }),
    });
  const scrubbing: LogDestination = {
    write: (line) => output.write(layOut(scrubbedLine(line, redactor))),
    flushSync: () => output.flushSync?.(),
  };
  // By name, as the settings speak of levels.
  const formatters = { level: (label: string) => ({ level: label }) };
  const log = pino({ level, base: null, formatters, timestamp: pino.stdTimeFunctions.isoTime }, scrubbing);
  return log;
}

/** Stays one line of JSON; at the worst one that says no more than that there was one. */
function scrubbedLine(line: string, redactor: Redactor): string {
  const scrubbed = redactor.scrubJson(line);
  if (scrubbed !== undefined) return scrubbed.endsWith('\n') ? scrubbed : `${scrubbed}\n`;
  const msg = 'a line is left out: it held a secret in a way that could not be masked';
  return `{"level":"warn"${pino.stdTimeFunctions.isoTime()},"msg":"${msg}"}\n`;
}

interface LogDestination extends DestinationStream {
  /** pino calls it behind a fatal line. */
  flushSync?(): void;
}

function standardOutput(told: Pick<LogOutputOptions, 'onLost' | 'onLostLine'>): LogDestination {
  // Not a bare 1: the stream, once it is made, has set a pipe to refuse what has no room, where it would block.
  const { fd } = process.stdout;
  const output = new LogOutput({ write: (bytes) => writeSync(fd, bytes), ...told });
  process.once('exit', () => output.flushSync());
  return output;
}

/** Loaded only when asked for; a container that logs JSON never pays for it. */
async function prettyPrinter(redactor: Redactor): Promise<(line: string) => string> {
  const { prettyFactory } = await import('pino-pretty');
  const print = prettyFactory({ translateTime: 'SYS:HH:MM:ss.l', ignore: 'pid,hostname', singleLine: true });
  // Once more: what was told apart by the syntax of JSON now stands side by side.
  return (line) => redactor.scrub(print(line) ?? line);
}
