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
    /** For each operator an expected text, and fields of which the value, the display value, both or neither match. */
    const matching: Record<string, { expected: string; hit: string; miss: string }> = {
      equals: { expected: 'Implement', hit: 'Implement', miss: 'implement' },
      in: { expected: 'Assess, Implement', hit: 'Implement', miss: 'Assess, Implement' },
      contains: { expected: 'plem', hit: 'Implement', miss: 'PLEM' },
      'starts with': { expected: 'Impl', hit: 'Implement', miss: 'to Implement' },
      matches: { expected: 'Impl.*t', hit: 'Implement', miss: 'not Implement' },
    };
    const negations: Record<string, Operator> = {
      equals: 'not equals',
      in: 'not in',
      contains: 'not contains',
    };

    for (const positive of ['equals', 'in', 'contains', 'starts with', 'matches'] as const) {
      const { expected = '', hit = '', miss = '' } = matching[positive] ?? {};
      const rows = [
        { name: 'the value matches', field: [hit, miss], holds: true },
        { name: 'the display value matches', field: [miss, hit], holds: true },
        { name: 'both match', field: [hit, hit], holds: true },
        { name: 'neither matches', field: [miss, miss], holds: false },
        { name: 'the field is blank', field: BLANK, holds: false },
      ] as const;
      for (const { name, field, holds } of rows) {
        it(`"${positive}" ${holds ? 'holds' : 'does not hold'} if ${name}`, () => {
          expect(met(positive, expected, field)).to.equal(holds);
        });
        const negative = negations[positive];
        if (negative !== undefined) {
          it(`"${negative}" ${holds ? 'does not hold' : 'holds'} if ${name}`, () => {
            expect(met(negative, expected, field)).to.equal(!holds);
          });
        }
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
      expect(met('not equals', 'IMPLEMENT', ['-1', 'Implement'], false)).to.equal(false);
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
        if (value !== '') expect(error.message).to.contain(JSON.stringify(value));
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
      errorOf('servicenow.value-too-long', () => met('matches', 'a+', [long, 'x']));
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
