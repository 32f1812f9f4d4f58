import { seededRandom, type Random } from '../support/random.ts';
import type { Work } from './work.ts';

/** What one seed does to the world. Made before it begins, from the seed alone; every time is the world's own. */
export interface Plan {
  readonly seed: number;
  readonly delegates: readonly DelegatePlan[];
  readonly tasks: readonly TaskPlan[];
  /** In order of time. */
  readonly faults: readonly Fault[];
  /** What the line does to single frames, besides the faults. */
  readonly mischief: MischiefRates;
  /** After this nothing new goes wrong. */
  readonly lastsMs: number;
}

export interface DelegatePlan {
  readonly name: string;
  readonly capacity: number;
}

export interface TaskPlan {
  /** Unique; the task's input carries it, and so do its lines in the ledger. */
  readonly key: string;
  readonly atMs: number;
  readonly work: Work;
  readonly timeoutMs: number;
  /** Undefined: nobody cancels it. */
  readonly cancelAtMs: number | undefined;
}

/** Faults of a process: `leave` is SIGTERM for a delegate, drain and close for the manager. */
const PROCESS_FAULTS = ['kill', 'freeze', 'leave'] as const;
/** Faults of the line between a delegate and the manager. */
const LINE_FAULTS = [
  'cut',
  'end',
  'half-close',
  'black-hole',
  'stall',
  'delay',
  'dribble',
  'refuse',
  'silence',
  'duplicate',
] as const;

/** Those that go on for a while; the others are over at once. */
const LASTING: ReadonlySet<LineFault> = new Set([
  'black-hole',
  'stall',
  'delay',
  'dribble',
  'refuse',
  'silence',
]);

type ProcessFault = (typeof PROCESS_FAULTS)[number];
export type LineFault = (typeof LINE_FAULTS)[number];
export type Toward = 'manager' | 'delegate';

export type Fault =
  | {
      readonly atMs: number;
      /** A delegate's name, or `manager`. */
      readonly on: string;
      readonly what: ProcessFault;
      /** How long it is frozen or down. */
      readonly forMs: number;
    }
  | {
      readonly atMs: number;
      /** The delegate whose line it is. */
      readonly on: string;
      readonly what: LineFault;
      readonly toward: Toward;
      readonly forMs: number;
    };

/** Probabilities, each for one frame that it may happen to. */
export interface MischiefRates {
  /** A frame comes twice in a row. */
  readonly twice: number;
  /** A frame comes after the one that followed it. */
  readonly swapped: number;
  /** An assign of some time ago, perhaps of an earlier session, comes again. */
  readonly replayed: number;
}

const NAMES = ['eu-1', 'eu-2', 'us-1'];
const MIN_DELEGATES = 2;
export const MAX_DELEGATES = NAMES.length;

const MINUTE_MS = 60_000;
/** The manager's default; faults are sized by it. */
const LEASE_MS = 30_000;

/** A pure function: the same seed and size give the same plan. */
export function planOf(seed: number, size: { tasks: number; lastsMs: number }): Plan {
  const { lastsMs } = size;
  const random = seededRandom(seed);
  const delegates = NAMES.slice(0, random.between(MIN_DELEGATES, MAX_DELEGATES)).map((name) => ({
    name,
    capacity: random.between(4, 16),
  }));
  const faults = [
    ...timeline(random.fork(), 'manager', processFault, { lastsMs, leastGapMs: 20_000, mostGapMs: 100_000 }),
    ...delegates.flatMap(({ name }) => [
      ...timeline(random.fork(), name, processFault, { lastsMs, leastGapMs: 5_000, mostGapMs: 60_000 }),
      ...timeline(random.fork(), name, lineFault, { lastsMs, leastGapMs: 3_000, mostGapMs: 40_000 }),
    ]),
  ];
  return {
    seed,
    delegates,
    tasks: Array.from({ length: size.tasks }, (_, index) =>
      taskOf(random.fork(), `${seed}-${index}`, lastsMs),
    ),
    faults: faults.toSorted((a, b) => a.atMs - b.atMs),
    mischief: {
      // Rare: a copy that the manager has not sent shifts the credit of its session, and assigns are refused for it.
      twice: random.pick([0, 0.02, 0.05]),
      swapped: random.pick([0, 0.05, 0.2]),
      replayed: random.pick([0, 0.03, 0.1]),
    },
    lastsMs,
  };
}

/** One after the other, never two on the same thing: each begins some time after the one before is over. */
function timeline(
  random: Random,
  on: string,
  draw: (random: Random, on: string, atMs: number) => Fault,
  span: { lastsMs: number; leastGapMs: number; mostGapMs: number },
): Fault[] {
  const faults: Fault[] = [];
  let atMs = random.int(span.mostGapMs);
  while (atMs < span.lastsMs) {
    const drawn = draw(random, on, atMs);
    const fault = { ...drawn, forMs: Math.min(drawn.forMs, span.lastsMs - atMs) };
    faults.push(fault);
    atMs += fault.forMs + random.between(span.leastGapMs, span.mostGapMs);
  }
  return faults;
}

function processFault(random: Random, on: string, atMs: number): Fault {
  const what = random.pick(PROCESS_FAULTS);
  if (what === 'freeze') return { atMs, on, what, forMs: leases(random, 0.2, 3) };
  // A third of them come back at once.
  return { atMs, on, what, forMs: random.chance(1 / 3) ? 0 : leases(random, 0, 2) };
}

function lineFault(random: Random, on: string, atMs: number): Fault {
  const what = random.pick(LINE_FAULTS);
  const toward = random.pick(['manager', 'delegate'] as const);
  return { atMs, on, what, toward, forMs: LASTING.has(what) ? leases(random, 0.1, 2.5) : 0 };
}

function taskOf(random: Random, key: string, lastsMs: number): TaskPlan {
  const atMs = random.int(lastsMs);
  const work = random.chance(0.6) ? appendWork(random) : readWork(random);
  return {
    key,
    atMs,
    work,
    timeoutMs: random.chance(0.1) ? random.between(500, 10_000) : MINUTE_MS,
    cancelAtMs: random.chance(0.05) ? atMs + random.int(20_000) : undefined,
  };
}

function appendWork(random: Random): Work {
  return {
    name: 'ledger.append',
    beforeMs: random.int(3_000),
    afterMs: random.int(3_000),
    end: pickWeighted(random, { succeeds: 0.9, refused: 0.05, ambiguous: 0.05 }),
  };
}

function readWork(random: Random): Work {
  return {
    name: 'ledger.read',
    takesMs: random.int(8_000),
    end: pickWeighted(random, { succeeds: 0.8, large: 0.1, fails: 0.1 }),
    deaf: random.chance(0.1),
  };
}

function pickWeighted<K extends string>(random: Random, weights: Readonly<Record<K, number>>): K {
  const total = Object.values<number>(weights).reduce((sum, weight) => sum + weight, 0);
  let left = random.random() * total;
  let last: K | undefined;
  for (const key in weights) {
    last = key;
    left -= weights[key];
    if (left < 0) return key;
  }
  if (last === undefined) throw new RangeError('there is nothing to pick from');
  return last;
}

function leases(random: Random, least: number, most: number): number {
  return Math.round((least + random.random() * (most - least)) * LEASE_MS);
}

/** For people, one line for each fault. */
export function describePlan(plan: Plan): string {
  const { twice, swapped, replayed } = plan.mischief;
  return [
    `delegates: ${plan.delegates.map(({ name, capacity }) => `${name} (capacity ${capacity})`).join(', ')}; tasks: ${plan.tasks.length}`,
    `frames: twice ${twice}, swapped ${swapped}, replayed ${replayed}`,
    ...plan.faults.map(describeFault),
  ].join('\n');
}

function describeFault(fault: Fault): string {
  const { atMs, on, what, forMs } = fault;
  const toward = 'toward' in fault ? ` toward ${fault.toward}` : '';
  const lasts = forMs === 0 ? '' : `, ${seconds(forMs)}`;
  return `${seconds(atMs).padStart(8)}  ${on.padEnd(7)}  ${what}${toward}${lasts}`;
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}
