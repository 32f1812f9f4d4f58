import { onStopSignals } from '../../src/cli/signals.ts';
import { compose } from '../../src/compose.ts';
import { loadConfiguration } from '../../src/config/load.ts';
import type { DefineConnector } from '../../src/connectors/connector.ts';
import { Redactor } from '../../src/kit/secret.ts';
import type { Clock } from '../../src/kit/time.ts';
import { createLogger } from '../../src/observability/logger.ts';

interface DelegateRun {
  /** As `servicenow-delegate run` gets it. */
  readonly environment: Readonly<Record<string, string>>;
  readonly connectors: readonly DefineConnector[];
  readonly clock: Clock;
  /** Takes each line of its log. */
  readonly writeLog: (line: string) => void;
  /** Called when a signal to stop is taken from now on. */
  readonly onStarted: () => void;
}

/** A delegate as `servicenow-delegate run` makes it, but for its connectors and its clock; resolves when it has ended. */
export async function runDelegate(options: DelegateRun): Promise<void> {
  const { environment, connectors, clock, writeLog, onStarted } = options;
  const { configuration, enrolmentToken, stateKey } = loadConfiguration({ args: [], environment });
  const redactor = new Redactor();
  const log = await createLogger({
    level: configuration.logLevel,
    format: configuration.logFormat,
    redactor,
    destination: { write: writeLog },
  });
  await using composed = await compose({
    errorCodes: new Set(),
    logLinesLost: () => 0,
    configuration,
    enrolmentToken,
    stateKey,
    environment,
    version: '26.11.90100',
    log,
    redactor,
    connectors,
    clock,
  });
  const { delegate } = composed;
  using _signals = onStopSignals((signal) => void delegate.stop(signal));
  onStarted();
  await delegate.run();
}
