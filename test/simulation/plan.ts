import type { Random } from '../support/random.ts';
import type { Hearing } from './connection.ts';
import { DISK_FAULTS, type Crash, type DiskFault } from './disk.ts';
import type { TaskName, Work } from './ledger.ts';
import { MAX_FRAME_BYTES } from './manager-machine.ts';
import { drawHearing } from './network.ts';
import type { Direction } from './pipe.ts';

/** One task that is submitted to the manager. */
export interface PlannedTask {
  readonly label: string;
  readonly atMs: number;
  readonly name: TaskName;
  readonly work: Work;
  readonly timeoutMs: number;
  /** Undefined for one that nobody cancels. */
  readonly cancelAtMs: number | undefined;
}

/** One thing that goes wrong, or that an operator does. `who` is the number of a delegate; times are milliseconds. */
export type Fault =
  | {
      readonly is: 'kill-delegate';
      readonly who: number;
      readonly crash: Crash;
      readonly backAfterMs: number;
    }
  | {
      readonly is: 'stop-delegate';
      readonly who: number;
      readonly graceMs: number;
      readonly backAfterMs: number;
    }
  | { readonly is: 'freeze-delegate'; readonly who: number; readonly forMs: number }
  | { readonly is: 'step-clock'; readonly who: number; readonly byMs: number }
  | { readonly is: 'disk'; readonly who: number; readonly fault: DiskFault; readonly forMs: number }
  | { readonly is: 'cut'; readonly who: number; readonly hearing: Hearing }
  | {
      readonly is: 'black-hole';
      readonly who: number;
      readonly directions: readonly Direction[];
      readonly forMs: number;
    }
  | { readonly is: 'slow-line'; readonly who: number; readonly latencyMs: number; readonly forMs: number }
  | { readonly is: 'kill-manager'; readonly backAfterMs: number }
  | { readonly is: 'freeze-manager'; readonly forMs: number }
  | { readonly is: 'drain'; readonly reconnectAfterMs: number }
  | { readonly is: 'pause'; readonly forMs: number };

interface PlannedFault {
  readonly atMs: number;
  readonly fault: Fault;
}

/** Everything that chance decides about one world before it begins. */
export interface Plan {
  readonly delegates: readonly { readonly capacity: number }[];
  readonly tasks: readonly PlannedTask[];
  readonly faults: readonly PlannedFault[];
  /** Chance that a frame which may be repeated, or moved, is. */
  readonly mischiefRate: number;
  /** Chance that a connection breaks while it is being opened, or soon after. */
  readonly flakyDialRate: number;
  /** When the last task has been submitted and the last fault has been made; then everything heals. */
  readonly healAtMs: number;
}

const MEAN_TASK_INTERVAL_MS = 3_000;
const MEAN_FAULT_INTERVAL_MS = 9_000;
const MAX_PAUSE_MS = 60_000;
const HOUR_MS = 3_600_000;
/** The manager holds a longer line than this for dead. */
const MAX_FREEZE_MS = 90_000;

export function makePlan(random: Random, tasks: number): Plan {
  const durationMs = tasks * MEAN_TASK_INTERVAL_MS;
  const delegates = Array.from({ length: random.between(1, 3) }, () => ({ capacity: random.between(2, 6) }));
  const faultCount = random.between(0, Math.ceil((2 * durationMs) / MEAN_FAULT_INTERVAL_MS));
  return {
    delegates,
    tasks: Array.from({ length: tasks }, (_, index) =>
      makeTask(random, `t${index + 1}`, random.int(durationMs)),
    ),
    faults: Array.from({ length: faultCount }, () => ({
      atMs: random.int(durationMs),
      fault: makeFault(random, random.int(delegates.length)),
    })),
    mischiefRate: random.pick([0, 0, 0.02, 0.15]),
    flakyDialRate: random.pick([0, 0, 0.3]),
    healAtMs: durationMs,
  };
}

function makeTask(random: Random, label: string, atMs: number): PlannedTask {
  const name: TaskName = random.pick([
    'sim.read',
    'sim.read',
    'sim.write',
    'sim.write',
    'sim.write',
    'sim.hung',
  ]);
  return {
    label,
    atMs,
    name,
    work: {
      task: label,
      beforeMs: random.int(random.pick([10, 500, 500, 8_000, 40_000])),
      afterMs: random.int(random.pick([10, 10, 500, 8_000])),
      ends: random.pick(['well', 'well', 'well', 'well', 'refused-before', 'answer-lost']),
      outputBytes: random.chance(0.1) ? random.between(1_000, 2 * MAX_FRAME_BYTES) : 10,
    },
    timeoutMs: random.pick([2_000, 20_000, 60_000, 120_000]),
    cancelAtMs: random.chance(0.1) ? atMs + random.int(20_000) : undefined,
  };
}

function makeFault(random: Random, who: number): Fault {
  const forMs = random.between(100, MAX_PAUSE_MS);
  const makers: (() => Fault)[] = [
    () => ({
      is: 'kill-delegate',
      who,
      crash: { is: random.pick(['killed', 'killed', 'power-cut']), flipsByte: random.chance(0.1) },
      backAfterMs: random.int(random.pick([200, 5_000, MAX_PAUSE_MS])),
    }),
    () => ({ is: 'stop-delegate', who, graceMs: random.int(30_000), backAfterMs: random.int(20_000) }),
    () => ({ is: 'freeze-delegate', who, forMs: random.int(MAX_FREEZE_MS) }),
    () => ({ is: 'step-clock', who, byMs: random.between(-HOUR_MS, HOUR_MS) }),
    () => ({ is: 'disk', who, fault: random.pick(DISK_FAULTS), forMs }),
    () => ({ is: 'cut', who, hearing: drawHearing(random) }),
    () => ({
      is: 'black-hole',
      who,
      directions: random.pick([['toManager'], ['toDelegate'], ['toManager', 'toDelegate']] as const),
      forMs,
    }),
    () => ({ is: 'slow-line', who, latencyMs: random.int(8_000), forMs }),
    () => ({ is: 'kill-manager', backAfterMs: random.int(random.pick([200, 5_000, MAX_PAUSE_MS])) }),
    () => ({ is: 'freeze-manager', forMs: random.int(MAX_FREEZE_MS) }),
    () => ({ is: 'drain', reconnectAfterMs: random.int(20_000) }),
    () => ({ is: 'pause', forMs: random.int(30_000) }),
  ];
  return random.pick(makers)();
}
