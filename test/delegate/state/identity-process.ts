import { pino } from 'pino';
import { loadIdentity, saveEnrolment } from '../../../src/delegate/state/identity.ts';

/** Saves one enrolment after the other, says so after each, and ends only when it is killed. */
const [stateDir = ''] = process.argv.slice(2);
const log = pino({ level: 'silent' });

process.once('disconnect', () => process.exit());
const identity = await loadIdentity(stateDir, () => {}, log);
for (let count = 1; ; count += 1) {
  await saveEnrolment(stateDir, identity, 'https://manager', { delegateId: String(count) }, log);
  process.send?.(count);
}
