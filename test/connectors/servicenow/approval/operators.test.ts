import { expect } from 'chai';
import { evaluate } from '../../../../src/connectors/servicenow/approval/criteria.ts';
import { MAX_MATCHED_CHARS } from '../../../../src/connectors/servicenow/approval/pattern.ts';
import { OPERATORS, type Operator } from '../../../../src/connectors/servicenow/approval/trace.ts';
import { errorOf, keyValues, ticket } from './support.ts';

function met(
  operator: Operator,
  expected: string,
  field: readonly [string, string],
  caseSensitive = true,
): boolean {
  const criteria = keyValues([{ key: 'f', operator, value: expected }], { caseSensitive });
  return evaluate(criteria, ticket({ f: field })).met;
}

const BLANK = ['', ''] as const;

describe('approval operators', () => {
  describe('on texts, both sides of a field are compared', () => {
    /** For each operator an expected text, one that it holds for, and one that only looks like it. */
    const TEXTS = {
      equals: { expected: 'Implement', hit: 'Implement', miss: 'implement' },
      in: { expected: 'Assess, Implement', hit: 'Implement', miss: 'Assess, Implement' },
      contains: { expected: 'plem', hit: 'Implement', miss: 'PLEM' },
      'starts with': { expected: 'Impl', hit: 'Implement', miss: 'to Implement' },
      matches: { expected: 'Impl.*t', hit: 'Implement', miss: 'not Implement' },
    } as const;
    const NEGATIVE: ReadonlyMap<Operator, Operator> = new Map([
      ['equals', 'not equals'],
      ['in', 'not in'],
      ['contains', 'not contains'],
    ]);

    /** Value, display value; whether a positive operator holds. A negative one holds in just the other rows. */
    const TRUTH = [
      ['hit', 'hit', true],
      ['hit', 'miss', true],
      ['hit', 'blank', true],
      ['miss', 'hit', true],
      ['miss', 'miss', false],
      ['miss', 'blank', false],
      ['blank', 'hit', true],
      ['blank', 'miss', false],
      ['blank', 'blank', false],
    ] as const;

    for (const positive of ['equals', 'in', 'contains', 'starts with', 'matches'] as const) {
      const { expected, ...texts } = TEXTS[positive];
      for (const [value, displayValue, holds] of TRUTH) {
        const sides = { ...texts, blank: '' };
        const field = [sides[value], sides[displayValue]] as const;
        it(`"${positive}" ${expected}: ${JSON.stringify(field)} ${holds ? 'does' : 'does not'}`, () => {
          expect(met(positive, expected, field)).to.equal(holds);
          const negative = NEGATIVE.get(positive);
          if (negative !== undefined) expect(met(negative, expected, field), negative).to.equal(!holds);
        });
      }
    }

    it('letter case counts, unless the criteria say otherwise', () => {
      for (const [operator, expected] of [
        ['equals', 'IMPLEMENT'],
        ['in', 'NEW, IMPLEMENT'],
        ['contains', 'PLEM'],
        ['starts with', 'IMPL'],
        ['matches', 'IMPL.*'],
      ] as const) {
        expect(met(operator, expected, ['-1', 'Implement']), operator).to.equal(false);
        expect(met(operator, expected, ['-1', 'Implement'], false), operator).to.equal(true);
      }
      for (const [operator, expected] of [
        ['not equals', 'IMPLEMENT'],
        ['not in', 'NEW, IMPLEMENT'],
        ['not contains', 'PLEM'],
      ] as const) {
        expect(met(operator, expected, ['-1', 'Implement']), operator).to.equal(true);
        expect(met(operator, expected, ['-1', 'Implement'], false), operator).to.equal(false);
      }
      // Upper case would make these two one word.
      expect(met('equals', 'Strasse', ['straße', ''], false)).to.equal(false);
    });

    it('a state outside any known list is compared like every other text', () => {
      expect(met('equals', '20', ['20', 'Peer review'])).to.equal(true);
      expect(met('equals', 'Peer review', ['20', 'Peer review'])).to.equal(true);
    });
  });

  describe('blank', () => {
    const rows = [
      { field: BLANK, blank: true, name: 'nothing on either side' },
      { field: [' ', '\t'] as const, blank: true, name: 'spaces alone' },
      { field: ['', 'a journal'] as const, blank: false, name: 'text to show and no value' },
      {
        field: ['681ccaf9c0a8016400b98a06818d57c7', ''] as const,
        blank: false,
        name: 'a reference to a deleted row',
      },
      { field: ['3', 'Moderate'] as const, blank: false, name: 'a value' },
    ];
    for (const { field, blank, name } of rows) {
      it(`a field with ${name} is ${blank ? '' : 'not '}blank`, () => {
        expect(met('equals', '', field)).to.equal(blank);
        expect(met('equals', '  ', field)).to.equal(blank);
        expect(met('not equals', '', field)).to.equal(!blank);
        expect(met('in', '', field)).to.equal(blank);
        expect(met('in', 'x, ""', field)).to.equal(blank);
        expect(met('not in', 'x, ""', field)).to.equal(!blank);
      });
    }

    it('an operator that a blank text would always satisfy refuses it', () => {
      for (const operator of ['contains', 'not contains', 'starts with', 'matches'] as const) {
        expect(() => met(operator, ' ', BLANK), operator).to.throw(/needs a text/);
      }
    });
  });

  describe('order', () => {
    const ORDERED = OPERATORS.filter((operator) => /than/.test(operator));

    it('there are four ordering operators', () => {
      expect(ORDERED).to.have.length(4);
    });

    const outcomes = (expected: string, value: string): string[] =>
      ORDERED.filter((operator) => met(operator, expected, [value, 'anything']));

    it('numbers compare as numbers, not as texts', () => {
      expect(outcomes('9', '10')).to.deep.equal(['greater than', 'greater than or equals']);
      expect(outcomes('9', '9.0')).to.deep.equal(['greater than or equals', 'less than or equals']);
      expect(outcomes('-1', '-5')).to.deep.equal(['less than', 'less than or equals']);
    });

    it('numbers are compared exactly, with as many digits as that can be done for', () => {
      expect(met('less than', '123456789012345', ['123456789012344', ''])).to.equal(true);
      expect(met('less than', '-12345678901234.5', ['-12345678901234.6', ''])).to.equal(true);
      expect(outcomes('1.25', '1.250')).to.deep.equal(['greater than or equals', 'less than or equals']);
      expect(outcomes(' 3 ', ' +3 ')).to.deep.equal(['greater than or equals', 'less than or equals']);
      expect(() => met('less than', '1234567890123456', ['1', ''])).to.throw(/needs a number/);
    });

    it('spaces around a date mean nothing', () => {
      expect(met('less than', ' 2026-03-02 ', ['\t2026-03-01 ', ''])).to.equal(true);
    });

    it('dates compare as instants; a day alone is its first second', () => {
      expect(outcomes('2026-03-01 10:00:00', '2026-03-01 10:00:01')).to.include('greater than');
      expect(outcomes('2026-03-01', '2026-03-01 00:00:00')).to.deep.equal([
        'greater than or equals',
        'less than or equals',
      ]);
      expect(outcomes('2026-03-01', '2026-02-28')).to.deep.equal(['less than', 'less than or equals']);
    });

    it('the display value has no part in it, since its format is the user’s', () => {
      expect(met('greater than', '2026-01-01', ['2026-05-01 00:00:00', '01/05/2025'])).to.equal(true);
    });

    for (const [name, value] of [
      ['a word', 'High'],
      ['nothing', ''],
      ['a date', '2026-01-01'],
      ['an impossible date', '2026-02-30'],
      ['a number too long to compare exactly', '12345678901234567'],
    ] as const) {
      it(`${name} is never compared with a number`, () => {
        const error = errorOf('servicenow.not-comparable', () => met('greater than', '3', [value, value]));
        expect(error.category).to.equal('invalid-input');
        expect(error.message)
          .to.match(/^f is /)
          .and.to.contain(`greater than" with "3"`);
        expect(error.message).to.contain(value === '' ? 'is blank,' : `is ${JSON.stringify(value)},`);
        expect(error.details).to.deep.equal({ subject: 'f', operator: 'greater than' });
        expect(error.hint).to.contain('Both must be numbers, or both UTC dates');
      });
    }

    it('an expected value without an order is refused before any ticket is read', () => {
      for (const expected of ['High', '', '2026-02-30', '01/05/2026', '1e3', '٣']) {
        expect(() => met('less than', expected, ['1', '1']), expected).to.throw(
          /needs a number or a UTC date/,
        );
      }
    });
  });

  describe('patterns', () => {
    it('the whole text must match', () => {
      expect(met('matches', 'Implement', ['-1', 'Not Implemented'])).to.equal(false);
      expect(met('matches', '.*Implement.*', ['-1', 'Not Implemented'])).to.equal(true);
    });

    it('a pattern that would hold a backtracking engine for years is matched at once', () => {
      expect(met('matches', '(a+)+b', ['a'.repeat(MAX_MATCHED_CHARS), ''])).to.equal(false);
    });

    it('a text beyond the bound is refused, not cut', () => {
      const long = 'a'.repeat(MAX_MATCHED_CHARS + 1);
      const error = errorOf('servicenow.value-too-long', () => met('matches', 'a+', [long, 'x']));
      expect(error.message).to.contain('4097 characters').and.to.contain('at most 4096');
      expect(error.hint).to.contain('"contains"');
    });

    it('a pattern may be as long and as large as the bounds say', () => {
      expect(met('matches', `a*${'|'.repeat(510)}`, ['aa', ''])).to.equal(true);
      expect(met('matches', 'a{248}', ['a'.repeat(248), ''])).to.equal(true);
      expect(() => met('matches', 'a{249}', ['', ''])).to.throw(/too large/);
    });

    for (const [pattern, problem] of [
      ['(', /not valid RE2: missing closing/],
      ['(?=x)', /not valid RE2/],
      ['a{1001}', /not valid RE2/],
      ['((.{10}){10}){10}', /too large/],
      ['.{300}', /too large/],
      ['a'.repeat(513), /longer than 512/],
    ] as const) {
      it(`the pattern ${pattern.slice(0, 20)} is refused before any ticket is read`, () => {
        expect(() => met('matches', pattern, ['x', 'x'])).to.throw(problem);
      });
    }
  });
});
