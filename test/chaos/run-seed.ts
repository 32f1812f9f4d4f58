import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readChronicle } from './chronicle.ts';
import { readLedger } from './ledger.ts';
import { endingOf, judge, storiesOf, tellStory } from './oracle.ts';
import { describePlan, type Plan } from './plan.ts';
import { World, worldPaths, type ProcessPools } from './world.ts';

/**
 * How much faster the time of a world runs: a heartbeat is 250 ms of real time, a lease 750 ms. Any faster, and on two
 * busy cores a process that is merely late is taken for dead so often that the plan's own faults drown in it.
 */
const TIME_FACTOR = 40;
/** For an identity, a lock and a journal without tasks. A folder that holds more keeps what nobody needs. */
const MAX_STATE_BYTES = 512 * 1_024;

export interface SeedReport {
  readonly plan: Plan;
  /** How many tasks ended in which way, and how many lines are in the ledger. */
  readonly counts: Readonly<Record<string, number>>;
  /** Those that left the manager, copies that the line made not included. */
  readonly assigns: number;
  /** What is wrong, and what is known of it; undefined if all is well. */
  readonly failure: string | undefined;
  /** Kept when there is a failure. */
  readonly folder: string;
}

/** Makes a world, carries out the plan, and judges it. Rejects only if the world can't even begin. */
export async function runSeed(plan: Plan, pools: ProcessPools): Promise<SeedReport> {
  const folder = await mkdtemp(join(tmpdir(), `delegate-chaos-${plan.seed}-`));
  const complaints = await liveThrough(plan, folder, pools);
  const paths = worldPaths(folder);
  const rows = readChronicle(paths.chronicle);
  const ledger = readLedger(paths.ledger);
  const stories = storiesOf(rows);
  const counts: Record<string, number> = { 'lines in the ledger': ledger.length };
  for (const story of stories) {
    const outcome = endingOf(story)?.outcome ?? 'open';
    counts[outcome] = (counts[outcome] ?? 0) + 1;
  }
  const assigns = rows.filter((row) => row.kind === 'frame' && row.type === 'task.assign').length;
  const violations = judge({ plan, rows, ledger });
  const failures = [
    ...complaints,
    ...violations.map(({ key, what }) => {
      const story = stories.find((one) => one.key === key);
      return `${key}: ${what}\n${story === undefined ? '' : tellStory(story)}`;
    }),
  ];
  const failure = failures.length === 0 ? undefined : failures.join('\n\n');
  if (failure === undefined) await rm(folder, { recursive: true });
  return { plan, counts, assigns, failure, folder };
}

export function describeFailure({ plan, failure, folder }: SeedReport): string {
  return [`seed ${plan.seed} failed; its files are in ${folder}`, describePlan(plan), failure].join('\n\n');
}

async function liveThrough(plan: Plan, folder: string, pools: ProcessPools): Promise<string[]> {
  await using world = await World.start(plan, folder, pools, TIME_FACTOR);
  const life = async (): Promise<void> => {
    await world.live();
    await world.heal();
  };
  try {
    await Promise.race([life(), world.trouble]);
    return await overfullFolders(plan, folder);
  } catch (thrown) {
    return [thrown instanceof Error ? thrown.message : String(thrown)];
  }
}

async function overfullFolders(plan: Plan, folder: string): Promise<string[]> {
  const complaints: string[] = [];
  for (const { name } of plan.delegates) {
    const stateDir = worldPaths(folder).stateDir(name);
    const names = await readdir(stateDir, { recursive: true });
    const sizes = await Promise.all(names.map(async (file) => (await stat(join(stateDir, file))).size));
    const bytes = sizes.reduce((sum, size) => sum + size, 0);
    if (bytes > MAX_STATE_BYTES) complaints.push(`${name} keeps ${bytes} bytes: ${names.join(', ')}`);
  }
  return complaints;
}
