import { expect } from 'chai';
import * as fc from 'fast-check';
import { ExpressionError } from '../../../../../src/connectors/servicenow/approval/expression/errors.ts';
import {
  MAX_EXPRESSION_CHARS,
  parseExpression,
} from '../../../../../src/connectors/servicenow/approval/expression/parser.ts';
import { isDerivable, sentences, SENTENCES, WORDS, type Rule } from './grammar.ts';
import { pieces } from './pieces.ts';

const made = sentences(fc.constantFrom('"a"', "'CHG[0-9]+'", '".*x"'))
  .filter((tokens) => tokens.join(' ').length <= MAX_EXPRESSION_CHARS)
  // Every text may be a pattern, and there may be eight.
  .filter((tokens) => tokens.filter((token) => /^[=!]~$/.test(token)).length <= 8);

const space = fc.constantFrom(' ', '  ', '\n', '\t', '\r\n', '\u00a0');

/** Tokens with any space between them, or with none wherever two tokens can be told apart without. */
const written = fc
  .tuple(made, fc.array(space, { minLength: 1 }), fc.boolean())
  .map(([tokens, spaces, isDense]) =>
    tokens.reduce((text, token, index) => {
      const isApart = isDense && !(/[\w.]$/.test(text) && /^[\w.-]/.test(token));
      return `${text}${isApart ? '' : (spaces[index % spaces.length] ?? ' ')}${token}`;
    }),
  );

function namesIn(rule: Rule): string[] {
  if (rule.is === 'name') return [rule.name];
  if ('parts' in rule) return rule.parts.flatMap(namesIn);
  return 'part' in rule ? namesIn(rule.part) : [];
}

describe('the grammar in docs/expressions.md', () => {
  it('defines every name that it uses, and uses every name that it defines', () => {
    const used = new Set([...SENTENCES.values(), ...WORDS.values()].flatMap(namesIn));
    const defined = [...SENTENCES.keys(), ...WORDS.keys()];
    expect([...used].sort()).to.deep.equal(defined.filter((name) => name !== 'expression').sort());
  });

  it('makes nothing that the parser refuses, however it is spaced', () => {
    fc.assert(
      fc.property(written, (source) => {
        parseExpression(source);
      }),
      { numRuns: 1_000 },
    );
  });

  it('derives all that it makes', () => {
    fc.assert(
      fc.property(written, (source) => {
        expect(isDerivable(source)).to.equal(true);
      }),
    );
  });

  it('derives all that the parser accepts', () => {
    fc.assert(
      fc.property(fc.oneof(pieces, changed(written)).filter(isAccepted), (source) => {
        expect(isDerivable(source), source).to.equal(true);
      }),
    );
  });

  for (const source of [
    '"a" == "b"',
    'ticket.a.value == ["b"]',
    '!ticket.a.value',
    'ticket.a.value == "b" == "c"',
    'ticket.a.value > true',
    'ticket.a.value =~ 3',
    'ticket..value == "x"',
    'ticket.A.value == "x"',
    'ticket.a.value',
    'null',
    '',
  ]) {
    it(`does not derive ${source === '' ? 'nothing' : source}`, () => {
      expect(isDerivable(source)).to.equal(false);
      expect(isAccepted(source)).to.equal(false);
    });
  }
});

/** The same with a character taken out, doubled, or put in anywhere. */
function changed(sources: fc.Arbitrary<string>): fc.Arbitrary<string> {
  return fc
    .tuple(sources, fc.nat(), fc.constantFrom('', '"', '(', ')', '>', '=', '<+', '!', ' ', '\\', '\u{1f600}'))
    .map(([source, place, put]) => {
      const at = place % (source.length + 1);
      return source.slice(0, at) + put + source.slice(at + (put === '' ? 1 : 0));
    });
}

/** @throws whatever is not a located error */
function isAccepted(source: string): boolean {
  try {
    parseExpression(source);
    return true;
  } catch (error) {
    if (!(error instanceof ExpressionError)) throw error;
    expect(error.location.offset).to.be.within(0, source.length);
    return false;
  }
}
