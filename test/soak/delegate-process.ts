import { readdirSync } from 'node:fs';
import { onStopSignals } from '../../src/cli/signals.ts';
import { compose } from '../../src/compose.ts';
import { loadConfiguration } from '../../src/config/load.ts';
import { Redactor } from '../../src/kit/secret.ts';
import { systemClock } from '../../src/kit/time.ts';
import { createLogger } from '../../src/observability/logger.ts';
import { ledgerConnector } from '../chaos/ledger.ts';
import { blockConnector } from './block.ts';
import { orders, type FromDelegateProcess, type Holdings, type ToDelegateProcess } from './orders.ts';

/** A delegate as `servicenow-delegate run` makes it, but for its connectors; and it tells what it holds. */

type Start = Extract<ToDelegateProcess, { order: 'start' }>;

async function run({ environment, ledgerPath }: Start): Promise<void> {
  const { configuration, enrolmentToken, stateKey } = loadConfiguration({ args: [], environment });
  const redactor = new Redactor();
  const log = await createLogger({
    level: configuration.logLevel,
    format: configuration.logFormat,
    redactor,
  });
  await using composed = await compose({
    configuration,
    enrolmentToken,
    stateKey,
    environment,
    version: '26.11.90100',
    log,
    redactor,
    connectors: [ledgerConnector(ledgerPath), blockConnector],
    clock: systemClock,
  });
  const { delegate } = composed;
  using _signals = onStopSignals((signal) => void delegate.stop(signal));
  await delegate.run();
}

function measure(): Holdings {
  // What only a finaliser lets go of is garbage in the second round.
  globalThis.gc?.();
  globalThis.gc?.();
  const { heapUsed, rss } = process.memoryUsage();
  const resources = process.getActiveResourcesInfo();
  const isHandle = (kind: string): boolean => kind.endsWith('Wrap');
  return {
    heapBytes: heapUsed,
    rssBytes: rss,
    // Less the one through which the folder is read.
    descriptors: process.platform === 'linux' ? readdirSync('/proc/self/fd').length - 1 : 0,
    handles: resources.filter(isHandle).length,
    timers: resources.filter((kind) => kind === 'Timeout').length,
  };
}

function say(message: FromDelegateProcess): void {
  process.send?.(message);
}

process.on('message', (raw) => {
  const order = orders.toDelegate.parse(raw);
  if (order.order === 'measure') say({ said: 'measured', holdings: measure() });
  else void run(order).finally(() => process.disconnect());
});
say({ said: 'waiting' });
