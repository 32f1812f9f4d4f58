import { expect } from 'chai';
import type { Criteria } from '../../../../src/connectors/servicenow/approval/criteria.ts';
import { changeWindowSchema } from '../../../../src/connectors/servicenow/approval/change-window.ts';
import { decide, fieldsNeeded } from '../../../../src/connectors/servicenow/approval/decide.ts';
import type { TicketFields } from '../../../../src/connectors/servicenow/approval/ticket.ts';
import { ticketWarnings, WARNING_FIELDS } from '../../../../src/connectors/servicenow/approval/warnings.ts';
import type { DelegateError } from '../../../../src/kit/errors.ts';
import { expressionCriteria, keyValues, ticket, type WrittenCondition } from './support.ts';

const IMPLEMENT: WrittenCondition = { key: 'state', operator: 'equals', value: 'Implement' };
const approval = keyValues([IMPLEMENT]);
const rejection = keyValues([{ key: 'state', operator: 'equals', value: 'Canceled' }]);

const READY = { state: ['-1', 'Implement'], start_date: '2026-03-01', end_date: '2026-03-02' } as const;
const CLOSED = { ...READY, state: ['3', 'Closed'] } as const;

function warned(
  fields: TicketFields,
  criteria: { approval?: Criteria; rejection?: Criteria | null; beforeWindow?: true } = {},
): DelegateError[] {
  const window = changeWindowSchema.parse({ startField: 'start_date', endField: 'end_date' });
  const question = {
    approval,
    rejection: null,
    window: criteria.beforeWindow === true ? window : null,
    ...criteria,
  };
  return ticketWarnings(question, decide({ ...question, fields, now: Date.UTC(2026, 1, 1) }), fields);
}

function codes(warnings: readonly DelegateError[]): string[] {
  return warnings.map(({ code }) => code);
}

describe('what a ticket says against the answer', () => {
  it('is asked for in fields that no answer needs', () => {
    expect(WARNING_FIELDS).to.deep.equal(['on_hold', 'active']);
    expect([...fieldsNeeded({ approval, rejection, window: null })]).not.to.include.members([
      ...WARNING_FIELDS,
    ]);
  });

  it('nothing, if the ticket has no such fields or they are as usual', () => {
    for (const state of [READY, CLOSED]) {
      expect(warned(ticket({ ...state }))).to.deep.equal([]);
      expect(warned(ticket({ ...state, on_hold: 'false', active: 'true' }))).to.deep.equal([]);
      expect(warned(ticket({ ...state, on_hold: '', active: '' }))).to.deep.equal([]);
    }
  });

  describe('approved and on hold', () => {
    const held = { ...READY, on_hold: ['true', 'Ja'] } as const;

    it('names the field, its value and the condition that would wait', () => {
      const [warning, ...others] = warned(ticket(held));
      expect(others).to.deep.equal([]);
      expect(warning?.code).to.equal('servicenow.ticket-on-hold');
      expect(warning?.message).to.equal('The ticket is approved although it is on hold: on_hold is true.');
      expect(warning?.hint).to.contain('"on_hold equals false" to the approval criteria');
      expect(warning?.details).to.deep.equal({ field: 'on_hold' });
    });

    it('the condition that the hint proposes takes the warning away, and waits', () => {
      const criteria = keyValues([IMPLEMENT, { key: 'on_hold', operator: 'equals', value: 'false' }]);
      expect(warned(ticket(held), { approval: criteria })).to.deep.equal([]);
      expect(
        decide({ approval: criteria, rejection: null, window: null, fields: ticket(held), now: 0 }),
      ).to.include({
        decision: 'pending',
      });
    });

    it('somebody who asks about on_hold has decided', () => {
      const either = expressionCriteria('ticket.state.value == -1 || ticket.on_hold.value == true');
      expect(warned(ticket(held), { approval: either })).to.deep.equal([]);
      const onHold = keyValues([{ key: 'on_hold', operator: 'equals', value: 'true' }]);
      expect(warned(ticket(held), { rejection: onHold })).to.deep.equal([]);
    });

    it('is no matter while the ticket waits or is rejected', () => {
      const waiting = { ...CLOSED, on_hold: 'true' };
      expect(warned(ticket(waiting))).to.deep.equal([]);
      const closed = keyValues([{ key: 'state', operator: 'equals', value: 'Closed' }]);
      expect(warned(ticket(waiting), { rejection: closed })).to.deep.equal([]);
      expect(warned(ticket(held), { beforeWindow: true })).to.deep.equal([]);
    });
  });

  describe('waited for and closed', () => {
    const closed = { ...CLOSED, active: ['false', 'Nein'], on_hold: 'true' } as const;

    it('names the field, its value and the condition that would end the wait', () => {
      const [warning, ...others] = warned(ticket(closed), { rejection });
      expect(others).to.deep.equal([]);
      expect(warning?.code).to.equal('servicenow.ticket-closed');
      expect(warning?.message).to.equal(
        'The ticket is closed and will hardly be approved any more: active is false.',
      );
      expect(warning?.hint).to.contain('"active equals false" to the rejection criteria');
      expect(warning?.details).to.deep.equal({ field: 'active' });
    });

    it('the condition that the hint proposes rejects, without a warning', () => {
      const criteria = keyValues([{ key: 'active', operator: 'equals', value: 'false' }]);
      expect(warned(ticket(closed), { rejection: criteria })).to.deep.equal([]);
      expect(
        decide({ approval, rejection: criteria, window: null, fields: ticket(closed), now: 0 }),
      ).to.include({
        decision: 'rejected',
      });
    });

    it('somebody who asks about active in the approval criteria has decided', () => {
      const both = keyValues([IMPLEMENT, { key: 'active', operator: 'equals', value: 'true' }]);
      expect(warned(ticket(closed), { approval: both })).to.deep.equal([]);
    });

    it('is no matter to a ticket that meets the criteria and waits for its window alone', () => {
      const before = { ...READY, active: 'false' };
      expect(codes(warned(ticket(before), { beforeWindow: true }))).to.deep.equal([]);
    });

    it('is no matter once the ticket is approved or rejected', () => {
      const whenClosed = keyValues([{ key: 'state', operator: 'equals', value: 'Closed' }]);
      expect(warned(ticket({ ...closed, on_hold: 'false' }), { approval: whenClosed })).to.deep.equal([]);
      expect(warned(ticket(closed), { rejection: whenClosed })).to.deep.equal([]);
    });
  });
});
