import { compileFunction } from 'node:vm';
import { expect } from 'chai';
import { instrument, SWITCH } from '../../../scripts/mutate/instrument.ts';
import { mutantsOf } from '../../../scripts/mutate/operators.ts';

/** The source as each of its mutants would read. */
function mutated(source: string): string[] {
  return mutantsOf(source).map(
    ({ site, replacement }) => source.slice(0, site.start) + replacement + source.slice(site.end),
  );
}

describe('the mutants of a source', () => {
  const rows: Record<string, string[]> = {
    'f(a < b);': ['f((a) <= (b));', 'f((a) >= (b));'],
    'f(a === b);': ['f((a) !== (b));'],
    "f(a + 'b');": ["f(a + '');"],
    'f(a - b);': ['f((a) + (b));'],
    'f(a ?? b);': ['f((a) && (b));'],
    'f(!a);': ['f(a);'],
    'f(-1);': ['f(1);'],
    'f(true);': ['f(false);'],
    'a += 1;': ['a -= (1);'],
    'i++;': ['i--;'],
    "f('x');": ["f('');"],
    "f('');": ["f('mutant');"],
    'f(`x${y}`);': ['f(``);'],
    'f([a]);': ['f([]);'],
    'f([]);': ["f(['mutant']);"],
    'f({ a: 1 });': ['f({});'],
    'if (a) { b(); } else { c(); }': [
      'if (true) { b(); } else { c(); }',
      'if (false) { b(); } else { c(); }',
      'if (a) { b(); } else {}',
    ],
    'f(a ? b : c);': ['f(true ? b : c);', 'f(false ? b : c);'],
    'while (a) { b(); }': ['while (false) { b(); }', 'while (a) {}'],
    'for (const a of b) { c(); }': ['for (const a of b) {}'],
    'function f() { a(); b(); }': ['function f() {}'],
    'function f() { return a; }': ['function f() { return undefined; }'],
    'f(() => a);': ['f(() => undefined);'],
    'f(a.some(b));': ['f(a.every(b));'],
    'f(a.trim());': ['f(a);'],
    'f(a?.b.c);': ['f(a.b.c);'],
    'f(a?.(b)?.[c]);': ['f(a?.(b)[c]);', 'f(a(b)?.[c]);'],
    'f(/^a+[^b]\\d?$/u);': [
      'f(/a+[^b]\\d?$/u);',
      'f(/^a[^b]\\d?$/u);',
      'f(/^a+[b]\\d?$/u);',
      'f(/^a+[^b]\\D?$/u);',
      'f(/^a+[^b]\\d$/u);',
      'f(/^a+[^b]\\d?/u);',
    ],
  };
  for (const [source, mutants] of Object.entries(rows)) {
    it(source, () => {
      expect(mutated(source)).to.deep.equal(mutants);
    });
  }

  it('are none of what is gone when the code runs, or only names something', () => {
    for (const source of [
      "import { a } from './a.ts';",
      "export * from './a.ts';",
      "type A = 'x' | true;",
      "interface A { b: 'x'[] }",
      "const a = b as 'x';",
      'f`x`;',
    ]) {
      expect(mutated(source), source).to.deep.equal([]);
    }
    expect(mutated("f({ 'a-b': 1 });")).to.deep.equal(['f({});']);
    expect(mutated("f({ ['a']: 1 });")).to.deep.equal(['f({});', "f({ ['']: 1 });"]);
  });

  it('know their line', () => {
    expect(mutantsOf('\nf();\nf(true);').map(({ line }) => line)).to.deep.equal([3]);
  });
});

describe('an instrumented source', () => {
  const SOURCE = `
    const table = { half: (n) => n / 2, text: \`\${[1, 2].map((n) => n + 1).join('-')}!\` };
    const both = (a, b) => (a < 10 && b?.deep.value !== 'x' ? 'yes' : 'no');
    let result = '';
    for (const n of [4, 20]) { if (n > 5) { result += both(n, { deep: { value: 'x' } }); } else { result += table.half(n); } }
    result + table.text + both(1, undefined);
  `;
  const mutants = mutantsOf(SOURCE);

  /** What comes out if one mutant is switched on; the switches that were asked are noted. */
  function outcome(source: string, active?: number): { value: string; asked: Set<number> } {
    const asked = new Set<number>();
    const isActive = (number: number): boolean => {
      asked.add(number);
      return number === active;
    };
    const body = source.trimEnd().replace(/\n([^\n]*)$/, '\nreturn $1');
    const run: unknown = compileFunction(body, [SWITCH]);
    try {
      return { value: typeof run === 'function' ? String(run(isActive)) : '', asked };
    } catch (error) {
      return { value: String(error), asked };
    }
  }

  it('does what the source does while no mutant is on, and asks for every one that it passes', () => {
    const { value, asked } = outcome(instrument(SOURCE, mutants, 100));
    expect(value).to.equal(outcome(SOURCE).value).and.to.equal('2no2-3!yes');
    expect([...asked].sort((a, b) => a - b)).to.deep.equal(mutants.map((_, index) => 100 + index));
  });

  it('does what the mutant does while that is on, whatever lies inside what', () => {
    const instrumented = instrument(SOURCE, mutants, 100);
    for (const [index, { site, replacement, original }] of mutants.entries()) {
      const alone = SOURCE.slice(0, site.start) + replacement + SOURCE.slice(site.end);
      expect(outcome(instrumented, 100 + index).value, `${original} to ${replacement}`).to.equal(
        outcome(alone).value,
      );
    }
  });
});
