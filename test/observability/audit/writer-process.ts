import { pino } from 'pino';
import { FileAuditLog } from '../../../src/observability/audit/audit-log.ts';
import { auditFolder } from '../../../src/observability/audit/folder.ts';
import { systemClock } from '../../../src/kit/time.ts';
import { STARTED, taken } from './disk.ts';

/** Writes records into the folder that it is given until it is killed, and says of each that it is written. */
const [path = ''] = process.argv.slice(2);
const audit = new FileAuditLog({
  folder: auditFolder(path),
  maxBytes: 64 * 1_048_576,
  started: () => STARTED,
  scrub: (text) => text,
  clock: systemClock,
  log: pino({ level: 'silent' }),
});
await audit.open();
for (let n = 0; ; n += 4) {
  await Promise.all(
    [n, n + 1, n + 2, n + 3].map(async (one) => {
      await audit.admit(taken(one, { taskId: `${process.pid}-${one}` }));
      process.stdout.write(`${process.pid}-${one}\n`);
    }),
  );
}
