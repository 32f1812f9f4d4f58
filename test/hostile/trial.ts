import { TOLD_IN_FULL } from '../../src/observability/audit/flood.ts';
import { basic, CHECK, connectorTo, question, type Attack } from './attack.ts';
import { signedTask } from './attacks/signatures.ts';
import { canariesIn } from './canaries.ts';
import type { Came, Output, Victim } from './victim.ts';
import type { HostileWorld, SetUp } from './world.ts';

/** What came of one attack. */
export interface Trial {
  readonly came: Came;
  /** Each canary that got out, and where to; of the honest task behind the attack, too. */
  readonly leaks: readonly string[];
  /** Requests that the enemy's servers got. */
  readonly calls: number;
  /** What came of an honest task, afterwards. */
  readonly afterwards: string;
  /** Whether the audit log names the task that it came of; true if it came of none. */
  readonly isOnRecord: boolean;
}

/** Tries one attack, then an honest task, and looks at everything that has left the delegate meanwhile. */
export async function tryOut(attack: Attack, world: HostileWorld): Promise<Trial> {
  return await world.withVictim(attack.on, async (victim) => {
    world.reset();
    const came = await attack.run(world, victim);
    const { captured } = world;
    world.reset();
    const afterwards = (await honestTask(attack, world, victim)).code;
    const isOnRecord = came.taskId === undefined || (await recorded(victim, came.taskId, came.code));
    const leaks = leaksIn([...(await victim.newOutputs()), ...captured]);
    return { came, leaks, calls: captured.length, afterwards, isOnRecord };
  });
}

const RECORDED_WITHIN_MS = 1_000;

const shapeOf = (text: string): string => text.replaceAll(/task-\d+|"time":[^,]*|"seq":\d+/g, '');

/** What is wrong with what came; empty if it is what the table says. */
export function faultsOf(attack: Attack, trial: Trial): string[] {
  const { comesTo, says = '', mayCall = false, afterwards: honestEnd = honestEndOn(attack.on) } = attack;
  const { came, leaks, calls, afterwards, isOnRecord } = trial;
  return [
    ...leaks,
    ...(came.code === comesTo
      ? []
      : [`it came to ${came.code}, not to ${comesTo}: ${came.text.slice(0, 300)}`]),
    ...(came.text.includes(says) ? [] : [`it does not say “${says}”, but: ${came.text.slice(0, 300)}`]),
    ...(mayCall || calls === 0 ? [] : [`a server of the enemy got ${calls} requests`]),
    ...(afterwards === honestEnd ? [] : [`an honest task afterwards came to ${afterwards}`]),
    ...(isOnRecord ? [] : ['the audit log does not name the task']),
  ];
}

/** Each canary, and where it was found. */
export function leaksIn(outputs: readonly Output[]): string[] {
  // A thousand lines that differ in the number of their task are one.
  const different = new Map(outputs.map((output) => [shapeOf(output.text), output]));
  return [...different.values()].flatMap(({ where, text }) =>
    canariesIn(text).map((name) => `${name} got to ${where}`),
  );
}

/** What a delegate is for, as its operator has set it up. */
async function honestTask({ on }: Attack, world: HostileWorld, victim: Victim): Promise<Came> {
  if (on === 'signed') return await signedTask(world, victim);
  const identifier = victim.newTaskId().replace('-', '_');
  return await victim.ask(CHECK, question(connectorTo(world.serviceNow.url, basic(), { identifier })));
}

/** All servers are on loopback, where a strict delegate calls none of them; that it says so shows that it lives. */
function honestEndOn(on: SetUp): string {
  return on === 'strict' ? 'policy-denied' : 'succeeded';
}

/** Named, or one of so many of its kind that they are only counted; within a second. */
async function recorded(victim: Victim, taskId: string, code: string): Promise<boolean> {
  const giveUpAt = performance.now() + RECORDED_WITHIN_MS;
  while (performance.now() < giveUpAt) {
    const lines = await victim.audit();
    if (lines.some((line) => line.includes(`"taskId":"${taskId}"`))) return true;
    if (lines.filter((line) => line.includes(`"code":"${code}"`)).length >= TOLD_IN_FULL) return true;
  }
  return false;
}
