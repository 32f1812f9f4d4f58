import { appendFileSync } from 'node:fs';
import { onStopSignals } from '../../src/cli/signals.ts';
import { compose } from '../../src/compose.ts';
import { loadConfiguration } from '../../src/config/load.ts';
import { Redactor } from '../../src/kit/secret.ts';
import { createLogger } from '../../src/observability/logger.ts';
import { fastClock } from '../support/fast-clock.ts';
import { ledgerConnector } from './ledger.ts';
import { orders, type FromDelegateProcess, type ToDelegateProcess } from './orders.ts';

/** A delegate as `servicenow-delegate run` makes it, but for its connector and for the speed of its clock. */

async function run({ environment, ledgerPath, logPath, lapse }: ToDelegateProcess): Promise<void> {
  const { configuration, enrolmentToken, stateKey } = loadConfiguration({ args: [], environment });
  const redactor = new Redactor();
  const log = await createLogger({
    level: configuration.logLevel,
    format: configuration.logFormat,
    redactor,
    destination: { write: (line) => appendFileSync(logPath, line) },
  });
  await using composed = await compose({
    configuration,
    enrolmentToken,
    stateKey,
    environment,
    version: '26.11.90100',
    log,
    redactor,
    connectors: [ledgerConnector(ledgerPath)],
    clock: fastClock(lapse),
  });
  const { delegate } = composed;
  using _signals = onStopSignals((signal) => void delegate.stop(signal));
  say('started');
  await delegate.run();
}

function say(said: FromDelegateProcess['said']): void {
  process.send?.({ said });
}

process.once('message', (raw) => void run(orders.toDelegate.parse(raw)));
say('waiting');
