import { inspect } from 'node:util';
import { composeConnectors } from '../../compose/connectors.ts';
import { policyOf } from '../../compose/policy.ts';
import { readEnvironment } from '../../config/environment.ts';
import { loadLocalConfiguration, type LoadedLocalConfiguration } from '../../config/local.ts';
import { packageVersion } from '../../config/version.ts';
import type { DefineConnector } from '../../connectors/connector.ts';
import { connectors } from '../../connectors/index.ts';
import { wrap, type WireError } from '../../kit/errors.ts';
import { untilAborted } from '../../kit/flow.ts';
import { Redactor } from '../../kit/secret.ts';
import { systemClock, type Clock } from '../../kit/time.ts';
import { createLogger } from '../../observability/logger.ts';
import { endSoon, exitCodeOf, type StopSignal } from '../ending.ts';
import { failureReport } from '../report/failure.ts';
import { complain } from '../complaint.ts';
import { flagKinds, hintOf, type Page } from '../pages/page.ts';
import { jsonText, printable, terminalOf, type Terminal } from '../report/layout.ts';
import { ProgressLine } from '../report/progress.ts';
import { guardCommand } from '../outputs.ts';
import { onStopSignals } from '../signals.ts';
import { WRONG_USAGE } from '../usage.ts';
import type { InputSource } from './input-file.ts';
import { KeptKey, underKey } from './kept-key.ts';
import { runTask, type Ran } from './task.ts';

/** A command that runs one task of this very program in the terminal. */
export interface LocalCommand {
  readonly name: 'validate' | 'check';
  /** As the manager would name it. */
  readonly task: string;
  readonly page: Page;
  readInput(source: InputSource, flags: ReadonlyMap<string, string>): Promise<unknown>;
  /** Runs the task, once or more often. Rejects with the signal's reason. */
  perform(look: () => Promise<Ran>, options: PerformOptions): Promise<Ran>;
  exitCodeOf(ran: Ran): number;
  /** What a person reads of the answer; undefined if it is not what such an answer looks like. */
  report(output: unknown, terminal: Terminal): string | undefined;
  /** Above the error of a task that gave none. */
  readonly noAnswer: string;
}

export interface PerformOptions {
  readonly flags: ReadonlyMap<string, string>;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly onProgress: (message: string) => void;
}

const DEFAULT_TIMEOUT_S = 60;

/** From the command line to the exit code; a signal ends it at once. Never rejects for what a user can mend. */
export async function runLocalCommand(command: LocalCommand, args: readonly string[]): Promise<number> {
  const redactor = new Redactor();
  using progress = new ProgressLine();
  using _outputs = guardCommand(
    redactor,
    (error) => command.exitCodeOf(failed(error, redactor)),
    () => progress.clear(),
  );
  const stop = new AbortController();
  const asked: StopSignal[] = [];
  using _signals = onStopSignals((signal) => {
    asked.push(signal);
    // A token exchange that has begun is seen through: its answer may be the last that the grant gives.
    process.stderr.write(`Stopping (${signal}); a second signal stops at once.\n`);
    stop.abort(new Error(`stopped by ${signal}`));
  });
  try {
    return await execute(command, args, { redactor, progress, signal: stop.signal });
  } catch (thrown) {
    const [signal] = asked;
    if (signal === undefined) throw thrown;
    return exitCodeOf(signal);
  } finally {
    endSoon(asked[0]);
  }
}

interface Surroundings {
  readonly redactor: Redactor;
  readonly progress: ProgressLine;
  readonly signal: AbortSignal;
}

async function execute(
  command: LocalCommand,
  args: readonly string[],
  surroundings: Surroundings,
): Promise<number> {
  const { redactor, signal } = surroundings;
  // Looked for before the command line is read, so that what is wrong with that line is told in JSON as well.
  const asJson = args.includes('--json');
  try {
    const ran = await perform(command, args, surroundings);
    await write(asJson ? jsonOf(ran) : reportOf(command, ran), signal);
    return command.exitCodeOf(ran);
  } catch (thrown) {
    signal.throwIfAborted();
    const ran = failed(thrown, redactor);
    const { code, category } = ran.outcome.error;
    if (code === 'internal') process.stderr.write(`${redactor.scrub(inspect(thrown))}\n`);
    if (asJson) await write(jsonOf(ran), signal);
    else complain(ran.outcome.error);
    return category === 'invalid-input' || category === 'policy' ? WRONG_USAGE : command.exitCodeOf(ran);
  }
}

/** For what ends a command before its task does. */
function failed(
  thrown: unknown,
  redactor: Redactor,
): Ran & { outcome: { outcome: 'failed'; error: WireError } } {
  const { hint, message, ...others } = wrap(thrown).toWire();
  const scrubbed = { message: redactor.scrub(message), hint: hint && redactor.scrub(hint) };
  return { outcome: { outcome: 'failed', error: { ...others, ...scrubbed } }, answer: undefined };
}

function jsonOf({ outcome }: Ran): string {
  const shown = outcome.outcome === 'succeeded' ? outcome.output : { error: outcome.error };
  return jsonText(shown);
}

function reportOf(command: LocalCommand, ran: Ran): string {
  const terminal = terminalOf(process.stdout);
  const { outcome } = ran;
  if (outcome.outcome !== 'succeeded') return failureReport(command.noAnswer, outcome.error, terminal);
  // Masks may stand where a report has its words.
  return command.report(outcome.output, terminal) ?? jsonOf(ran);
}

async function perform(
  command: LocalCommand,
  args: readonly string[],
  { redactor, progress, signal }: Surroundings,
): Promise<Ran> {
  const environment = readEnvironment();
  const version = packageVersion();
  const loaded = loadLocalConfiguration(
    { args, environment },
    { flags: flagKinds(command.page), operand: 'FILE' },
    hintOf(command.name),
  );
  const { configuration, flags, warnings } = loaded;
  for (const warning of warnings) complain({ message: warning });
  const source = { path: loaded.operand, standardInput: process.stdin, signal };
  // A pipe that nobody writes to cannot be closed before it was opened; the wait for it can end.
  const input = await untilAborted(command.readInput(source, flags), signal);
  const log = await createLogger({
    level: configuration.logLevel,
    format: configuration.logFormat,
    redactor,
    // Standard output is for the answer alone.
    destination: process.stderr,
  });
  const clock = systemClock;
  await using keptKey = new KeptKey({
    stateDir: configuration.stateDir,
    stateKey: loaded.stateKey,
    protect: (value) => redactor.register(value, { pinned: true }),
    clock,
    log,
    signal,
  });
  await using wired = composeConnectors({
    configuration,
    policy: policyOf(configuration),
    connectors: connectors.map(
      (define): DefineConnector =>
        (deps) =>
          define({ ...deps, kept: underKey(deps.kept, keptKey) }),
    ),
    environment,
    version,
    redactor,
    clock,
    log,
    keptSecretsKey: () => keptKey.get(),
    delegateId: () => NO_DELEGATE,
  });
  const task = wired.taskTypes.find(({ name }) => name === command.task);
  if (task === undefined) throw new TypeError(`no connector knows ${command.task}`);
  const prepared = task.prepare(input);
  const onProgress = progressOf(loaded, redactor, progress);
  const timeoutMs = Number(flags.get('timeout') ?? DEFAULT_TIMEOUT_S) * 1_000;
  const surroundings = { clock, log, redactor, signal, onProgress, timeoutMs };
  const look = (): Promise<Ran> => runTask(task, prepared, surroundings);
  return await command.perform(look, { flags, clock, signal, onProgress });
}

/** What stands for the id that a manager would have given. */
const NO_DELEGATE = 'local';

/** Every line of it for whoever asks for that, else the latest one. */
function progressOf(
  { flags }: LoadedLocalConfiguration,
  redactor: Redactor,
  progress: ProgressLine,
): (message: string) => void {
  if (!flags.has('verbose')) return (message) => progress.show(redactor.scrub(message));
  return (message) => void process.stderr.write(`… ${printable(redactor.scrub(message))}\n`);
}

/** Resolves when the text is out, so that an end that follows cuts nothing off. */
async function write(text: string, signal: AbortSignal): Promise<void> {
  const written = new Promise<void>((resolve) => {
    // A reader that went away is nothing to complain of: see index.ts.
    process.stdout.write(text, () => resolve());
  });
  await untilAborted(written, signal);
}
