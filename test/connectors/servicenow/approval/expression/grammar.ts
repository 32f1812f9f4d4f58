import { readFileSync } from 'node:fs';
import * as fc from 'fast-check';

/**
 * The grammar of docs/expressions.md, read from there, as something that makes expressions and as something that
 * recognises them. Neither knows the parser.
 */

export type Rule =
  | { readonly is: 'terminal'; readonly text: string }
  | { readonly is: 'name'; readonly name: string }
  | { readonly is: 'sequence' | 'choice'; readonly parts: readonly Rule[] }
  | { readonly is: 'any number of' | 'perhaps'; readonly part: Rule }
  /** `? … ?`: described in words. */
  | { readonly is: 'described' };

export type Grammar = ReadonlyMap<string, Rule>;

const DOCUMENT = readFileSync(new URL('../../../../../docs/expressions.md', import.meta.url), 'utf8');

/** What may have space around it. */
export const SENTENCES = grammarOf('sentences');

/** What may not. */
export const WORDS = grammarOf('words');

/** A text that says the moment or the number that an order needs. */
const MOMENT = /^\s*(?:[+-]?\d{1,15}|\d{4}-\d{2}-\d{2}(?: \d{2}:\d{2}:\d{2})?)\s*$/;

interface Described {
  readonly example: fc.Arbitrary<string>;
  /** One that begins here, as its length. */
  readonly length: (source: string, at: number) => number | undefined;
}

function oneCharacter(pattern: RegExp, example: fc.Arbitrary<string>): Described {
  return { example, length: (source, at) => (pattern.test(source.charAt(at)) ? 1 : undefined) };
}

const DESCRIBED: Readonly<Record<string, Described>> = {
  letter: oneCharacter(/[a-z]/, fc.constantFrom('a', 'k', 'z')),
  digit: oneCharacter(/[0-9]/, fc.constantFrom('0', '5', '9')),
  hex: oneCharacter(/[0-9a-fA-F]/, fc.constantFrom('0', '9', 'a', 'F')),
  plain: oneCharacter(
    /[^"'\\\n]/,
    fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }).map((text) => text.replace(/["'\\\n<]/, '+')),
  ),
  moment: {
    example: fc.constantFrom('"3"', "' -4 '", '"2026-01-01"', "'2026-01-01 10:00:00'"),
    length(source, at) {
      const [whole, , text = ''] = /^(["'])(.*?)\1/.exec(source.slice(at)) ?? [];
      return whole !== undefined && MOMENT.test(text) ? whole.length : undefined;
    },
  },
};

// --- reading ----------------------------------------------------------------------------------------------

function grammarOf(kind: string): Grammar {
  const [, body = ''] = new RegExp(`^\`\`\`ebnf ${kind}\\n(.*?)^\`\`\`$`, 'ms').exec(DOCUMENT) ?? [];
  const tokens = body.match(/"[^"]+"|'[^']+'|\?[^?]+\?|[a-z]+|[=|,;{}[\]()]/g) ?? [];
  const rules = new Map<string, Rule>();
  let at = 0;
  const next = (expected?: string): string => {
    const token = tokens[at];
    at += 1;
    if (token === undefined || (expected !== undefined && token !== expected)) {
      throw new SyntaxError(`${expected ?? 'more'} is expected after ${tokens.slice(0, at - 1).join(' ')}`);
    }
    return token;
  };
  const separated = (separator: string, part: () => Rule): Rule[] => {
    const parts = [part()];
    while (tokens[at] === separator) {
      next();
      parts.push(part());
    }
    return parts;
  };
  const enclosed = (end: string): Rule => {
    const rule = choice();
    next(end);
    return rule;
  };
  const item = (): Rule => {
    const token = next();
    if (token === '(') return enclosed(')');
    if (token === '{') return { is: 'any number of', part: enclosed('}') };
    if (token === '[') return { is: 'perhaps', part: enclosed(']') };
    if (token.startsWith('?')) return { is: 'described' };
    return /^["']/.test(token) ? { is: 'terminal', text: token.slice(1, -1) } : { is: 'name', name: token };
  };
  const sequence = (): Rule => oneOrMany('sequence', separated(',', item));
  const choice = (): Rule => oneOrMany('choice', separated('|', sequence));
  while (at < tokens.length) {
    const name = next();
    next('=');
    rules.set(name, choice());
    next(';');
  }
  return rules;
}

function oneOrMany(is: 'sequence' | 'choice', parts: readonly Rule[]): Rule {
  const [only] = parts;
  return only !== undefined && parts.length === 1 ? only : { is, parts };
}

// --- making -----------------------------------------------------------------------------------------------

type Tokens = readonly string[];

/** An expression as its tokens, made by the productions; `patterns` are the texts that `pattern` stands for. */
export function sentences(patterns: fc.Arbitrary<string>): fc.Arbitrary<Tokens> {
  const depthIdentifier = fc.createDepthIdentifier();
  const { expression } = fc.letrec<Record<string, Tokens>>((tie) => {
    const arbitraryOf = (rule: Rule, name: string): fc.Arbitrary<Tokens> => {
      switch (rule.is) {
        case 'terminal':
          return fc.constant([rule.text]);
        case 'name':
          return tie(rule.name);
        case 'sequence':
          return fc.tuple(...rule.parts.map((part) => arbitraryOf(part, name))).map((parts) => parts.flat());
        case 'choice': {
          const parts = rule.parts.map((part) => arbitraryOf(part, name));
          // Deep down only the first choice is made, which therefore has to lead to an end.
          return isFlat(rule)
            ? fc.oneof(...parts)
            : fc.oneof({ depthIdentifier, depthSize: 'medium', maxDepth: 8 }, ...parts);
        }
        case 'any number of':
          return fc.array(arbitraryOf(rule.part, name), { maxLength: 2 }).map((parts) => parts.flat());
        case 'perhaps':
          return fc.option(arbitraryOf(rule.part, name), { nil: [] });
        case 'described':
          return (DESCRIBED[name]?.example ?? fc.constant('')).map((text) => [text]);
      }
    };
    const entries = [...SENTENCES].map(([name, rule]) => [name, arbitraryOf(rule, name)] as const);
    const words = [...WORDS].map(
      ([name, rule]) => [name, arbitraryOf(rule, name).map((tokens) => [tokens.join('')])] as const,
    );
    return {
      ...Object.fromEntries(entries),
      ...Object.fromEntries(words),
      pattern: patterns.map((pattern) => [pattern]),
    };
  });
  return expression ?? fc.constant([]);
}

/** Whether it leads to words and signs alone, and so to an end. */
function isFlat(rule: Rule): boolean {
  if (rule.is === 'name') return WORDS.has(rule.name);
  if ('parts' in rule) return rule.parts.every(isFlat);
  return 'part' in rule ? isFlat(rule.part) : true;
}

// --- recognising ------------------------------------------------------------------------------------------

/** Whether the source can be derived from the grammar: all ways are tried, remembered by rule and place. */
export function isDerivable(source: string): boolean {
  const known = new Map<string, ReadonlySet<number>>();

  const endsOf = (rule: Rule, at: number, name: string, isWord: boolean): ReadonlySet<number> => {
    const start = isWord ? at : at + (/^\s*/.exec(source.slice(at))?.[0].length ?? 0);
    switch (rule.is) {
      case 'terminal':
        return new Set(source.startsWith(rule.text, start) ? [start + rule.text.length] : []);
      case 'name':
        return named(rule.name, start);
      case 'sequence':
        return rule.parts.reduce<ReadonlySet<number>>(
          (starts, part) => new Set([...starts].flatMap((from) => [...endsOf(part, from, name, isWord)])),
          new Set([at]),
        );
      case 'choice':
        return new Set(rule.parts.flatMap((part) => [...endsOf(part, at, name, isWord)]));
      case 'perhaps':
        return new Set([at, ...endsOf(rule.part, at, name, isWord)]);
      case 'any number of': {
        const reached = new Set([at]);
        // A set that grows while it is walked: each new end is a start too.
        for (const from of reached) for (const end of endsOf(rule.part, from, name, isWord)) reached.add(end);
        return reached;
      }
      case 'described': {
        const length = DESCRIBED[name]?.length(source, at);
        return new Set(length === undefined ? [] : [at + length]);
      }
    }
  };

  const named = (name: string, at: number): ReadonlySet<number> => {
    const key = `${name} ${at}`;
    const found = known.get(key);
    if (found !== undefined) return found;
    const word = WORDS.get(name);
    const rule = word ?? SENTENCES.get(name);
    if (rule === undefined) throw new SyntaxError(`${name} is not in the grammar`);
    const ends = endsOf(rule, at, name, word !== undefined);
    known.set(key, ends);
    return ends;
  };

  return [...named('expression', 0)].some((end) => source.slice(end).trim() === '');
}
