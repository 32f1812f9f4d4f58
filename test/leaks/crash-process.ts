import { z } from 'zod';
import { forbidReports, guardOutputs, onLastWords, placeOf } from '../../src/cli/outputs.ts';
import { Redactor } from '../../src/kit/secret.ts';
import { createLogger } from '../../src/observability/logger.ts';

/** Ends as it is told to, with a text in its hands. Its secrets come by the same way, and are known if it is told so. */

const order = z.object({
  secrets: z.array(z.string()),
  text: z.string(),
  end: z.enum([
    'throw',
    'reject',
    'reject-no-error',
    'warn',
    'print',
    'print-bytes',
    'before-any-secret',
    'report',
  ]),
});
export type Order = z.infer<typeof order>;

process.once('message', (raw) => {
  void follow(order.parse(raw));
});
process.send?.('ready');

async function follow({ secrets, text, end }: Order): Promise<void> {
  process.disconnect();
  forbidReports();
  onLastWords((error) => {
    process.stderr.write(placeOf(error));
    return 1;
  });
  if (end === 'before-any-secret') throw new Error(text);
  const redactor = new Redactor();
  for (const secret of secrets) redactor.register(secret);
  const log = await createLogger({ level: 'info', format: 'json', redactor });
  onLastWords((error) => {
    log.fatal({ err: error }, 'unexpected; the process ends');
    return 1;
  });
  guardOutputs(redactor);
  switch (end) {
    case 'throw':
    case 'report':
      setImmediate(() => {
        throw new Error(text, { cause: new TypeError(text) });
      });
      return;
    case 'reject':
      void Promise.reject(new Error(text));
      return;
    case 'reject-no-error':
      // oxlint-disable-next-line typescript/prefer-promise-reject-errors -- others do
      void Promise.reject({ text });
      return;
    case 'warn':
      process.emitWarning(text, { detail: text });
      return;
    case 'print':
      // oxlint-disable-next-line no-console -- libraries do
      console.warn('a library says %s', text, { text });
      for (const chunk of text.match(/[^]{1,5}/g) ?? []) process.stdout.write(chunk);
      return;
    case 'print-bytes':
      for (const byte of Buffer.from(text)) process.stderr.write(Buffer.of(byte));
  }
}
