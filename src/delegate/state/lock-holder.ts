import { join } from 'node:path';
import { sleep, type Clock } from '../../kit/time.ts';
import { isUnchanged, lookAt, type LockRecord } from './lock-file.ts';
import { existenceOf, whoAmI } from './process-facts.ts';
import { BEAT_EVERY_MS, LOCK_FILE } from './state-lock.ts';

/** In which a living owner has shown itself. */
const WATCH_MS = BEAT_EVERY_MS + 500;

export interface LockHolder {
  /**
   * - `free`: nobody has locked the folder.
   * - `alive`: whoever has, shows that it lives.
   * - `gone`: whoever has, does not exist any more; the next start takes the lock over.
   * - `silent`: on another host or in another container, and without a sign of life while it was watched.
   */
  readonly is: 'free' | 'alive' | 'gone' | 'silent';
  /** Undefined also if the lock file can't be read. */
  readonly record: LockRecord | undefined;
}

/** Who has locked the state folder, for whoever only looks. Rejects with `state-folder-unusable`, or the signal's reason. */
export async function lockHolder(
  stateDir: string,
  { clock, signal }: { clock: Clock; signal: AbortSignal },
): Promise<LockHolder> {
  const path = join(stateDir, LOCK_FILE);
  const sight = await lookAt(path);
  if (sight === undefined) return { is: 'free', record: undefined };
  const { record } = sight;
  const existence = record === undefined ? 'unknown' : await existenceOf(record, await whoAmI());
  if (existence !== 'unknown') return { is: existence, record };
  await sleep(clock, WATCH_MS, signal);
  const now = await lookAt(path);
  if (now === undefined) return { is: 'free', record: undefined };
  return { is: isUnchanged(sight, now) ? 'silent' : 'alive', record: now.record };
}
