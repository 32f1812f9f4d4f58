import { readdirSync } from 'node:fs';
import { systemClock } from '../../src/kit/time.ts';
import { ledgerConnector } from '../chaos/ledger.ts';
import { runDelegate } from '../support/delegate-run.ts';
import { blockConnector } from './block.ts';
import { orders, type FromDelegateProcess, type Holdings, type ToDelegateProcess } from './orders.ts';

/** A delegate whose tasks write to a ledger or block, and that tells what it holds. */

type Start = Extract<ToDelegateProcess, { order: 'start' }>;

async function run({ environment, ledgerPath }: Start): Promise<void> {
  await runDelegate({
    environment,
    connectors: [ledgerConnector(ledgerPath), blockConnector],
    clock: systemClock,
    writeLog: (line) => process.stdout.write(line),
    onStarted: () => {},
  });
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
