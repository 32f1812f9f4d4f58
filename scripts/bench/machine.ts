import { mkdtemp, open, readFile, rm, statfs } from 'node:fs/promises';
import { availableParallelism, cpus, loadavg, totalmem } from 'node:os';
import { join } from 'node:path';
import { median } from './statistics.ts';
import { mebibytes, type Table } from './report.ts';

/** On what it was measured. */
export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly kernel: string;
  readonly node: string;
  /** Where the state folders were. */
  readonly fileSystem: string;
  /** A write of 1 KiB and its fdatasync there, the median, microseconds: a promise of a journal can't be faster. */
  readonly syncMicros: number;
  /** Of a minute, before the start: of a machine that has nothing else to do, about 0. */
  readonly loadBefore: number;
}

const SYNCS = 100;
/** `f_type` of statfs(2). */
const FILE_SYSTEMS: Readonly<Record<number, string>> = {
  0xef53: 'ext4',
  0x58465342: 'xfs',
  0x9123683e: 'btrfs',
  0x01021994: 'tmpfs',
  0x794c7630: 'overlayfs',
};

export async function factsOfMachine(folder: string): Promise<Machine> {
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: availableParallelism(),
    memoryBytes: totalmem(),
    kernel: (await readFile('/proc/sys/kernel/osrelease', 'utf8')).trim(),
    node: process.version,
    fileSystem: (await fileSystemOf(folder)) ?? 'unknown',
    syncMicros: await syncMicrosIn(folder),
    loadBefore: loadavg()[0] ?? 0,
  };
}

/** Undefined for one that has no name here, and where the path does not exist. */
export async function fileSystemOf(path: string): Promise<string | undefined> {
  try {
    return FILE_SYSTEMS[(await statfs(path)).type];
  } catch {
    return undefined;
  }
}

async function syncMicrosIn(folder: string): Promise<number> {
  const own = await mkdtemp(join(folder, 'sync-'));
  const file = await open(join(own, 'file'), 'w');
  try {
    const bytes = Buffer.alloc(1_024);
    const took: number[] = [];
    for (let n = 0; n < SYNCS; n += 1) {
      const from = performance.now();
      await file.write(bytes);
      await file.datasync();
      took.push((performance.now() - from) * 1_000);
    }
    return median(took);
  } finally {
    await file.close();
    await rm(own, { recursive: true });
  }
}

export function machineTable(machine: Machine): Table {
  const { cpu, cores, memoryBytes, kernel, node, fileSystem, syncMicros, loadBefore } = machine;
  return {
    caption: 'Machine:',
    head: ['processor', 'cores', 'memory', 'Linux', 'Node', 'state folders on', 'load before'],
    rows: [
      [
        cpu,
        String(cores),
        mebibytes(memoryBytes),
        kernel,
        node,
        `${fileSystem}, fdatasync ${Math.round(syncMicros)} µs`,
        loadBefore.toFixed(2),
      ],
    ],
  };
}
