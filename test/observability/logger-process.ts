import { z } from 'zod';
import { Redactor } from '../../src/kit/secret.ts';
import { createLogger } from '../../src/observability/logger.ts';

/** Logs to its standard output as it is told to, and answers each order when it is done. */

const order = z.object({ lines: z.number(), end: z.enum(['exit', 'throw']).optional() });
export type Order = z.infer<typeof order>;

const log = await createLogger({ level: 'info', format: 'json', redactor: new Redactor() });
process.once('uncaughtException', (error) => {
  log.fatal({ err: error }, 'unexpected');
  process.exit(1);
});
let said = 0;
process.on('message', (raw) => {
  const { lines, end } = order.parse(raw);
  for (const until = said + lines; said < until; said += 1)
    log.info({ n: said, pad: 'x'.repeat(1_000) }, 'line');
  process.send?.('done', () => {
    if (end === 'throw') throw new Error('thrown as it was told to');
    if (end === undefined) return;
    log.info('stopped');
    process.exit(0);
  });
});
process.once('disconnect', () => process.exit(2));
process.send?.('ready');
