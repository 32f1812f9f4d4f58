import { expect } from 'chai';
import { changeWindowSchema } from '../../../../src/connectors/servicenow/approval/change-window.ts';
import {
  decide,
  fieldsNeeded,
  type ApprovalAnswer,
} from '../../../../src/connectors/servicenow/approval/decide.ts';
import { errorOf, expressionCriteria, keyValues, ticket, type WrittenCondition } from './support.ts';

const approval = keyValues([{ key: 'state', operator: 'equals', value: 'Implement' }]);
const rejection = keyValues([{ key: 'u_board', operator: 'equals', value: 'Declined' }]);
const window = changeWindowSchema.parse({
  startField: 'start_date',
  endField: 'end_date',
  onMissing: 'pending',
  onPast: 'reject',
});

const NOW = Date.UTC(2026, 2, 1, 11);
const WINDOWS = {
  before: ['2026-03-01 11:30:00', '2026-03-01 12:00:00'],
  inside: ['2026-03-01 10:00:00', '2026-03-01 12:00:00'],
  past: ['2026-03-01 10:00:00', '2026-03-01 10:30:00'],
  undated: ['', ''],
} as const;

function look(is: {
  approved: boolean;
  declined: boolean;
  window: keyof typeof WINDOWS | 'none';
}): ApprovalAnswer {
  const [start, end] = WINDOWS[is.window === 'none' ? 'undated' : is.window];
  const fields = ticket({
    state: is.approved ? ['-1', 'Implement'] : ['-5', 'New'],
    u_board: is.declined ? 'Declined' : '',
    start_date: start,
    end_date: end,
  });
  return decide({ approval, rejection, window: is.window === 'none' ? null : window, fields, now: NOW });
}

describe('deciding', () => {
  describe('approval goes first, then the window, and rejection only where approval is not met', () => {
    const rows: [boolean, boolean, keyof typeof WINDOWS | 'none', ApprovalAnswer['decision'], string][] = [
      [true, false, 'none', 'approved', 'approved: state is Implement'],
      [true, true, 'none', 'approved', 'approved: state is Implement'],
      [
        true,
        false,
        'inside',
        'approved',
        'approved: state is Implement, and the change window is open until 2026-03-01 12:00:00 UTC',
      ],
      [
        true,
        true,
        'inside',
        'approved',
        'approved: state is Implement, and the change window is open until 2026-03-01 12:00:00 UTC',
      ],
      [
        true,
        false,
        'before',
        'pending',
        'waiting for the change window: it opens at 2026-03-01 11:30:00 UTC',
      ],
      [true, true, 'before', 'pending', 'waiting for the change window: it opens at 2026-03-01 11:30:00 UTC'],
      [
        true,
        true,
        'undated',
        'pending',
        'waiting for the change window: it has no start yet (start_date is blank)',
      ],
      [true, false, 'past', 'rejected', 'rejected: the change window ended at 2026-03-01 10:30:00 UTC'],
      [false, true, 'none', 'rejected', 'rejected: u_board is Declined'],
      [false, true, 'before', 'rejected', 'rejected: u_board is Declined'],
      [false, true, 'past', 'rejected', 'rejected: u_board is Declined'],
      [false, false, 'none', 'pending', 'waiting: state is New, not Implement'],
      [false, false, 'inside', 'pending', 'waiting: state is New, not Implement'],
      [false, false, 'undated', 'pending', 'waiting: state is New, not Implement'],
    ];
    for (const [approved, declined, at, decision, reason] of rows) {
      const name = `${approved ? 'met' : 'not met'}, ${declined ? 'declined' : 'not declined'}, window ${at}`;
      it(`${name}: ${decision}`, () => {
        const answer = look({ approved, declined, window: at });
        expect(answer).to.include({ decision, reason });
        expect(answer.approval.met).to.equal(approved);
        expect(answer.rejection === null, 'rejection looked at').to.equal(approved);
        expect(answer.window === null, 'window looked at').to.equal(!approved || at === 'none');
      });
    }
  });

  it('without rejection criteria nothing is rejected', () => {
    const fields = ticket({ state: ['4', 'Canceled'] });
    const answer = decide({ approval, rejection: null, window: null, fields, now: NOW });
    expect(answer).to.deep.include({ decision: 'pending', rejection: null });
  });

  it('a field of the rejection criteria that was not answered fails at the first look, not at the last', () => {
    const fields = ticket({ state: ['-1', 'Implement'] });
    const error = errorOf('servicenow.field-missing', () =>
      decide({ approval, rejection, window: null, fields, now: NOW }),
    );
    expect(error.details).to.have.property('field', 'u_board');
  });

  it('asks for the fields of all three, each once', () => {
    expect([...fieldsNeeded({ approval, rejection, window })]).to.deep.equal([
      'state',
      'u_board',
      'start_date',
      'end_date',
    ]);
    expect([...fieldsNeeded({ approval, rejection: null, window: null })]).to.deep.equal(['state']);
  });

  describe('the reason is one sentence that can be acted on', () => {
    const fields = ticket({
      state: ['-5', 'New'],
      risk: ['2', 'High'],
      approval: ['requested', 'Requested'],
      close_code: '',
      start_date: ['2026-03-01 10:00:00', '01/03/2026 11:00'],
      work_notes: ['', `a long\n journal ${'x'.repeat(500)}`],
    });
    const reasonOf = (criteria: ReturnType<typeof keyValues>): string =>
      decide({ approval: criteria, rejection: null, window: null, fields, now: NOW }).reason;
    const one = (condition: WrittenCondition): string => reasonOf(keyValues([condition]));

    const rows: [WrittenCondition, string][] = [
      [{ key: 'close_code', operator: 'equals', value: 'successful' }, 'close_code is blank, not successful'],
      [{ key: 'state', operator: 'equals', value: '' }, 'state is New, not blank'],
      [{ key: 'state', operator: 'not equals', value: '-5' }, 'state is New and must not be -5'],
      [{ key: 'state', operator: 'in', value: 'Review,Closed' }, 'state is New, not one of Review,Closed'],
      [{ key: 'state', operator: 'not in', value: 'New' }, 'state is New and must not be one of New'],
      [{ key: 'risk', operator: 'contains', value: 'Low' }, 'risk is High, which does not contain "Low"'],
      [{ key: 'risk', operator: 'not contains', value: 'H' }, 'risk is High and must not contain "H"'],
      [{ key: 'risk', operator: 'starts with', value: 'L' }, 'risk is High, which does not start with "L"'],
      [
        { key: 'risk', operator: 'matches', value: 'L.*' },
        'risk is High, which does not match the pattern L.*',
      ],
      [
        { key: 'risk', operator: 'greater than', value: '2' },
        'risk has the value 2 (shown as High), not greater than 2',
      ],
      [
        { key: 'risk', operator: 'less than or equals', value: '1' },
        'risk has the value 2 (shown as High), greater than 1',
      ],
    ];
    for (const [condition, reason] of rows) {
      it(reason, () => {
        expect(one(condition)).to.equal(`waiting: ${reason}`);
      });
    }

    for (const [operator, value, reason] of [
      ['greater than or equals', '3', 'less than 3'],
      ['less than', '2', 'not less than 2'],
    ] as const) {
      it(`"${operator}" ${value}: ${reason}`, () => {
        expect(one({ key: 'risk', operator, value })).to.equal(
          `waiting: risk has the value 2 (shown as High), ${reason}`,
        );
      });
    }

    it('a value without a display value is named by itself', () => {
      const dangling = ticket({ assigned_to: ['681ccaf9', ''], note: [' two  lines ', ' two  lines '] });
      const first = keyValues([{ key: 'assigned_to', operator: 'equals', value: 'Beth' }]);
      const second = keyValues([{ key: 'note', operator: 'equals', value: ' 3 ' }]);
      const reasonFor = (criteria: ReturnType<typeof keyValues>): string =>
        decide({ approval: criteria, rejection: null, window: null, fields: dangling, now: NOW }).reason;
      expect(reasonFor(first)).to.equal('waiting: assigned_to is 681ccaf9, not Beth');
      expect(reasonFor(second)).to.equal('waiting: note is two lines, not 3');
    });

    it('of what is approved or rejected, only what holds is named', () => {
      const either = keyValues(
        [
          { key: 'state', operator: 'equals', value: 'Closed' },
          { key: 'risk', operator: 'equals', value: 'High' },
        ],
        { matchAnyCondition: true },
      );
      const none = keyValues([{ key: 'state', operator: 'equals', value: 'Closed' }]);
      const question = { window: null, fields, now: NOW };
      expect(decide({ ...question, approval: either, rejection: null }).reason).to.equal(
        'approved: risk is High',
      );
      expect(decide({ ...question, approval: none, rejection: either }).reason).to.equal(
        'rejected: risk is High',
      );
    });

    it('"any one of these" is said of two or more', () => {
      const criteria = keyValues([{ key: 'state', operator: 'equals', value: 'a' }], {
        matchAnyCondition: true,
      });
      expect(reasonOf(criteria)).to.equal('waiting: state is New, not a');
    });

    it('as many conditions as are named need no count', () => {
      const conditions: WrittenCondition[] = ['a', 'b', 'c', 'c'].map((value) => ({
        key: 'state',
        operator: 'equals',
        value,
      }));
      expect(reasonOf(keyValues(conditions))).to.match(/not a; state is New, not b; state is New, not c$/);
    });

    it('several open conditions are named, and more are counted', () => {
      const conditions: WrittenCondition[] = ['a', 'b', 'c', 'd', 'e'].map((value) => ({
        key: 'state',
        operator: 'equals',
        value,
      }));
      expect(reasonOf(keyValues(conditions))).to.equal(
        'waiting: state is New, not a; state is New, not b; state is New, not c; and 2 more',
      );
      expect(reasonOf(keyValues(conditions.slice(0, 2), { matchAnyCondition: true }))).to.equal(
        'waiting for any one of these to change: state is New, not a; state is New, not b',
      );
    });

    it('an expression that compares the wrong side shows both', () => {
      expect(reasonOf(expressionCriteria('ticket.state.value == "New"'))).to.equal(
        'waiting: state has the value -5 (shown as New), not New',
      );
    });

    it('an expression names what is open, not what already holds', () => {
      const source =
        'ticket.risk.value < 3 && !(ticket.state.displayValue == "New" || empty(ticket.close_code.value))';
      expect(reasonOf(expressionCriteria(source))).to.equal('waiting: state is New and must not be New');
      expect(reasonOf(expressionCriteria('ticket.risk.value > 3 || !true'))).to.equal(
        'waiting: risk has the value 2 (shown as High), not greater than 3; the expression says true',
      );
      expect(reasonOf(expressionCriteria('ticket.state.displayValue !~ "N.*"'))).to.equal(
        'waiting: state is New and must not match the pattern N.*',
      );
    });

    it('long values are cut and brought to one line', () => {
      const reason = one({ key: 'work_notes', operator: 'contains', value: 'done' });
      expect(reason)
        .to.match(/^waiting: work_notes is a long journal x+…, which/)
        .and.to.have.length.below(160);
    });
  });
});
