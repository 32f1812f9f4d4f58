import { expect } from 'chai';
import * as fc from 'fast-check';
import { evaluateExpression } from '../../../../../src/connectors/servicenow/approval/expression/evaluate.ts';
import { parseExpression } from '../../../../../src/connectors/servicenow/approval/expression/parser.ts';
import type { FieldValue } from '../../../../../src/connectors/servicenow/approval/ticket.ts';
import { errorOf, evaluateText, ticket } from '../support.ts';

const FIELDS = ticket({
  state: ['-1', 'Implement'],
  risk: ['3', 'Moderate'],
  active: 'true',
  close_code: '',
  short_description: 'Say "go", it\'s fine\\',
  start_date: ['2026-03-01 10:00:00', '01/03/2026 11:00'],
  end_date: ['2026-03-01 12:00:00', '01/03/2026 13:00'],
  'assigned_to.name': 'Beth Anglin',
  two_lines: 'a\r\n\tb',
});

function met(expression: string, fields = FIELDS): boolean {
  return evaluateText(expression, fields).met;
}

/** Expressions that hold on `FIELDS`, by what they show. */
const TRUE: Record<string, string[]> = {
  'a side of a field is compared exactly': [
    'ticket.state.value == "-1"',
    'ticket.state.displayValue == "Implement"',
    'ticket.state.displayValue != "implement"',
    'ticket.state.value != "Implement"',
    'ticket.risk.value != "3.0"',
    'ticket.assigned_to.name.displayValue == "Beth Anglin"',
  ],
  'a reference may be wrapped, and so may the whole': [
    '<+ticket.state.displayValue> == "Implement"',
    '<+ ticket.state.displayValue > == "Implement"',
    '<+ticket.state.displayValue>=="Implement"',
    '<+ticket.state.displayValue>!="New"',
    '<+ticket.state.displayValue>=~["Implement"]',
    '<+ ticket.state.value == "-1" >',
    '<+ <+ticket.state.value> == "-1" && <+ticket.risk.value> > 2 >',
    '<+ ticket.risk.value > 2 >',
    '<+ticket.risk.value> > 2',
    '<+ticket.risk.value>>2',
    '<+ticket.risk.value>>=3',
    '<+ <+ticket.end_date.value> > <+ticket.start_date.value> >',
    '<+ (ticket.risk.value > 2) and empty ticket.close_code.value >',
    '!<+ticket.state.value == "3">',
  ],
  'either side may be the field': [
    '"-1" == ticket.state.value',
    '2 < ticket.risk.value',
    'null != ticket.risk.value',
  ],
  'words do for signs': [
    'ticket.state.value eq "-1" and ticket.risk.value ne "1"',
    'ticket.risk.value lt 4 and ticket.risk.value le 3 and ticket.risk.value gt 2 and ticket.risk.value ge 3',
    'not (ticket.state.value eq "3") or false',
  ],
  '"and" binds closer than "or", comparisons closer than both': [
    'true || true && false',
    'ticket.state.value == "3" && false || ticket.risk.value == "3"',
    '!(( true || true ) && false)',
  ],
  'numbers compare as numbers': [
    'ticket.risk.value == 3',
    'ticket.risk.value == 3.0',
    'ticket.state.value == -1',
    'ticket.risk.value < 10',
    'ticket.risk.value < "10"',
    'ticket.state.value < ticket.risk.value',
    'ticket.risk.value =~ [1, 3]',
  ],
  'dates compare as instants': [
    'ticket.start_date.value < ticket.end_date.value',
    'ticket.start_date.value >= "2026-03-01"',
    'ticket.start_date.value < "2026-03-01 10:00:01"',
  ],
  'booleans compare with the two words that ServiceNow stores': [
    'ticket.active.value == true',
    'ticket.active.value != false',
    'ticket.active.value == "true"',
  ],
  'blank is one thing by all its names': [
    'empty(ticket.close_code.value)',
    'empty ticket.close_code.value',
    'empty <+ticket.close_code.value>',
    'ticket.close_code.value == empty',
    'ticket.close_code.value == null',
    'ticket.close_code.value == ""',
    'null eq ticket.close_code.value',
    '!empty(ticket.state.value) && not empty ticket.risk.value',
    'ticket.state.value != null && ticket.risk.value ne empty',
    'ticket.close_code.value =~ ["x", null]',
  ],
  'a blank field equals no number and no truth value': [
    'ticket.close_code.value != 0',
    '!(ticket.close_code.value == 0)',
    'ticket.close_code.value != false',
  ],
  'a list is membership, a text a pattern for the whole': [
    'ticket.state.displayValue =~ ["Review", \'Implement\']',
    'ticket.state.displayValue !~ "implement"',
    'ticket.state.displayValue !~ ["Review", "implement"]',
    'ticket.state.displayValue =~ "Impl.*"',
    'ticket.state.displayValue !~ "mplemen"',
    'ticket.start_date.value =~ "\\\\d{4}-03-.*"',
  ],
  escapes: [
    `ticket.short_description.value == "Say \\"go\\", it's fine\\\\"`,
    `ticket.short_description.value == 'Say "go", it\\'s fine\\\\'`,
    'ticket.state.value == "\\u002d1"',
    'ticket.two_lines.value == "a\\r\\n\\tb"',
  ],
};

describe('evaluating an expression', () => {
  for (const [name, expressions] of Object.entries(TRUE)) {
    describe(name, () => {
      for (const expression of expressions) {
        it(expression, () => {
          expect(met(expression)).to.equal(true);
          expect(met(`!(${expression})`), 'negated').to.equal(false);
          expect(met(`not not (${expression})`), 'negated twice').to.equal(true);
        });
      }
    });
  }

  it('logic is that of JavaScript, for any nesting of and, or and not', () => {
    const logic = fc.letrec<{ node: string }>((tie) => ({
      node: fc.oneof(
        { maxDepth: 5, withCrossShrink: true },
        fc.constantFrom('true', 'false', '(ticket.state.value == "-1")', '(ticket.state.value == "3")'),
        tie('node').map((node) => `!(${node})`),
        fc.tuple(tie('node'), tie('node')).map(([a, b]) => `(${a}) && (${b})`),
        fc.tuple(tie('node'), tie('node')).map(([a, b]) => `${a} || ${b}`),
        fc.tuple(tie('node'), tie('node')).map(([a, b]) => `${a} && ${b}`),
      ),
    })).node;
    fc.assert(
      fc.property(logic, (source) => {
        const result = evaluateText(source, FIELDS);
        expect(result.met).to.equal(booleanOf(source));
        // Where it is not met, something in the trace says why; where it is, something says so.
        expect(result.conditions.some((condition) => condition.met === result.met)).to.equal(true);
      }),
    );
  });

  describe('no answer is better than a guess', () => {
    for (const [expression, subject] of [
      ['ticket.risk.displayValue == 3', 'ticket.risk.displayValue'],
      ['!(ticket.risk.displayValue > 3)', 'ticket.risk.displayValue'],
      ['ticket.close_code.value < 3', 'ticket.close_code.value'],
      ['ticket.start_date.displayValue > "2026-01-01"', 'ticket.start_date.displayValue'],
      ['ticket.start_date.value > 3', 'ticket.start_date.value'],
      ['ticket.state.displayValue == true', 'ticket.state.displayValue'],
      ['ticket.state.displayValue =~ [1, "Implement"]', 'ticket.state.displayValue'],
      ['ticket.risk.value < ticket.start_date.value', 'ticket.risk.value'],
    ] as const) {
      it(expression, () => {
        const error = errorOf('servicenow.not-comparable', () => met(expression));
        expect(error.message).to.contain(subject);
        expect(error.category).to.equal('invalid-input');
      });
    }

    it('the hint leads from the display value to the value', () => {
      const error = errorOf('servicenow.not-comparable', () => met('ticket.risk.displayValue == 3'));
      expect(error.message).to.contain('"Moderate"').and.to.contain('with 3');
      expect(error.hint).to.match(/^Compare the \.value instead/);
    });

    it('the hint about a value says what can be compared, and how to test for blank', () => {
      const error = errorOf('servicenow.not-comparable', () => met('ticket.close_code.value < 3'));
      expect(error.hint).to.match(/^Numbers compare with numbers.*empty\(…\)/);
      expect(error.details).to.deep.equal({ subject: 'ticket.close_code.value', operator: 'less than' });
    });

    it('false is a word like true', () => {
      expect(met('ticket.inactive.value == false', ticket({ inactive: 'false' }))).to.equal(true);
      errorOf('servicenow.not-comparable', () => met('ticket.state.value == false'));
    });

    it('a test for blank protects the comparison behind it', () => {
      expect(met('!empty(ticket.close_code.value) && ticket.close_code.value > 3')).to.equal(false);
    });
  });

  describe('the trace', () => {
    it('has the comparisons that were needed, in order', () => {
      const { conditions } = evaluateText(
        'ticket.state.value == "3" || 2 < ticket.risk.value || ticket.active.value == true',
        FIELDS,
      );
      expect(conditions).to.deep.equal([
        {
          key: 'state',
          operator: 'equals',
          expected: '3',
          value: '-1',
          displayValue: 'Implement',
          compared: 'value',
          met: false,
        },
        {
          key: 'risk',
          operator: 'greater than',
          expected: '2',
          value: '3',
          displayValue: 'Moderate',
          compared: 'value',
          met: true,
        },
      ]);
    });

    it('says of a negated comparison what was demanded', () => {
      const demanded = (expression: string): string[] =>
        evaluateText(expression, FIELDS).conditions.map(
          ({ operator, expected }) => `${operator} ${expected}`,
        );
      expect(demanded('!(ticket.state.value == "3")')).to.deep.equal(['not equals 3']);
      expect(demanded('!(ticket.state.value =~ ["3", 4])')).to.deep.equal(['not in 3, 4']);
      expect(demanded('!(ticket.state.value =~ "3.*")')).to.deep.equal(['not matches 3.*']);
      expect(demanded('ticket.state.value =~ ["3", 4] || ticket.state.value =~ "3.*"')).to.deep.equal([
        'in 3, 4',
        'matches 3.*',
      ]);
      expect(demanded('!(ticket.risk.value > 3)')).to.deep.equal(['less than or equals 3']);
      expect(demanded('!(ticket.risk.value >= 3)')).to.deep.equal(['less than 3']);
      expect(demanded('!(ticket.risk.value < 3)')).to.deep.equal(['greater than or equals 3']);
      expect(demanded('!(ticket.risk.value <= 3)')).to.deep.equal(['greater than 3']);
      expect(demanded('!empty(ticket.risk.value)')).to.deep.equal(['not equals ']);
      expect(demanded('!(ticket.state.value == "3" || ticket.risk.value == "1")')).to.deep.equal([
        'not equals 3',
        'not equals 1',
      ]);
      expect(demanded('!false')).to.deep.equal(['is false']);
    });

    it('shows a bare truth value as itself', () => {
      expect(evaluateText('false', FIELDS).conditions).to.deep.equal([
        {
          key: 'false',
          operator: 'is',
          expected: 'true',
          value: 'false',
          displayValue: 'false',
          compared: 'either',
          met: false,
        },
      ]);
    });

    it('does not claim what was not compared', () => {
      const keys = (expression: string): string[] =>
        evaluateText(expression, FIELDS).conditions.map(({ key }) => key);
      expect(keys('ticket.state.value == "3" && ticket.risk.value == 3')).to.deep.equal(['state']);
      expect(keys('ticket.state.value == -1 || ticket.risk.value == 3')).to.deep.equal(['state']);
      expect(keys('!(ticket.state.value == -1 || ticket.risk.value == 3)')).to.deep.equal(['state']);
      expect(keys('!(ticket.state.value == "3" && ticket.risk.value == 3)')).to.deep.equal(['state']);
    });

    it('shows both fields where two are compared', () => {
      const [entry] = evaluateText('ticket.state.value == ticket.risk.value', FIELDS).conditions;
      expect(entry).to.include({ key: 'state', expected: 'ticket.risk.value (3)', value: '-1' });
      const [other] = evaluateText('ticket.state.value == ticket.close_code.value', FIELDS).conditions;
      expect(other).to.include({ expected: 'ticket.close_code.value (blank)' });
    });
  });

  it('work grows with the number of comparisons and no faster', () => {
    const reads = (count: number): number => {
      const fields = new CountingFields(FIELDS);
      const source = Array.from({ length: count }, () => '!(ticket.state.value == "3")').join(' && ');
      evaluateExpression(parseExpression(source), fields);
      return fields.reads;
    };
    const perComparison = reads(1);
    for (const count of [2, 20, 200]) expect(reads(count)).to.equal(perComparison * count);
  });
});

class CountingFields extends Map<string, FieldValue> {
  reads = 0;

  override get(name: string): FieldValue | undefined {
    this.reads += 1;
    return super.get(name);
  }
}

/** An independent reading of `!`, `&&`, `||`, parentheses and truth values: by rewriting, innermost first. */
function booleanOf(source: string): boolean {
  let text = source
    .replaceAll('(ticket.state.value == "-1")', 'true')
    .replaceAll('(ticket.state.value == "3")', 'false')
    .replaceAll(' ', '');
  for (let before = ''; before !== text;) {
    before = text;
    text = text
      .replace(/\((true|false)\)/g, '$1')
      .replace(/!(true|false)/g, (_, value) => String(value === 'false'))
      .replace(
        /(^|[(|&])(true|false)&&(true|false)/g,
        (_, lead, a, b) => `${lead}${a === 'true' && b === 'true'}`,
      );
    // "or" may be folded only once no "and" can claim one of its sides.
    text = text.replace(
      /(^|\()((?:(?:true|false)\|\|)+(?:true|false))(?=$|\))/g,
      (_, lead: string, chain: string) => `${lead}${chain.includes('true')}`,
    );
  }
  return text === 'true';
}
