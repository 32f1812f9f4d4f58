import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { PrometheusMetrics } from '../../src/observability/prometheus.ts';
import { metricsIn, OBSERVED } from '../observability/observed.ts';

/** Of what is deployed beside a delegate. */
export function deployed(path: string): { path: string; text: string } {
  const url = new URL(`../../deploy/${path}`, import.meta.url);
  return { path: fileURLToPath(url), text: readFileSync(url, 'utf8') };
}

/** Prometheus' own judge of what it reads. */
export function promtool(args: readonly string[], input = ''): { status: number | null; said: string } {
  const { status, stdout, stderr } = spawnSync('promtool', args, {
    input,
    encoding: 'utf8',
    timeout: 20_000,
  });
  return { status, said: stdout + stderr };
}

/** 2026-11-24: Debian has promtool in its package prometheus, which not every image has; .ci/run fetches it. */
export function skipWithoutPromtool(context: Mocha.Context): void {
  if (promtool(['--version']).status !== 0) context.skip();
}

const HISTOGRAM_SUFFIXES = ['_bucket', '_sum', '_count'];
/** Of Prometheus itself. */
const FOREIGN = ['up', 'ALERTS'];

/** The names of every series that a delegate has, and of those that Prometheus adds. */
export async function seriesNames(): Promise<ReadonlySet<string>> {
  const metrics = new PrometheusMetrics({
    version: '26.11.90100',
    observe: () => OBSERVED,
    codes: new Set(),
    taskNames: () => new Set(),
  });
  const names = Array.from(metricsIn(await metrics.text()), ([name, { type }]) =>
    type === 'histogram' ? HISTOGRAM_SUFFIXES.map((suffix) => name + suffix) : [name],
  );
  return new Set([...names.flat(), ...FOREIGN]);
}

/** The series that an expression names: words before a brace, a bracket or a space that look like ours, or Node's. */
export function seriesIn(expr: string): string[] {
  const words = expr.replaceAll(/"[^"]*"/g, '""').match(/\b[a-z_]+\b/g) ?? [];
  return words.filter((word) => /^(?:servicenow_delegate_|process_|nodejs_)\w+$/.test(word) || word === 'up');
}
