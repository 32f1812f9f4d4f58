import type { Mutant, Span } from './operators.ts';

/** The name by which an instrumented source asks whether a mutant is switched on. */
export const SWITCH = '$mutant';

/**
 * The source with all its mutants in it, each behind `$mutant(number)`: parsed and bundled once, run as any of
 * them.
 *
 * @param mutants as `mutantsOf` gives them
 * @param firstNumber the number of the first mutant; the others follow
 */
export function instrument(source: string, mutants: readonly Mutant[], firstNumber: number): string {
  const sites = new Map<string, Site>();
  for (const [index, { site, replacement }] of mutants.entries()) {
    const key = `${site.start}-${site.end}`;
    const known = sites.get(key) ?? { ...site, choices: [] };
    known.choices.push({ number: firstNumber + index, replacement });
    sites.set(key, known);
  }
  // Outer sites before the inner ones that begin at the same place.
  const ordered = [...sites.values()].sort((a, b) => a.start - b.start || b.end - a.end);
  return withSwitches(source, { start: 0, end: source.length }, ordered);
}

interface Site extends Span {
  readonly kind: Mutant['site']['kind'];
  readonly choices: { readonly number: number; readonly replacement: string }[];
}

function withSwitches(source: string, { start, end }: Span, sites: readonly Site[]): string {
  let text = '';
  let at = start;
  for (const site of sites) {
    // One that lies inside a site before it was written together with that one.
    if (site.start < at) continue;
    const inner = sites.filter(
      (other) => other !== site && other.start >= site.start && other.end <= site.end,
    );
    text += source.slice(at, site.start) + switched(site, withSwitches(source, site, inner));
    at = site.end;
  }
  return text + source.slice(at, end);
}

function switched({ kind, choices }: Site, original: string): string {
  const chosen = choices.map(({ number, replacement }) =>
    kind === 'block'
      ? `if (${SWITCH}(${number})) ${replacement} else `
      : `${SWITCH}(${number}) ? (${replacement}) : `,
  );
  return kind === 'block' ? `{ ${chosen.join('')}${original} }` : `(${chosen.join('')}(${original}))`;
}
