import { pino } from 'pino';
import { z } from 'zod';
import { lockState, type StateLock } from '../../../src/delegate/state/state-lock.ts';
import { wrap } from '../../../src/kit/errors.ts';
import { systemClock } from '../../../src/kit/time.ts';

/** Locks and frees state folders, at most one at a time, at the word of the process that started it. */

const orderSchema = z.union([z.object({ lock: z.string() }), z.object({ free: z.literal(true) })]);

const log = pino({ level: 'silent' });
let lock: StateLock | undefined;

/** Says what became of one order. */
async function obey(order: z.infer<typeof orderSchema>): Promise<{ held: boolean; code?: string }> {
  try {
    await lock?.[Symbol.asyncDispose]();
    lock = 'lock' in order ? await lockState(order.lock, { clock: systemClock, log }) : undefined;
    return { held: lock?.held ?? false };
  } catch (thrown) {
    lock = undefined;
    return { held: false, code: wrap(thrown).code };
  }
}

process.on('message', (message) => void obey(orderSchema.parse(message)).then((is) => process.send?.(is)));
process.once('disconnect', () => process.exit());
