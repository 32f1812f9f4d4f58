import { StringDecoder } from 'node:string_decoder';
import { inspect } from 'node:util';
import { ScrubbedLines, type Redactor } from '../kit/secret.ts';

/**
 * The last net before standard output and standard error, for what others print: a library's `console.warn`, Node's
 * own warnings. It takes whole lines, and lets out none with a secret. Disposing lets the rest out and takes the net
 * away; the end of the process does the same.
 *
 * The log has a way of its own, which is scrubbed before (`createLogger`).
 *
 * @param beforeOutput called before anything is let out: what stands on the terminal may have to make room
 */
export function guardOutputs(redactor: Redactor, beforeOutput: () => void = () => {}): Disposable {
  const guards = [process.stdout, process.stderr].map((stream) => new Guard(stream, redactor, beforeOutput));
  const warnings = process.listeners('warning');
  const onWarning = (warning: Error): void => void process.stderr.write(`${warning.stack ?? warning.name}\n`);
  // Node's own listener writes past the stream.
  process.removeAllListeners('warning').on('warning', onWarning);
  const letGo = (): void => {
    for (const one of guards) one[Symbol.dispose]();
  };
  process.once('exit', letGo);
  return {
    [Symbol.dispose]() {
      process.off('exit', letGo).off('warning', onWarning);
      for (const listener of warnings) process.on('warning', listener);
      letGo();
    },
  };
}

/** What was written and is not yet let out. */
class Guard implements Disposable {
  readonly #stream: NodeJS.WriteStream;
  readonly #original: NodeJS.WriteStream['write'];
  readonly #lines: ScrubbedLines;
  readonly #beforeOutput: () => void;
  readonly #decoder = new StringDecoder('utf8');
  #onWritten: (() => void)[] = [];
  #turn: NodeJS.Immediate | undefined;

  constructor(stream: NodeJS.WriteStream, redactor: Redactor, beforeOutput: () => void) {
    this.#stream = stream;
    this.#beforeOutput = beforeOutput;
    this.#original = stream.write.bind(stream);
    this.#lines = new ScrubbedLines(redactor);
    stream.write = (chunk: string | Uint8Array, ...rest: unknown[]): boolean => {
      this.#lines.add(typeof chunk === 'string' ? chunk : this.#decoder.write(Buffer.from(chunk)));
      this.#onWritten.push(...rest.filter((one): one is () => void => typeof one === 'function'));
      // All that is written in one turn is looked at together.
      this.#turn ??= setImmediate(() => this.#letOut(this.#lines.lines()));
      return true;
    };
  }

  [Symbol.dispose](): void {
    this.#stream.write = this.#original;
    this.#lines.add(this.#decoder.end());
    this.#letOut(this.#lines.end());
  }

  #letOut(text: string): void {
    clearImmediate(this.#turn);
    this.#turn = undefined;
    const onWritten = this.#onWritten.splice(0);
    // Even nothing at all is refused by a full disk, and an output that nobody wrote to would end the process.
    if (text === '' && onWritten.length === 0) return;
    this.#beforeOutput();
    this.#original(text, () => {
      for (const tell of onWritten) tell();
    });
  }
}

/**
 * Node's diagnostic reports hold the environment, and with it secrets: none is written, whatever NODE_OPTIONS says. One
 * that somebody asks for from within has no environment where Node can leave it out (22.13 and later).
 */
export function forbidReports(): void {
  const { report } = process;
  if (report === undefined) return;
  report.reportOnFatalError = false;
  report.reportOnSignal = false;
  report.reportOnUncaughtException = false;
  Reflect.set(report, 'excludeEnv', true);
  Reflect.set(report, 'excludeNetwork', true);
}

/**
 * What a process says that ends by an error which nobody foresaw; it exits with the code that is returned. Node would
 * print the error itself, past every net. The last who asks for it speaks, alone.
 */
export function onLastWords(speak: (error: Error) => number): void {
  process.removeAllListeners('uncaughtException').on('uncaughtException', (error: unknown) => {
    process.exit(speak(error instanceof Error ? error : new Error('something that is no error was thrown')));
  });
}

/**
 * For a command that learns secrets: nothing of them is printed by anybody, and what nobody foresaw is told with its
 * message, scrubbed, before the process exits with that code.
 */
export function guardCommand(
  redactor: Redactor,
  exitCodeOf: (error: Error) => number,
  beforeOutput?: () => void,
): Disposable {
  onLastWords((error) => {
    process.stderr.write(`${redactor.scrub(inspect(error))}\n`);
    return exitCodeOf(error);
  });
  return guardOutputs(redactor, beforeOutput);
}

/** Where it happened, for want of a redactor: nobody vouches for the message. */
export function placeOf(error: Error): string {
  const frames = (error.stack ?? '').split('\n').filter((line) => /^ {4}at /.test(line));
  return [`Unexpected ${error.name}`, ...frames, ''].join('\n');
}
