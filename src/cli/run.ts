import { compose } from '../compose.ts';
import { readEnvironment, withoutCredentials } from '../config/environment.ts';
import { loadConfiguration } from '../config/load.ts';
import { packageVersion } from '../config/version.ts';
import type { DefineConnector } from '../connectors/connector.ts';
import { connectors } from '../connectors/index.ts';
import { DelegateError } from '../kit/errors.ts';
import { deferred } from '../kit/flow.ts';
import { Redactor } from '../kit/secret.ts';
import { systemClock } from '../kit/time.ts';
import { createLogger } from '../observability/logger.ts';
import { ERROR_CODES } from './error-reference.ts';
import { endAnyway, endSoon } from './ending.ts';
import { guardOutputs, onLastWords } from './outputs.ts';
import { onStopSignals } from './signals.ts';

/**
 * What a stop takes at most beyond the grace: less than the 5 s that Kubernetes leaves behind the default one. A token
 * exchange that is under way has all of it and the grace, whatever is left of tasks: its answer may be the last that
 * the grant gives.
 */
const STOP_WITHIN_MS = 4_500;
/** For the disk after the last exchange; the journal itself waits 2 s. */
const DISK_WITHIN_MS = 2_500;

/** `servicenow-delegate run`: until a signal, or a failure that trying again can't mend. */
export async function run(args: readonly string[]): Promise<0 | 1> {
  return await runDelegate(args, packageVersion());
}

/**
 * @param version what the delegate says of itself; only development says anything but its own
 * @param offered what it can do; only a measurement takes anything but the table
 */
export async function runDelegate(
  args: readonly string[],
  version: string,
  offered: readonly DefineConnector[] = connectors,
): Promise<0 | 1> {
  try {
    return await runToTheEnd(args, version, offered);
  } finally {
    endSoon();
  }
}

async function runToTheEnd(
  args: readonly string[],
  version: string,
  offered: readonly DefineConnector[],
): Promise<0 | 1> {
  const environment = readEnvironment();
  const { configuration, enrolmentToken, stateKey, warnings } = loadConfiguration({ args, environment });
  const redactor = new Redactor();
  let logLinesLost = 0;
  const log = await createLogger({
    level: configuration.logLevel,
    format: configuration.logFormat,
    redactor,
    onLostLine: () => (logLinesLost += 1),
  });
  // Node would print an unexpected error itself, past the scrubbing.
  onLastWords((error) => {
    log.fatal({ err: error }, 'unexpected; the process ends');
    return 1;
  });
  using _outputs = guardOutputs(redactor);
  const asked = deferred<string>();
  // Before anything that takes time: a signal that nobody listens for kills, or is lost on process 1 of a container.
  using _signals = onStopSignals((signal) => {
    log.info({ signal }, 'asked to stop; a second signal stops now');
    endAnyway(configuration.shutdownGraceMs + STOP_WITHIN_MS, log);
    asked.resolve(signal);
  });
  for (const warning of warnings) log.warn(warning);

  await using composed = await compose({
    configuration,
    enrolmentToken,
    stateKey,
    connectors: offered,
    environment: withoutCredentials(environment),
    version,
    errorCodes: ERROR_CODES,
    logLinesLost: () => logLinesLost,
    log,
    redactor,
    clock: systemClock,
  });
  const { delegate, healthUrl } = composed;
  const { managerUrl, name, stateDir, allowLoopback } = configuration;
  log.info({ version, delegateName: name, managerUrl, stateDir, healthUrl }, 'delegate starts');
  if (allowLoopback) log.warn('loopback is allowed to connectors: this is for development');
  void asked.promise
    .then((signal) => delegate.stop(signal))
    .then(() => composed.endTasks())
    .then(
      () => endAnyway(DISK_WITHIN_MS, log),
      (error: unknown) => log.error({ err: error }, 'the stop failed'),
    );
  try {
    await delegate.run();
    log.info('delegate stopped');
    return 0;
  } catch (failure) {
    log.fatal(failure instanceof DelegateError ? failure.toWire() : { err: failure }, 'delegate failed');
    return 1;
  }
}
