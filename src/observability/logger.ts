import { pino, type DestinationStream, type Logger } from 'pino';
import type { Redactor } from '../kit/secret.ts';

export type { Logger } from 'pino';

export interface LoggerOptions {
  level: string;
  format: 'json' | 'pretty';
  redactor: Redactor;
  /** Takes whole lines; standard output unless a test listens. */
  destination?: DestinationStream;
}

/**
 * Every line is scrubbed as a whole just before it is written. pino's own `redact` goes by path: it misses a
 * secret two levels down, in an error's message, or in a third party's text.
 */
export async function createLogger(options: LoggerOptions): Promise<Logger> {
  const { level, redactor } = options;
  // Synchronous: a daemon that dies must have said why, and this one logs little.
  const raw = options.destination ?? pino.destination({ dest: 1, sync: true });
  const target = options.format === 'pretty' ? await prettyPrinter(raw) : raw;
  const scrubbing: DestinationStream = { write: (line) => target.write(redactor.scrub(line)) };
  // By name, as the settings speak of levels.
  const formatters = { level: (label: string) => ({ level: label }) };
  return pino({ level, base: null, formatters, timestamp: pino.stdTimeFunctions.isoTime }, scrubbing);
}

/** Loaded only when asked for; a container that logs JSON never pays for it. */
async function prettyPrinter(destination: DestinationStream): Promise<DestinationStream> {
  const { prettyFactory } = await import('pino-pretty');
  const print = prettyFactory({ translateTime: 'SYS:HH:MM:ss.l', ignore: 'pid,hostname', singleLine: true });
  return { write: (line) => destination.write(print(line) ?? line) };
}
