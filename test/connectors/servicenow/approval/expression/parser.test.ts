import { expect } from 'chai';
import * as fc from 'fast-check';
import { ExpressionError } from '../../../../../src/connectors/servicenow/approval/expression/errors.ts';
import { tokenize } from '../../../../../src/connectors/servicenow/approval/expression/lexer.ts';
import {
  MAX_EXPRESSION_CHARS,
  MAX_NESTING,
  parseExpression,
} from '../../../../../src/connectors/servicenow/approval/expression/parser.ts';
import { errorOf } from '../support.ts';
import { pieces } from './pieces.ts';

function problemOf(source: string): ExpressionError {
  const error = errorOf('servicenow.expression-invalid', () => parseExpression(source));
  return error instanceof ExpressionError ? error : expect.fail('an error without a place');
}

describe('parsing an expression', () => {
  it('any text is understood, or refused with its place', () => {
    fc.assert(
      fc.property(fc.oneof(pieces, fc.string(), fc.string({ unit: 'binary' })), (source) => {
        try {
          parseExpression(source);
        } catch (error) {
          if (!(error instanceof ExpressionError)) throw error;
          const { line, column, offset } = error.location;
          expect(offset).to.be.within(0, source.length);
          expect(
            source
              .split('\n')
              .slice(0, line - 1)
              .join('\n').length +
              (line > 1 ? 1 : 0) +
              column -
              1,
          ).to.equal(offset);
          expect(error.excerpt.split('\n')).to.have.length(2);
          expect(error.message.length).to.be.below(600);
        }
      }),
      { numRuns: 3_000 },
    );
  });

  it('there are never more tokens than characters, whatever the text', () => {
    fc.assert(
      fc.property(pieces, (source) => {
        try {
          expect(tokenize(source).length).to.be.at.most(source.length + 1);
        } catch (error) {
          expect(error).to.be.instanceOf(ExpressionError);
        }
      }),
    );
  });

  it('a chain as long as the bound allows is one wide node, not a deep one', () => {
    const term = 'ticket.a.value=="1"';
    const count = Math.floor(MAX_EXPRESSION_CHARS / (term.length + 2));
    const { root } = parseExpression(Array.from({ length: count }, () => term).join('&&'));
    expect(root).to.have.property('kind', 'all');
    expect(root).to.have.property('terms').with.length(count);
  });

  it('one character more than the bound is refused', () => {
    const fill = (length: number): string => 'ticket.a.value==""'.padEnd(length);
    parseExpression(fill(MAX_EXPRESSION_CHARS));
    expect(problemOf(fill(MAX_EXPRESSION_CHARS + 1)).message).to.contain('longer than 8192');
  });

  for (const [name, open, close] of [
    ['parentheses', '(', ')'],
    ['wrappers', '<+', '>'],
    ['negations', '!', ''],
  ] as const) {
    it(`${name} are nested ${MAX_NESTING} deep and no deeper`, () => {
      // A negation needs the one level of parentheses around its comparison.
      const inner = open === '!' ? '(ticket.a.value=="1")' : 'ticket.a.value=="1"';
      const levels = open === '!' ? MAX_NESTING - 1 : MAX_NESTING;
      const nest = (depth: number): string => open.repeat(depth) + inner + close.repeat(depth);
      parseExpression(nest(levels));
      expect(problemOf(nest(levels + 1)).message).to.contain('nested deeper than 64');
      expect(problemOf(nest(2_000)).message).to.contain('nested deeper than 64');
    });
  }

  it('fields are collected from every branch', () => {
    const { fields } = parseExpression(
      '!(ticket.a.value == ticket.b.displayValue) or "x" == <+ticket.c.d.value> or empty ticket.e.value',
    );
    expect([...fields].sort()).to.deep.equal(['a', 'b', 'c.d', 'e']);
  });

  describe('what is wrong is said, and where', () => {
    const rows: [source: string, line: number, column: number, problem: RegExp][] = [
      // references
      [
        'ticket.state == "x"',
        1,
        1,
        /which side is meant; write ticket\.state\.value or ticket\.state\.displayValue/,
      ],
      ['ticket.state.display_value == "x"', 1, 1, /did you mean "displayValue"/],
      ['ticket.state.values == "x"', 1, 1, /did you mean "value"/],
      ['ticket.value == "x"', 1, 1, /"ticket\.value" names no field: ticket\.<field>\.value/],
      ['ticket.displayValue == "x"', 1, 1, /names no field: ticket\.<field>\.displayValue/],
      ['ticket == "x"', 1, 1, /"ticket" does not say which side/],
      ['ticket.State.value == "x"', 1, 1, /no proper field name in "State"/],
      ['ticket.a..value == "x"', 1, 1, /no proper field name/],
      ['ticket.__proto__.value == "x"', 1, 1, /no proper field name/],
      [`ticket.${'x'.repeat(129)}.value == "x"`, 1, 1, /no proper field name/],
      ['issue.state.value == "x"', 1, 1, /"issue\.state\.value" is not known: fields are written ticket\./],
      ['ticket.state.value == Implement', 1, 23, /"Implement" is not known: .*text goes in quotes/],
      [
        'ticket.a.value == "1" AND ticket.b.value == "1"',
        1,
        23,
        /"AND" is not expected here; an operator is missing/,
      ],
      ['ticket.a.value == nul', 1, 19, /"nul" is not known; did you mean "null"\?/],
      ...['and', 'or', 'not', 'eq', 'ne', 'lt', 'le', 'gt', 'ge', 'true', 'false', 'null', 'empty'].map(
        (word): [string, number, number, RegExp] => {
          const slip = word.toUpperCase();
          return [`${slip} == 3`, 1, 1, new RegExp(`"${slip}" is not known; did you mean "${word}"`)];
        },
      ),
      ['"<+ticket.state.value>" == "3"', 1, 1, /a reference is written without quotes/],
      ['" <+ticket.state.value>" == "3"', 1, 1, /a reference is written without quotes/],
      ['ticket.a.value =~ ["<+ticket.b.value>"]', 1, 20, /a reference is written without quotes/],
      // operators
      ['ticket.state.value = "x"', 1, 20, /"=" is not an operator; write "=="/],
      ['ticket.a.value == "1" & true', 1, 23, /write "&&"/],
      ['ticket.a.value == "1"\n  | true', 2, 3, /write "\|\|"/],
      ['ticket.a.value == "1" ; true', 1, 23, /";" is not part of the language/],
      ['ticket.a.value == 😀', 1, 19, /"😀" is not part of the language/],
      ['ticket.a.value "x"', 1, 16, /an operator is missing/],
      ['ticket.a.value ==', 1, 18, /ends where a field or a value is expected/],
      ['== "x"', 1, 1, /"==" is not expected here/],
      ['', 1, 1, /blank/],
      // calls
      ['ticket.a.value.contains("x")', 1, 1, /can't be called; the only function is empty/],
      ['size(ticket.a.value) == 1', 1, 1, /"size" can't be called/],
      ['empty("x")', 1, 7, /"empty" needs a field/],
      // types
      ['ticket.active.value', 1, 1, /not true or false by itself; compare it/],
      ['ticket.a.value == "1" && ticket.b.value', 1, 26, /not true or false by itself/],
      ['"x"', 1, 1, /is not a condition/],
      ['3 || true', 1, 1, /"3" is not a condition/],
      ['null', 1, 1, /is not a condition/],
      ['["a"]', 1, 1, /is not a condition/],
      ['"a" == "a"', 1, 1, /two fixed values/],
      ['ticket.a.value == ["a"]', 1, 19, /a list can only stand on the right of "=~"/],
      ['ticket.a.value == "1" == true', 1, 1, /can't be compared again/],
      ['!ticket.a.value == "1"', 1, 2, /put parentheses around the comparison that "!" shall negate/],
      ['not ticket.a.value eq "1"', 1, 5, /that "not" shall negate/],
      ['ticket.risk.value > "High"', 1, 21, /">" needs a number or a UTC date .*, not "High"/],
      ['ticket.risk.value < null', 1, 21, /"<" needs a number .*, not a blank value/],
      ['ticket.risk.value <= true', 1, 22, /"<=" needs a number .*, not a boolean value/],
      ['true >= ticket.risk.value', 1, 1, /"<=" needs a number/],
      ['null <= ticket.risk.value', 1, 1, />=" needs a number/],
      ['["a"] == ticket.a.value', 1, 1, /a list can only stand on the right of "=~"/],
      ['["a"] == "a"', 1, 1, /two fixed values/],
      ['"High" > ticket.risk.value', 1, 1, /"<" needs a number/],
      // lists and patterns
      ['ticket.a.value =~ []', 1, 20, /at least one/],
      ['ticket.a.value =~ ["a" "b"]', 1, 24, /"," or "\]"/],
      ['ticket.a.value =~ ["a")', 1, 23, /"," or "\]"/],
      ['ticket.a.value =~ ["a" , == ]', 1, 26, /a list holds texts/],
      ['(ticket.a.value == "1"]', 1, 23, /"\)" is expected here/],
      ['ticket.a.value =~ [ticket.b.value]', 1, 20, /a list holds texts/],
      ['ticket.a.value =~ 3', 1, 19, /a list such as/],
      ['"a" =~ ticket.a.value', 1, 1, /needs a field on its left side/],
      ['ticket.a.value =~ "(a"', 1, 19, /the pattern is not valid RE2/],
      // literals and brackets
      ['ticket.a.value == "x', 1, 19, /no closing " on its line/],
      ['ticket.a.value == "x\ny"', 1, 19, /no closing " on its line/],
      ['ticket.a.value =~ "\\d+"', 1, 20, /"\\\\d" is not an escape; write "\\\\" for one backslash/],
      ['ticket.a.value == 3px', 1, 19, /"3px" is not a number: digits, at most 15, .*in quotes/],
      ['ticket.a.value == "x\\', 1, 21, /"\\\\" is not an escape/],
      ['ticket.a.value == "\\u12"', 1, 20, /"\\\\u" is not an escape/],
      ['empty(ticket.a.value == "1")', 1, 7, /"empty" needs a field/],
      ['empty(ticket.a.value) == true', 1, 1, /can't be compared again/],
      ['ticket.a.value == 1234567890123456', 1, 19, /is not a number/],
      ['(ticket.a.value == "1"', 1, 23, /"\)" is expected here, to close "\("/],
      ['<+ticket.a.value == "1"', 1, 24, /">" is expected here, to close "<\+"/],
      ['<+ticket.a.value> >', 1, 20, /ends where a field or a value is expected/],
      ['ticket.a.value == "1")', 1, 22, /"\)" is not expected here/],
    ];
    for (const [source, line, column, problem] of rows) {
      it(JSON.stringify(source).slice(0, 80), () => {
        const error = problemOf(source);
        expect(error.message).to.match(problem);
        expect(error.message).to.contain(`(line ${line}, column ${column})`);
        expect(error.category).to.equal('invalid-input');
        expect(error.details).to.include({ line, column });
      });
    }

    it('a message stays short, however long the word that is wrong', () => {
      for (const source of [
        `ticket.${'x'.repeat(8_000)}`,
        'x'.repeat(8_000),
        `"${'x'.repeat(8_000)}"`,
        '9'.repeat(8_000),
      ]) {
        expect(problemOf(source).message).to.have.length.below(600);
      }
    });

    it('the caret stands under the place, in a long line and after tabs too', () => {
      const source = `true &&\n\t${'true && '.repeat(30)}x${' && true'.repeat(30)}`;
      const [shown = '', caret = ''] = problemOf(source).excerpt.split('\n');
      expect(shown)
        .to.match(/^….*…$/)
        .and.to.have.length.below(90);
      expect(shown[caret.indexOf('^')]).to.equal('x');
    });

    it('the line is shown without control characters and without half a character', () => {
      const { excerpt } = problemOf('\ttrue &&\u0007 x\nfalse');
      expect(excerpt).to.equal(` true &&  x\n${' '.repeat(8)}^`);
      const halves = problemOf(`"${'\u{1f600}'.repeat(30)}" == x ; "${'\u{1f600}'.repeat(30)}"`).excerpt;
      expect(halves.isWellFormed()).to.equal(true);
      expect(
        problemOf(`a"${'\u{1f600}'.repeat(30)}" == x ; "${'\u{1f600}'.repeat(30)}"`).excerpt.isWellFormed(),
      ).to.equal(true);
    });
  });
});
