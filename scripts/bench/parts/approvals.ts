import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { CLI, startInstance } from '../contestants.ts';
import { DelegateProcess } from '../delegate-process.ts';
import { answers } from '../messages.ts';
import type { Plan } from '../plan.ts';
import { factsOfProcess, type ProcessFacts } from '../process-facts.ts';
import { questionAbout } from '../question.ts';
import { startReferenceManager, type ReferenceManager } from '../reference-manager.ts';
import { figures, mebibytes, type PartReport } from '../report.ts';

const SIZES = {
  full: { approvals: 5_000, instances: 20, intervalMs: 30_000, polls: 2 },
  quick: { approvals: 100, instances: 2, intervalMs: 3_000, polls: 1 },
} as const;
/** As many looks at one time as a delegate may have; all approvals of an instance look together. */
const CAPACITY = 1_000;
/** Approvals that are asked for at the same time. */
const ASK_AT_ONCE = 16;
/** Until each approval has been looked at twice: from then on all those of an instance look together. */
const SETTLES_WITHIN_MS = 180_000;
const LOOK_AGAIN_MS = 200;

const anything = z.unknown();

/** What waiting costs: the reference manager, one delegate, and tickets that nobody approves. */
export async function waitingApprovals(plan: Plan): Promise<PartReport> {
  const { compiled, folder, quick, onStep } = plan;
  const { approvals, instances, intervalMs, polls } = SIZES[quick ? 'quick' : 'full'];
  await using manager = await startReferenceManager();
  const own = join(folder, 'approvals');
  await mkdir(own);
  await using instance = await startInstance(compiled, { ports: instances, state: 'New' });
  await using worker = await DelegateProcess.start({
    argv: [CLI, 'run'],
    managerUrl: manager.url,
    enrolmentToken: manager.enrolmentToken,
    folder: own,
    capacity: CAPACITY,
    secrets: Array.from({ length: instances }, (_, at) => secretOf(at)),
  });
  onStep(`${approvals} approvals are asked for`);
  const urls = await instance.urls();
  await askForAll(manager, urls, approvals, intervalMs);
  const counted = async () => await instance.ask({}, answers.instance);
  const giveUpAt = performance.now() + SETTLES_WITHIN_MS;
  while ((await counted()).tickets < 2 * approvals) {
    if (performance.now() > giveUpAt) throw new Error('the first two looks at each do not end');
    await sleep(LOOK_AGAIN_MS);
  }
  onStep(`${polls} polls, ${intervalMs / 1_000} s each`);
  const before = { instance: await counted(), ...(await facts(worker, manager)) };
  await sleep(polls * intervalMs);
  const after = { instance: await counted(), ...(await facts(worker, manager)) };
  const looks = after.instance.tickets - before.instance.tickets;
  const requests = after.instance.requests - before.instance.requests;
  const row = (name: string, was: ProcessFacts, is: ProcessFacts): string[] => [
    name,
    figures(is.cpuSeconds - was.cpuSeconds),
    figures(((is.cpuSeconds - was.cpuSeconds) * 1e6) / looks),
    mebibytes(is.rssBytes),
    mebibytes(is.peakRssBytes),
  ];
  return {
    title: `(e) ${approvals.toLocaleString('en')} approvals that wait, on ${instances} instances`,
    tables: [
      {
        caption:
          `A look at each every ${intervalMs / 1_000} s, for ${(polls * intervalMs) / 1_000} s: ` +
          `${looks.toLocaleString('en')} looks by ${requests.toLocaleString('en')} requests ` +
          `(${figures(looks / requests)} looks each).`,
        head: ['process', 'CPU s', 'CPU µs a look', 'RSS', 'peak RSS'],
        rows: [
          row('delegate', before.delegate, after.delegate),
          row('manager', before.manager, after.manager),
        ],
      },
    ],
    targets: [],
    observations: { before, after },
  };
}

async function facts(worker: DelegateProcess, manager: ReferenceManager) {
  const [ofDelegate, ofManager] = await Promise.all([
    factsOfProcess(worker.pid),
    factsOfProcess(manager.pid),
  ]);
  return { delegate: ofDelegate, manager: ofManager };
}

async function askForAll(
  { api }: ReferenceManager,
  urls: readonly string[],
  approvals: number,
  retryIntervalMs: number,
): Promise<void> {
  for (const [at, url] of urls.entries()) {
    const { connector } = questionAbout('', url, secretOf(at));
    await api.post('/api/v1/connectors', { ...connector, identifier: connectorOf(at) }, anything);
  }
  let asked = 0;
  const askOnAndOn = async (): Promise<void> => {
    while (asked < approvals) {
      const n = asked;
      asked += 1;
      const { connector: _, ...question } = questionAbout(`CHG${String(n).padStart(7, '0')}`, '');
      const approval = { ...question, connector: connectorOf(n % urls.length), retryIntervalMs };
      await api.post('/api/v1/approvals', approval, anything);
    }
  };
  await Promise.all(Array.from({ length: ASK_AT_ONCE }, askOnAndOn));
}

function connectorOf(at: number): string {
  return `instance_${at}`;
}

/** By its name in the delegate's environment. */
function secretOf(at: number): string {
  return `BENCH_PASSWORD_${at}`;
}
