import { expect } from 'chai';
import { changeWindowSchema } from '../../../../src/connectors/servicenow/approval/change-window.ts';
import type { Criteria } from '../../../../src/connectors/servicenow/approval/criteria.ts';
import { decide, type ApprovalAnswer } from '../../../../src/connectors/servicenow/approval/decide.ts';
import type { TicketFields } from '../../../../src/connectors/servicenow/approval/ticket.ts';
import { errorOf, expressionCriteria, keyValues } from './support.ts';

const RAW = 'canary  of the ticket';
const SHOWN = { value: '[secret]', displayValue: '[secret]' };

/** A field whose text is a secret, beside others that may be shown. */
const fields: TicketFields = new Map([
  ['note', { value: RAW, displayValue: RAW, shown: SHOWN }],
  ['state', { value: '3', displayValue: 'New' }],
]);

function look(approval: Criteria): ApprovalAnswer {
  return decide({ approval, rejection: null, window: null, fields, now: 0 });
}

describe('a field with a secret in it', () => {
  for (const [name, met, unmet] of [
    [
      'KeyValues',
      keyValues([{ key: 'note', operator: 'starts with', value: 'can' }]),
      keyValues([{ key: 'note', operator: 'equals', value: SHOWN.value }]),
    ],
    [
      'Expression',
      expressionCriteria('ticket.note.value =~ "can.*"'),
      expressionCriteria('ticket.note.value == "[secret]" || ticket.state.value == ticket.note.displayValue'),
    ],
  ] as const) {
    it(`${name} decide on what it holds and show what may be shown`, () => {
      expect(look(met).decision).to.equal('approved');
      expect(look(unmet).decision).to.equal('pending');
      for (const answer of [look(met), look(unmet)]) {
        expect(JSON.stringify(answer)).to.contain(SHOWN.value).and.not.to.contain('canary');
      }
    });
  }

  it('is not quoted where it has no order', () => {
    for (const criteria of [
      keyValues([{ key: 'note', operator: 'less than', value: '3' }]),
      expressionCriteria('ticket.note.value < 3'),
    ]) {
      const error = errorOf('servicenow.not-comparable', () => look(criteria));
      expect(JSON.stringify(error.toWire())).to.contain(SHOWN.value).and.not.to.contain('canary');
    }
  });

  it('is not quoted where it is no date', () => {
    const window = changeWindowSchema.parse({ startField: 'note', endField: 'state' });
    const approval = keyValues([{ key: 'state', operator: 'equals', value: 'New' }]);
    const error = errorOf('servicenow.change-window-invalid', () =>
      decide({ approval, rejection: null, window, fields, now: 0 }),
    );
    expect(JSON.stringify(error.toWire())).to.contain(SHOWN.value).and.not.to.contain('canary');
  });
});
