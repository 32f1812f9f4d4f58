import { readFile, readlink } from 'node:fs/promises';
import { hostname } from 'node:os';
import { z } from 'zod';
import { systemCode } from '../../kit/errors.ts';

/** What tells one process from every other. Null where the system does not say. */
export const processFactsSchema = z.object({
  platform: z.string(),
  /** For people: two containers can have the same. */
  hostName: z.string(),
  pid: z.int().positive(),
  /** Clock ticks from boot to its start: a pid is used again, but not with the same start. */
  startTime: z.string().nullable(),
  /** Another one after each boot of the kernel, and for each kernel. */
  bootId: z.string().nullable(),
  /** Within one, pids are unique. As long as a process lives in it, no other on this kernel has this name. */
  pidNamespace: z.string().nullable(),
});

export type ProcessFacts = z.infer<typeof processFactsSchema>;

/** Whether a process still exists; a stopped one does. `unknown`: it may be somewhere we can't look. */
export type Existence = 'alive' | 'gone' | 'unknown';

/** The facts of this process. */
export async function whoAmI(): Promise<ProcessFacts> {
  const nothing = { startTime: null, bootId: null, pidNamespace: null };
  const facts = { platform: process.platform, hostName: hostname(), pid: process.pid, ...nothing };
  try {
    const [stat, bootId, pidNamespace] = await Promise.all([
      readFile('/proc/self/stat', 'utf8'),
      readFile('/proc/sys/kernel/random/boot_id', 'utf8'),
      readlink('/proc/self/ns/pid'),
    ]);
    const self = parseStat(stat);
    // A /proc of another namespace, the host's for one, would answer for other processes than ours.
    if (self?.pid !== process.pid) return facts;
    return { ...facts, startTime: self.startTime, bootId: bootId.trim(), pidNamespace };
  } catch {
    // Not Linux, or a sandbox that hides some of it: then nothing is known, which is what `facts` says.
    return facts;
  }
}

/** Whether the process that `other` describes exists, as seen from the process that `me` describes. */
export async function existenceOf(other: ProcessFacts, me: ProcessFacts): Promise<Existence> {
  if (me.bootId !== null && me.pidNamespace !== null && other.startTime !== null) {
    const samePids = other.bootId === me.bootId && other.pidNamespace === me.pidNamespace;
    return samePids ? await existenceByProc(other.pid, other.startTime) : 'unknown';
  }
  // On Linux the same host name proves nothing, because every container of a pod has it.
  const sameHost =
    me.platform !== 'linux' && other.platform === me.platform && other.hostName === me.hostName;
  return sameHost && !hasPid(other.pid) ? 'gone' : 'unknown';
}

/** Those that may read the lock file, its user and root, see that user's processes even where `hidepid` is set. */
async function existenceByProc(pid: number, startTime: string): Promise<Existence> {
  try {
    const process = parseStat(await readFile(`/proc/${pid}/stat`, 'utf8'));
    if (process === undefined) return 'unknown';
    return process.startTime === startTime && !process.ended ? 'alive' : 'gone';
  } catch (thrown) {
    const code = systemCode(thrown);
    // ESRCH: it ended between the opening and the reading.
    return code === 'ENOENT' || code === 'ESRCH' ? 'gone' : 'unknown';
  }
}

function hasPid(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (thrown) {
    // EPERM: there is one, of another user.
    return systemCode(thrown) !== 'ESRCH';
  }
}

export interface ProcessStat {
  readonly pid: number;
  /** Dead, but not yet waited for by its parent, which may never do so. */
  readonly ended: boolean;
  readonly startTime: string;
}

/** State and start are fields 3 and 22 of proc_pid_stat(5). */
const FIELDS_FROM_STATE_TO_START = 22 - 3;
const ENDED_STATES: readonly (string | undefined)[] = ['Z', 'X', 'x'];

/** Reads `/proc/PID/stat`; undefined if that has another form. */
export function parseStat(text: string): ProcessStat | undefined {
  // The name of the program is the second field, and may itself hold spaces and brackets.
  const nameStart = text.indexOf('(');
  const nameEnd = text.lastIndexOf(')');
  const pid = Number(text.slice(0, Math.max(0, nameStart)));
  const fields = text
    .slice(nameEnd + 1)
    .trim()
    .split(' ');
  const startTime = fields[FIELDS_FROM_STATE_TO_START];
  if (nameStart < 0 || !Number.isSafeInteger(pid) || pid <= 0) return undefined;
  if (startTime === undefined || !/^\d+$/.test(startTime)) return undefined;
  return { pid, ended: ENDED_STATES.includes(fields[0]), startTime };
}
