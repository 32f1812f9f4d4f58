import type { Observed } from '../../src/observability/observed-gauges.ts';

/** What a delegate at work looks like. */
export const OBSERVED: Observed = {
  now: Date.parse('2026-11-24T10:00:30.000Z'),
  state: {
    phase: { is: 'ready', since: '2026-11-24T09:00:00.000Z' },
    readiness: { ready: true, reason: null, checks: [] },
    manager: {
      origin: 'https://manager.example',
      session: {
        id: 'session-1',
        openedAt: '2026-11-24T09:00:00.000Z',
        ageMs: 3_630_000,
        heartbeatRttMs: 12,
        paused: false,
      },
      lastFailure: null,
      nextAttemptAt: null,
    },
    tasks: { capacity: 16, credit: 11, running: 5, list: [] },
    outbox: {
      results: 2,
      bytes: 4_711,
      oldestFinishedAt: '2026-11-24T10:00:00.000Z',
      maxResults: 1_000,
      maxBytes: 16_777_216,
    },
    journal: { writable: true },
    audit: { writable: false },
  },
  loopDelay: { meanMs: 1, p99Ms: 5, maxMs: 20 },
  instancesPaused: 3,
  stateDiskFreeBytes: 1_000_000,
  logLinesLost: 7,
};

/** A line of the text format: its name, its labels as they are written, its value. */
export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export function samplesOf(text: string): Sample[] {
  return text
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => {
      const [, name = '', labels = '', value = ''] = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
      const pairs = labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g);
      return {
        name,
        labels: Object.fromEntries(Array.from(pairs, ([, key = '', word = '']) => [key, word])),
        value: Number(value),
      };
    });
}

/** Each metric with its type and what is said of it, as `# TYPE` and `# HELP` have it. */
export function metricsIn(text: string): Map<string, { type: string; help: string }> {
  const helps = new Map(
    Array.from(text.matchAll(/^# HELP (\S+) (.*)$/gm), ([, name = '', help = '']) => [name, help]),
  );
  return new Map(
    Array.from(text.matchAll(/^# TYPE (\S+) (\S+)$/gm), ([, name = '', type = '']) => [
      name,
      { type, help: helps.get(name) ?? '' },
    ]),
  );
}
