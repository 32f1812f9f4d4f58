import type { Summary } from './statistics.ts';

/** What one part of the bench has found, as people and programs read it. */
export interface PartReport {
  readonly title: string;
  /** What its reader has to know first. */
  readonly caveat?: string;
  readonly tables: readonly Table[];
  readonly targets: readonly Target[];
  /** Every observation, for programs. */
  readonly observations: unknown;
}

export interface Table {
  /** What the rows are, in a sentence. */
  readonly caption: string;
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** A bound that was set before anything was measured. */
export interface Target {
  readonly what: string;
  readonly wanted: string;
  readonly got: string;
  readonly met: boolean;
}

export type Bound = { readonly atLeast: number } | { readonly atMost: number };

/** A bound that a number must keep to, from one side. */
export function target(what: string, got: number, bound: Bound, shown: (value: number) => string): Target {
  return 'atLeast' in bound
    ? { what, wanted: `≥ ${shown(bound.atLeast)}`, got: shown(got), met: got >= bound.atLeast }
    : { what, wanted: `≤ ${shown(bound.atMost)}`, got: shown(got), met: got <= bound.atMost };
}

/** In Markdown, with its heading. */
export function partText({ title, caveat, tables }: PartReport): string {
  return [`## ${title}`, ...(caveat === undefined ? [] : [caveat]), ...tables.map(tableText)].join('\n\n');
}

/** In Markdown. */
export function tableText({ caption, head, rows }: Table): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [
    caption,
    '',
    line(head),
    line(head.map((_, at) => (at === 0 ? '---' : '--:'))),
    ...rows.map(line),
  ].join('\n');
}

/** @param quick of a run whose numbers say little, which its reader must not miss */
export function targetsTable(targets: readonly Target[], quick = false): Table {
  return {
    caption: quick ? 'Targets, of which a quick run says nothing: it measures cold code.' : 'Targets:',
    head: ['what', 'target', 'found', ''],
    rows: targets.map(({ what, wanted, got, met }) => [what, wanted, got, met ? 'met' : '**missed**']),
  };
}

/** The median, and between which values the repetitions lie. */
export function spread({ median, least, most }: Summary, shown: (value: number) => string): string {
  return least === most ? shown(median) : `${shown(median)} (${shown(least)}–${shown(most)})`;
}

/** Three figures that count, and thousands apart: 12,300; 4.57; 0.0312. */
export function figures(value: number): string {
  return value.toLocaleString('en', { maximumSignificantDigits: 3 });
}

export function mebibytes(bytes: number): string {
  return `${(bytes / 1_048_576).toFixed(1)} MiB`;
}
