import { readdirSync } from 'node:fs';
import type { Registry } from 'prom-client';
import Counter from 'prom-client/lib/counter.js';
import Gauge from 'prom-client/lib/gauge.js';
import { setIfKnown, setTotal } from './observed-gauges.ts';

const MICROSECONDS_PER_S = 1_000_000;
const MS_PER_S = 1_000;
/** One entry for each open file of this process; on Linux alone. */
const OPEN_FILES = '/proc/self/fd';

/**
 * Registers what any dashboard for Node looks for, by the names that prom-client gives it, and returns what takes a look.
 * Of prom-client's own collection the rest costs more than it tells: it follows every garbage collection, walks through
 * every open handle at each look, and can't be ended.
 */
export function processGauges(registry: Registry): () => void {
  const registers = [registry];
  const gauge = (name: string, help: string): Gauge => new Gauge({ name, help, registers });
  const counter = (name: string, help: string): Counter => new Counter({ name, help, registers });

  const cpuUser = counter('process_cpu_user_seconds_total', 'CPU time of this process, in its own code.');
  const cpuSystem = counter('process_cpu_system_seconds_total', 'CPU time of this process, in the system.');
  const cpu = counter('process_cpu_seconds_total', 'CPU time of this process.');
  const rss = gauge('process_resident_memory_bytes', 'Memory that this process has of the machine.');
  const openFiles = gauge('process_open_fds', 'Files and sockets that are open.');
  const heapTotal = gauge('nodejs_heap_size_total_bytes', 'Size of the heap of JavaScript.');
  const heapUsed = gauge('nodejs_heap_size_used_bytes', 'Used of the heap of JavaScript.');
  const external = gauge('nodejs_external_memory_bytes', 'Memory of buffers, beside the heap.');
  gauge('process_start_time_seconds', 'When this process began, since the epoch.').set(
    performance.timeOrigin / MS_PER_S,
  );

  return () => {
    const { user, system } = process.cpuUsage();
    setTotal(cpuUser, user / MICROSECONDS_PER_S);
    setTotal(cpuSystem, system / MICROSECONDS_PER_S);
    setTotal(cpu, (user + system) / MICROSECONDS_PER_S);
    const memory = process.memoryUsage();
    rss.set(memory.rss);
    heapTotal.set(memory.heapTotal);
    heapUsed.set(memory.heapUsed);
    external.set(memory.external);
    setIfKnown(openFiles, countOpenFiles());
  };
}

/** Undefined where the system does not tell. */
function countOpenFiles(): number | undefined {
  try {
    return readdirSync(OPEN_FILES).length;
  } catch {
    return undefined;
  }
}
