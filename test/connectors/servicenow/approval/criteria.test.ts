import { expect } from 'chai';
import {
  approvalCriteriaSchema,
  evaluate,
  fieldsOf,
  MAX_CONDITIONS,
  MAX_EXPECTED_VALUE_CHARS,
  rejectionCriteriaSchema,
} from '../../../../src/connectors/servicenow/approval/criteria.ts';
import { MAX_PATTERNS } from '../../../../src/connectors/servicenow/approval/pattern.ts';
import { MAX_TRACE_TEXT_CHARS } from '../../../../src/connectors/servicenow/approval/trace.ts';
import { errorOf, expressionCriteria, keyValues, ticket, type WrittenCondition } from './support.ts';

const STATE: WrittenCondition = { key: 'state', operator: 'equals', value: 'Implement' };

/** What is wrong with the criteria, each complaint behind the path of its field. */
function complaints(raw: unknown): string[] {
  const parsed = approvalCriteriaSchema.safeParse(raw);
  return parsed.success
    ? []
    : parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
}

function spec(conditions: unknown[]): unknown {
  return { type: 'KeyValues', spec: { conditions } };
}

describe('criteria as they are written', () => {
  it('each complaint names its field', () => {
    const raw = spec([
      STATE,
      { key: 'state^NQactive=true', operator: 'equals', value: '' },
      { key: 'state', operator: 'not equal', value: 'x' },
      { key: 'state', operator: 'equals', value: 3 },
    ]);
    expect(complaints(raw)).to.have.length(3);
    expect(complaints(raw)[0]).to.match(/^spec\.conditions\.1\.key: a field name is needed/);
    expect(complaints(raw)[1]).to.match(
      /^spec\.conditions\.2\.operator: one of equals, .*did you mean "not equals"\?$/,
    );
    expect(complaints(raw)[2]).to.match(/^spec\.conditions\.3\.value: .*string/);
  });

  it('a value that its operator can not use is named by its path, every one of them', () => {
    const found = complaints(
      spec([
        { key: 'state', operator: 'matches', value: '(' },
        STATE,
        { key: 'risk', operator: 'less than', value: 'High' },
        { key: 'risk', operator: 'in', value: '"a' },
      ]),
    );
    expect(found.map((complaint) => complaint.split(':')[0])).to.deep.equal([
      'spec.conditions.0.value',
      'spec.conditions.2.value',
      'spec.conditions.3.value',
    ]);
  });

  it('more patterns than a task can afford are refused, all at once and before any is compiled', () => {
    const patterns = (count: number): unknown[] =>
      Array.from({ length: count }, () => ({ key: 'state', operator: 'matches', value: '.*a' }));
    expect(complaints(spec([STATE, ...patterns(MAX_PATTERNS)]))).to.deep.equal([]);
    const found = complaints(
      spec([...patterns(MAX_PATTERNS), { key: 'a', operator: 'matches', value: '(' }]),
    );
    expect(found).to.have.length(1);
    expect(found[0]).to.match(/^spec\.conditions: at most 8 conditions may use "matches"/);
  });

  it('the patterns of an expression are counted, its lists are not', () => {
    const raw = (patterns: number): unknown => {
      const terms = Array.from({ length: patterns }, (_, index) =>
        index % 2 === 0 ? 'ticket.a.value =~ ".*a"' : 'ticket.a.value !~ ".*a"',
      );
      const lists = Array.from({ length: 20 }, () => 'ticket.a.value =~ ["a"]');
      return { type: 'Expression', spec: { expression: [...lists, ...terms].join(' && ') } };
    };
    expect(complaints(raw(MAX_PATTERNS))).to.deep.equal([]);
    expect(complaints(raw(MAX_PATTERNS + 1)).join()).to.match(
      /^spec\.expression: the expression has more than 8 patterns/,
    );
  });

  it('an operator that is like none is answered with the list alone', () => {
    for (const operator of ['resembles', 5, null]) {
      const [complaint] = complaints(spec([{ ...STATE, operator }]));
      expect(complaint, String(operator)).to.match(/: one of equals, not equals, in, .* is needed$/);
    }
  });

  it('a field name that can not be one is told what one is', () => {
    const [complaint] = complaints(spec([{ ...STATE, key: 'State' }]));
    expect(complaint).to.equal(
      'spec.conditions.0.key: a field name is needed: a lower-case letter, then lower-case letters, digits, "_" ' +
        'and "." (at most 128 characters)',
    );
  });

  it('what has no type at all, or is no object, is told which there are', () => {
    for (const raw of [{ spec: {} }, { type: 5, spec: {} }]) {
      expect(complaints(raw)).to.deep.equal(['type: one of KeyValues, Expression, Jexl is needed']);
    }
    expect(complaints('state == "Implement"').join()).to.match(/expected object/);
  });

  it('letter case counts unless "caseSensitive" is false', () => {
    const criteria = (options: object): boolean => {
      const raw = { type: 'KeyValues', spec: { ...options, conditions: [STATE] } };
      return evaluate(approvalCriteriaSchema.parse(raw), ticket({ state: 'IMPLEMENT' })).met;
    };
    expect(criteria({})).to.equal(false);
    expect(criteria({ caseSensitive: true })).to.equal(false);
    expect(criteria({ caseSensitive: false })).to.equal(true);
  });

  it('an unknown type is named along with the known ones', () => {
    expect(complaints({ type: 'Groovy', spec: {} })).to.deep.equal([
      'type: one of KeyValues, Expression, Jexl is needed, not "Groovy"',
    ]);
  });

  it('a bad expression is shown with a caret under the place', () => {
    const [complaint] = complaints({ type: 'Jexl', spec: { expression: 'ticket.state.value = "3"' } });
    expect(complaint).to.match(/^spec\.expression: .*line 1, column 20/);
    expect(complaint?.split('\n').slice(1)).to.deep.equal(['ticket.state.value = "3"', `${' '.repeat(19)}^`]);
  });

  it('approval demands something', () => {
    for (const raw of [
      spec([]),
      { type: 'Expression', spec: { expression: '  ' } },
      { type: 'Jexl', spec: {} },
    ]) {
      expect(complaints(raw)).to.deep.equal(['spec: at least one condition is needed']);
    }
    expect(approvalCriteriaSchema.safeParse(null).success).to.equal(false);
  });

  it('rejection may demand nothing', () => {
    for (const raw of [undefined, null, spec([]), { type: 'Jexl', spec: { expression: '' } }]) {
      expect(rejectionCriteriaSchema.parse(raw)).to.equal(null);
    }
    expect(rejectionCriteriaSchema.parse(spec([STATE]))).to.have.property('type', 'KeyValues');
  });

  it('the bounds hold: conditions, value, name', () => {
    expect(complaints(spec(Array.from({ length: MAX_CONDITIONS }, () => STATE)))).to.deep.equal([]);
    expect(complaints(spec(Array.from({ length: MAX_CONDITIONS + 1 }, () => STATE)))).to.have.length(1);
    expect(complaints(spec([{ ...STATE, value: 'x'.repeat(MAX_EXPECTED_VALUE_CHARS) }]))).to.deep.equal([]);
    expect(complaints(spec([{ ...STATE, value: 'x'.repeat(MAX_EXPECTED_VALUE_CHARS + 1) }]))).to.have.length(
      1,
    );
    expect(complaints(spec([{ ...STATE, key: 'x'.repeat(128) }]))).to.deep.equal([]);
    expect(complaints(spec([{ ...STATE, key: 'x'.repeat(129) }]))).to.have.length(1);
  });

  it('keys that this version does not know are ignored', () => {
    const raw = { type: 'KeyValues', note: 1, spec: { conditions: [{ ...STATE, since: 2 }], x: 1 } };
    expect(complaints(raw)).to.deep.equal([]);
  });

  it('a value left out is blank', () => {
    const criteria = approvalCriteriaSchema.parse(
      spec([{ key: 'close_code', operator: 'equals', value: null }]),
    );
    expect(evaluate(criteria, ticket({ close_code: '' })).met).to.equal(true);
  });

  it('knows which fields to ask for', () => {
    const risk: WrittenCondition = { key: 'risk', operator: 'in', value: 'Low' };
    expect([...fieldsOf(keyValues([STATE, risk, STATE]))]).to.deep.equal(['state', 'risk']);
    const expression = expressionCriteria(
      'ticket.state.value == "3" || !empty(ticket.assigned_to.name.displayValue)',
    );
    expect([...fieldsOf(expression)]).to.deep.equal(['state', 'assigned_to.name']);
  });
});

describe('criteria on a ticket', () => {
  const approved: WrittenCondition = { key: 'approval', operator: 'equals', value: 'approved' };
  const fields = ticket({ state: ['-1', 'Implement'], approval: ['requested', 'Requested'] });

  it('all conditions must hold, unless any will do', () => {
    expect(evaluate(keyValues([STATE, approved]), fields).met).to.equal(false);
    expect(evaluate(keyValues([STATE, approved], { matchAnyCondition: true }), fields).met).to.equal(true);
    expect(evaluate(keyValues([approved], { matchAnyCondition: true }), fields).met).to.equal(false);
  });

  it('the trace has every condition, also those behind one that decided', () => {
    expect(evaluate(keyValues([approved, STATE]), fields).conditions).to.deep.equal([
      {
        key: 'approval',
        operator: 'equals',
        expected: 'approved',
        value: 'requested',
        displayValue: 'Requested',
        compared: 'either',
        met: false,
      },
      {
        key: 'state',
        operator: 'equals',
        expected: 'Implement',
        value: '-1',
        displayValue: 'Implement',
        compared: 'either',
        met: true,
      },
    ]);
  });

  it('texts in the trace are bounded', () => {
    const [entry] = evaluate(keyValues([STATE]), ticket({ state: 'x'.repeat(100_000) })).conditions;
    expect(entry?.displayValue).to.have.length(MAX_TRACE_TEXT_CHARS);
  });

  it('a field that was not answered is an error, never blank, even where it would not have mattered', () => {
    const criteria = [
      keyValues([STATE, { key: 'u_gone', operator: 'equals', value: '' }], { matchAnyCondition: true }),
      keyValues([STATE, { key: 'u_gone', operator: 'not equals', value: 'x' }]),
      expressionCriteria('ticket.state.value == "-1" || ticket.u_gone.value == "x"'),
      expressionCriteria('ticket.u_gone.value == null'),
    ];
    for (const each of criteria) {
      const error = errorOf('servicenow.field-missing', () => evaluate(each, fields));
      expect(error.details).to.have.property('field', 'u_gone');
      expect(error.message)
        .to.contain('u_gone')
        .and.to.contain("it doesn't exist, or this user may not read it");
    }
  });
});
