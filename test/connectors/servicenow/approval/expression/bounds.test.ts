import { expect } from 'chai';
import * as fc from 'fast-check';
import { evaluate, fieldsOf } from '../../../../../src/connectors/servicenow/approval/criteria.ts';
import { ExpressionError } from '../../../../../src/connectors/servicenow/approval/expression/errors.ts';
import { evaluateExpression } from '../../../../../src/connectors/servicenow/approval/expression/evaluate.ts';
import { tokenize } from '../../../../../src/connectors/servicenow/approval/expression/lexer.ts';
import {
  MAX_EXPRESSION_CHARS,
  parseExpression,
  parseTokens,
} from '../../../../../src/connectors/servicenow/approval/expression/parser.ts';
import { MAX_MATCHED_CHARS } from '../../../../../src/connectors/servicenow/approval/pattern.ts';
import { DelegateError } from '../../../../../src/kit/errors.ts';
import { errorOf, expressionCriteria, ticket } from '../support.ts';
import { sentences } from './grammar.ts';
import { pieces } from './pieces.ts';

/** How often the parser looks at a token, whether it accepts the source or not. */
function looksAt(source: string): number {
  let looks = 0;
  const tokens = new Proxy(tokenize(source), {
    get(target, key, receiver): unknown {
      if (typeof key === 'string' && /^\d+$/.test(key)) looks += 1;
      return Reflect.get(target, key, receiver);
    },
  });
  try {
    parseTokens(source, tokens);
  } catch (error) {
    if (!(error instanceof ExpressionError)) throw error;
  }
  return looks;
}

describe('what an expression costs', () => {
  const TERM = 'ticket.a.value == "1"';
  const times = (count: number, text: string, separator = ''): string =>
    Array.from({ length: count }, () => text).join(separator);

  /** Expressions of any size, each of another shape. */
  const shapes: Record<string, (size: number) => string> = {
    'a chain of "and"': (size) => times(size, TERM, ' && '),
    '"and" and "or" in turns': (size) => times(size, `${TERM} && ${TERM}`, ' || '),
    parentheses: (size) => times(size, `(((${TERM})))`, ' and '),
    wrappers: (size) => times(size, `<+ <+ticket.a.value> > > 3`, ' or '),
    negations: (size) => times(size, `!!!(${TERM})`, ' or '),
    'a list': (size) => `ticket.a.value =~ [${times(size, '"x"', ', ')}]`,
    'what is refused at its end': (size) => `${times(size, TERM, ' && ')} &&`,
    'brackets that nobody closes': (size) => times(size, '('),
    'closing signs alone': (size) => `<+ ${TERM}${times(size, ' >')}`,
  };
  for (const [name, shape] of Object.entries(shapes)) {
    it(`${name}: twice the size takes twice the steps`, () => {
      const looks = [10, 20, 40, 80].map((size) => looksAt(shape(size)));
      const growths = looks.slice(1).map((count, index) => count - (looks[index] ?? 0));
      // Each growth is for twice as many more pieces as the one before, give or take the ends.
      for (const [index, growth] of growths.slice(1).entries()) {
        expect(growth).to.be.at.most(2 * (growths[index] ?? 0) + 10);
      }
    });
  }

  it('no token is looked at more than a few times, whatever the text', () => {
    const sources = fc.oneof(
      pieces,
      sentences(fc.constant('"x"')).map((tokens) => tokens.join(' ')),
    );
    fc.assert(
      fc.property(sources, (source) => {
        const tokens = countTokens(source);
        fc.pre(tokens !== undefined);
        expect(looksAt(source)).to.be.at.most(8 * tokens);
      }),
      { numRuns: 500 },
    );
  });

  it('the tokens of a source follow each other, so that no character is read for two of them', () => {
    fc.assert(
      fc.property(pieces, (source) => {
        fc.pre(countTokens(source) !== undefined);
        let end = 0;
        for (const token of tokenize(source)) {
          expect(token.offset).to.be.at.least(end);
          expect(source.slice(end, token.offset).trim()).to.equal('');
          ({ end } = token);
        }
        expect(end).to.equal(source.length);
      }),
    );
  });

  it('a bound that is exceeded is named at the place where it is', () => {
    const long = `${TERM} && `.padEnd(MAX_EXPRESSION_CHARS + 1);
    expect(locationOf(long)).to.include({ offset: MAX_EXPRESSION_CHARS });
    expect(locationOf(`${'('.repeat(64)}\n(${TERM}`)).to.include({ line: 2, column: 1 });
  });

  function locationOf(source: string): ExpressionError['location'] {
    const error = errorOf('servicenow.expression-invalid', () => parseExpression(source));
    return error instanceof ExpressionError ? error.location : expect.fail('an error without a place');
  }
});

function countTokens(source: string): number | undefined {
  try {
    return tokenize(source).length;
  } catch (error) {
    if (!(error instanceof ExpressionError)) throw error;
    return undefined;
  }
}

describe('what an expression can reach', () => {
  const inherited = [Object, Function, Array, Map, String]
    .flatMap((type) => [...Object.getOwnPropertyNames(type), ...Object.getOwnPropertyNames(type.prototype)])
    .filter((name, index, all) => all.indexOf(name) === index);

  it('nothing that JavaScript adds to every object: it is refused, or a field that the ticket has not', () => {
    expect(inherited).to.include.members(['constructor', '__proto__', 'prototype', 'size', 'length']);
    for (const name of inherited) {
      for (const path of [name, `a.${name}`, `${name}.constructor`]) {
        const code = codeOf(`ticket.${path}.value == "x" || true`);
        expect(code, path).to.be.oneOf(['servicenow.expression-invalid', 'servicenow.field-missing']);
      }
      expect(codeOf(`${name}.value == "x"`), name).to.equal('servicenow.expression-invalid');
      expect(codeOf(`ticket.a.${name} == "x"`), name).to.equal('servicenow.expression-invalid');
    }
  });

  it('a field of such a name is a field like others', () => {
    const fields = ticket(Object.fromEntries([['constructor', '1']]));
    expect(evaluate(expressionCriteria('ticket.constructor.value == 1'), fields).met).to.equal(true);
  });

  for (const source of [
    'ticket.a.value.constructor("return process")()',
    'ticket["a"].value == "x"',
    '`${process.exit()}` == ticket.a.value',
    'ticket.a.value == (() => 1)()',
    'ticket.a.value = "x"',
    'this.constructor.constructor("return 1")()',
    'globalThis.process.value == "x"',
    'new Date() == ticket.a.value',
    '${ticket.a.value} == "x"',
    'ticket.a.value == "x"; process.exit()',
    '/a/.test(ticket.a.value)',
  ]) {
    it(`no code: ${source}`, () => {
      expect(codeOf(source)).to.equal('servicenow.expression-invalid');
    });
  }

  function codeOf(source: string): string | undefined {
    try {
      evaluateExpression(parseExpression(source), ticket({ a: 'x' }));
      return undefined;
    } catch (error) {
      return error instanceof DelegateError ? error.code : String(error);
    }
  }
});

describe('what an expression can end in', () => {
  const values = fc.oneof(
    fc.constantFrom('', ' ', '3', '-1.5', 'true', 'false', '2026-01-01', '2026-01-01 10:00:00', '2026-02-30'),
    fc.string({ unit: 'binary' }),
    fc.constant('x'.repeat(MAX_MATCHED_CHARS + 1)),
  );
  const CODES = ['servicenow.field-missing', 'servicenow.not-comparable', 'servicenow.value-too-long'];

  it('an outcome with its trace, or one of three errors, whatever the ticket holds', () => {
    const met: boolean[] = [];
    fc.assert(
      fc.property(
        sentences(fc.constantFrom('".*"', "'CHG[0-9]+'")),
        fc.array(fc.option(fc.tuple(values, values), { nil: undefined, freq: 20 }), { minLength: 1 }),
        (tokens, sides) => {
          const source = tokens.join(' ');
          fc.pre(
            source.length <= MAX_EXPRESSION_CHARS &&
              tokens.filter((token) => token.endsWith('~')).length <= 8,
          );
          const criteria = expressionCriteria(source);
          const fields = [...fieldsOf(criteria)].flatMap((name, index) => {
            const given = sides[index % sides.length];
            return given === undefined ? [] : [[name, given] as const];
          });
          try {
            const result = evaluate(criteria, ticket(Object.fromEntries(fields)));
            met.push(result.met);
            expect(result.conditions.some((condition) => condition.met === result.met)).to.equal(true);
          } catch (error) {
            expect(error).to.be.instanceOf(DelegateError).and.to.have.property('code').that.is.oneOf(CODES);
          }
        },
      ),
      { numRuns: 500 },
    );
    // Or the property would say nothing.
    expect(met).to.include.members([true, false]);
  });
});
