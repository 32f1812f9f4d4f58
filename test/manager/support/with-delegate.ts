import type { ManagerOptions } from '../../../src/manager/manager.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import type { managersUnderTest } from './manager-under-test.ts';
import { enrol, ScriptedDelegate } from './scripted-delegate.ts';

/** A manager on a manual clock with one delegate that has this much credit. */
export async function managerWithDelegate(
  start: ReturnType<typeof managersUnderTest>,
  credit: number,
  options: ManagerOptions = {},
) {
  const clock = new ManualClock();
  const watched = await start({ clock, ...options });
  const who = await enrol(watched.manager);
  const { delegate } = await ScriptedDelegate.join(watched.manager, who, credit);
  await delegate.synchronise();
  return { ...watched, clock, who, delegate };
}
