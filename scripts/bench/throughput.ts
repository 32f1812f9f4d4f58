import type { Contestant } from './contestants.ts';
import type { LoadSample } from './messages.ts';
import type { Plan } from './plan.ts';
import { factsOfProcess } from './process-facts.ts';

/** One contestant under one load, once. */
export interface Observation extends LoadSample {
  /** Of the process that does the work, for each task, microseconds. */
  readonly cpuMicros: number;
}

/** How long one contestant is under load before, and while, it is measured. */
const TIMES = {
  full: { warmUpMs: 1_000, measureMs: 2_000 },
  quick: { warmUpMs: 200, measureMs: 300 },
} as const;

export interface Loads {
  readonly inFlight: readonly number[];
  /** Longer or shorter than usual. */
  readonly measureMs?: number | undefined;
}

/** Observations by contestant and load, one for each repetition. */
export type Throughput = ReadonlyMap<string, ReadonlyMap<number, readonly Observation[]>>;

/**
 * Each contestant in turn, and this as often as it is to be repeated: what the machine does meanwhile meets all of them.
 * They all run all the time, but only one of them has work.
 */
export async function measureThroughput(
  contestants: ReadonlyMap<string, Contestant>,
  loads: Loads,
  { quick, repetitions, onStep }: Plan,
): Promise<Throughput> {
  const usual = TIMES[quick ? 'quick' : 'full'];
  const times = { ...usual, measureMs: loads.measureMs ?? usual.measureMs };
  const observed = new Map([...contestants.keys()].map((name) => [name, new Map<number, Observation[]>()]));
  for (const inFlight of loads.inFlight) {
    for (let repetition = 1; repetition <= repetitions; repetition += 1) {
      for (const [name, contestant] of contestants) {
        onStep(`${name}, ${inFlight} in flight, ${repetition} of ${repetitions}`);
        const observation = await observe(contestant, inFlight, times);
        const ofOne = observed.get(name);
        ofOne?.set(inFlight, [...(ofOne.get(inFlight) ?? []), observation]);
      }
    }
  }
  return observed;
}

/** The warm-up is a load of its own, so that the time of the processor is that of what is measured. */
async function observe(
  contestant: Contestant,
  inFlight: number,
  { warmUpMs, measureMs }: { readonly warmUpMs: number; readonly measureMs: number },
): Promise<Observation> {
  await contestant.load({ inFlight, until: { ms: warmUpMs } });
  const before = await factsOfProcess(contestant.pid);
  const sample = await contestant.load({ inFlight, until: { ms: measureMs } });
  const after = await factsOfProcess(contestant.pid);
  return { ...sample, cpuMicros: ((after.cpuSeconds - before.cpuSeconds) * 1e6) / sample.tasks };
}

/** Results in a second, in the order of the repetitions. */
export function ratesOf(observations: readonly Observation[]): number[] {
  return observations.map(({ tasks, seconds }) => tasks / seconds);
}
