import { setTimeout as sleep } from 'node:timers/promises';
import { BenchProcess } from '../bench-process.ts';
import { answers } from '../messages.ts';
import type { Plan } from '../plan.ts';
import { factsOfProcess } from '../process-facts.ts';
import { startReferenceManager } from '../reference-manager.ts';
import { figures, mebibytes, spread, type PartReport } from '../report.ts';
import { summaryOf } from '../statistics.ts';

const SIZES = {
  full: { delegates: 1_000, heartbeatsForMs: 60_000 },
  quick: { delegates: 50, heartbeatsForMs: 2_000 },
} as const;

/** What it takes to be the manager of many: everybody connects at once, and then all that is heard are heartbeats. */
export async function manyDelegates(plan: Plan): Promise<PartReport> {
  const { compiled, repetitions, quick, onStep } = plan;
  const { delegates, heartbeatsForMs } = SIZES[quick ? 'quick' : 'full'];
  await using manager = await startReferenceManager();
  const alone = await factsOfProcess(manager.pid);
  onStep(`${delegates} delegates enrol`);
  const hand = { managerUrl: manager.url, enrolmentToken: manager.enrolmentToken, delegates };
  await using light = await BenchProcess.start(compiled, 'light-delegates', { hand });
  const storms: number[] = [];
  for (let n = 1; n <= repetitions; n += 1) {
    onStep(`all of them connect, ${n} of ${repetitions}`);
    storms.push((await light.ask({ do: 'storm' }, answers.storm)).seconds);
  }
  onStep(`heartbeats for ${heartbeatsForMs / 1_000} s`);
  const before = await factsOfProcess(manager.pid);
  await sleep(heartbeatsForMs);
  const after = await factsOfProcess(manager.pid);
  const { connected } = await light.ask({ do: 'count' }, answers.connected);
  if (connected !== delegates) throw new Error(`${connected} of ${delegates} are still connected`);
  const cpuShare = (after.cpuSeconds - before.cpuSeconds) / (heartbeatsForMs / 1_000);
  return {
    title: `(f) A manager with ${delegates.toLocaleString('en')} delegates`,
    tables: [
      {
        caption: `The reference manager; the delegates are ${delegates} sockets in one process that send heartbeats every 10 s.`,
        head: ['what', 'found'],
        rows: [
          [
            'all connect at once, until the last is welcome',
            spread(summaryOf(storms), (value) => `${figures(value)} s`),
          ],
          ['CPU for heartbeats', `${figures(100 * cpuShare)} % of a core`],
          ['RSS with none, before any came', mebibytes(alone.rssBytes)],
          ['RSS with all', mebibytes(after.rssBytes)],
          ['peak RSS', mebibytes(after.peakRssBytes)],
        ],
      },
    ],
    targets: [],
    observations: { storms, alone, before, after },
  };
}
