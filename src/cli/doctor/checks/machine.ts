import { readFile, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../../../kit/time.ts';
import { fail, pass, skip, warn, type Finding } from '../finding.ts';
import { nearestFolder, syncedIn } from './folders.ts';

const MIB = 1_048_576;

/** The floor that package.json names. */
const LEAST_NODE = [20, 19] as const;

export function checkNode(version: string = process.versions.node): Finding {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const [leastMajor, leastMinor] = LEAST_NODE;
  const isEnough = major > leastMajor || (major === leastMajor && minor >= leastMinor);
  if (isEnough) return pass(`Node.js ${version} runs the delegate.`);
  return fail(
    `Node.js ${version} is older than the delegate needs.`,
    `Install ${leastMajor}.${leastMinor} or later, or use the container image.`,
  );
}

/** Without a task, and what one task may take while it runs. Measured values are in docs/performance.md. */
const BASE_BYTES = 128 * MIB;
const TASK_BYTES = MIB;

/** Where cgroups say how much memory this process may have: version 2, and version 1. */
const LIMIT_FILES = ['memory.max', 'memory/memory.limit_in_bytes'] as const;
/** Version 1 says "none" by a number near 2^63. */
const NO_LIMIT_FROM = 2 ** 50;

export interface Load {
  readonly capacity: number;
  readonly outboxBytes: number;
}

/** @param cgroup a parameter, because no test can limit its own memory */
export async function checkMemory(
  { capacity, outboxBytes }: Load,
  cgroup = '/sys/fs/cgroup',
): Promise<Finding> {
  const limit = await memoryLimit(cgroup);
  const wanted = BASE_BYTES + capacity * TASK_BYTES + outboxBytes;
  const forWhat = `capacity ${capacity} with its outbox wants up to ${mebibytes(wanted)}`;
  if (limit === undefined) return pass(`No memory limit is set; ${forWhat}.`);
  if (limit >= wanted) return pass(`The memory limit is ${mebibytes(limit)}; ${forWhat}.`);
  return warn(
    `The memory limit is ${mebibytes(limit)}; ${forWhat}.`,
    'Raise the limit of the container, or lower DELEGATE_CAPACITY or DELEGATE_OUTBOX_MAX_BYTES.',
  );
}

async function memoryLimit(cgroup: string): Promise<number | undefined> {
  for (const name of LIMIT_FILES) {
    const text = await readFile(join(cgroup, name), 'utf8').catch(() => '');
    const bytes = Number(text.trim());
    if (/^\d+\s*$/.test(text) && bytes > 0 && bytes < NO_LIMIT_FROM) return bytes;
  }
  return undefined;
}

/** Files, sockets of the health endpoints and to a few dozen hosts; and what a task may have open at a time. */
const BASE_DESCRIPTORS = 256;
const TASK_DESCRIPTORS = 4;

/** @param limits `/proc/self/limits`, or another text of its form */
export async function checkDescriptors(
  capacity: number,
  limits: () => Promise<string> = () => readFile('/proc/self/limits', 'utf8'),
): Promise<Finding> {
  const text = await limits().catch(() => '');
  const [, soft] = /^Max open files\s+(\d+|unlimited)/m.exec(text) ?? [];
  if (soft === undefined)
    return skip(
      'This system does not say how many files may be open.',
      'Nothing; it is known on Linux alone.',
    );
  const wanted = BASE_DESCRIPTORS + capacity * TASK_DESCRIPTORS;
  if (soft === 'unlimited' || Number(soft) >= wanted)
    return pass(`${soft} files and sockets may be open at a time.`);
  return warn(
    `${soft} files and sockets may be open at a time; capacity ${capacity} may want ${wanted}.`,
    'Raise the limit (LimitNOFILE of systemd, ulimits of a container), or lower DELEGATE_CAPACITY.',
  );
}

/** With less, the next write may fail. */
const LEAST_BYTES = 16 * MIB;
/** For the identity, the kept secrets, and segments of the journal that wait to be cleared away. */
const SPARE_BYTES = 64 * MIB;
const LEAST_FREE_FILES = 100;
/** Each task waits for the disk twice; slower than this, the disk is what a throughput is made of. */
const SLOW_SYNC_MS = 100;

export interface DiskNeed {
  readonly stateDir: string;
  /** Of journal and audit log at their bounds. */
  readonly maxBytes: number;
}

/**
 * Room and pace of the disk below the state folder. The pace is that of syncing the folder as it is: a file written
 * for the purpose would tell more, and would be a write into the folder of a delegate that may run.
 */
export async function checkDisk({ stateDir, maxBytes }: DiskNeed, clock: Clock): Promise<Finding> {
  const folder = await nearestFolder(stateDir);
  const { bavail, bsize, files, ffree } = await statfs(folder);
  const free = bavail * bsize;
  const syncMs = await syncedIn(folder, clock);
  const facts = `${mebibytes(free)} are free below ${folder}${syncMs === undefined ? '' : `, and a sync took ${syncMs} ms`}.`;
  if (free < LEAST_BYTES)
    return fail(`Only ${facts}`, 'Make room: tasks are refused while the journal cannot be written.');
  // Some file systems have no fixed number of files, and say 0 of 0.
  if (files > 0 && ffree < LEAST_FREE_FILES) {
    return fail(
      `Only ${ffree} more files can be made below ${folder}.`,
      'Make room: the file system has run out of inodes.',
    );
  }
  if (free < maxBytes + SPARE_BYTES) {
    return warn(
      `${facts} Journal and audit log may grow to ${mebibytes(maxBytes)}.`,
      'Make room, or lower DELEGATE_AUDIT_MAX_BYTES.',
    );
  }
  if (syncMs !== undefined && syncMs > SLOW_SYNC_MS) {
    return warn(facts, 'Give the state folder a local disk: each task waits for it, and this one is slow.');
  }
  return pass(facts);
}

/** For whoever reads a finding: whole mebibytes. */
function mebibytes(bytes: number): string {
  return `${Math.floor(bytes / MIB)} MiB`;
}
