import { readFile } from 'node:fs/promises';

/** What Linux says of a process. */
export interface ProcessFacts {
  /** User and system time since its start. */
  readonly cpuSeconds: number;
  /** Resident memory. */
  readonly rssBytes: number;
  /** The most that it ever was. */
  readonly peakRssBytes: number;
}

/** The unit of `/proc/PID/stat`, `sysconf(_SC_CLK_TCK)`; the kernel shows user space no other on any platform of Node. */
const TICKS_PER_SECOND = 100;
const BYTES_PER_KIB = 1_024;

export async function factsOfProcess(pid: number): Promise<ProcessFacts> {
  const [stat, status] = await Promise.all([
    readFile(`/proc/${pid}/stat`, 'utf8'),
    readFile(`/proc/${pid}/status`, 'utf8'),
  ]);
  return { cpuSeconds: cpuSecondsIn(stat), ...memoryIn(status) };
}

/** @param stat text of `/proc/PID/stat`; proc(5) */
export function cpuSecondsIn(stat: string): number {
  // The name in brackets may hold anything, blanks and brackets too. The 14th and 15th field of all are the times.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

/** @param status text of `/proc/PID/status`; proc(5) */
export function memoryIn(status: string): Pick<ProcessFacts, 'rssBytes' | 'peakRssBytes'> {
  const bytes = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]) * BYTES_PER_KIB;
  return { rssBytes: bytes('VmRSS'), peakRssBytes: bytes('VmHWM') };
}
