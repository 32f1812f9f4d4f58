import { appendFileSync } from 'node:fs';
import { runDelegate } from '../support/delegate-run.ts';
import { fastClock } from '../support/fast-clock.ts';
import { ledgerConnector } from './ledger.ts';
import { orders, type FromDelegateProcess, type ToDelegateProcess } from './orders.ts';

/** A delegate whose clock is fast and whose tasks write to a ledger. */

async function run({ environment, ledgerPath, logPath, lapse }: ToDelegateProcess): Promise<void> {
  await runDelegate({
    environment,
    connectors: [ledgerConnector(ledgerPath)],
    clock: fastClock(lapse),
    writeLog: (line) => appendFileSync(logPath, line),
    onStarted: () => say('started'),
  });
}

function say(said: FromDelegateProcess['said']): void {
  process.send?.({ said });
}

process.once('message', (raw) => void run(orders.toDelegate.parse(raw)));
say('waiting');
