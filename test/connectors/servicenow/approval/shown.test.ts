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
      keyValues([{ key: 'note', operator: 'equals', value: RAW }]),
      keyValues([{ key: 'note', operator: 'equals', value: SHOWN.value }]),
    ],
    [
      'Expression',
      expressionCriteria('ticket.note.value == "canary  of the ticket"'),
      expressionCriteria('ticket.note.value == "[secret]" || ticket.state.value == ticket.note.displayValue'),
    ],
  ] as const) {
    it(`${name} decide on all that it holds and show what may be shown`, () => {
      expect(look(met).decision).to.equal('approved');
      expect(look(unmet).decision).to.equal('pending');
      const shown = [look(met), look(unmet)].flatMap(({ approval }) => approval.conditions);
      for (const { value, displayValue } of shown.filter(({ key }) => key === 'note')) {
        expect({ value, displayValue }).to.deep.equal(SHOWN);
      }
    });
  }

  for (const criteria of [
    keyValues([{ key: 'note', operator: 'starts with', value: 'can' }]),
    keyValues([{ key: 'note', operator: 'contains', value: 'ary' }]),
    keyValues([{ key: 'note', operator: 'matches', value: 'can.*' }]),
    expressionCriteria('ticket.note.value =~ "can.*"'),
    expressionCriteria('ticket.note.displayValue =~ ".*ticket"'),
  ]) {
    it(`is not told part by part: ${JSON.stringify(criteria.type === 'Expression' ? 'expression' : criteria.conditions[0]?.operator)}`, () => {
      expect(look(criteria).decision).to.equal('pending');
    });
  }

  it('is not found by halving', () => {
    const pin = { value: '48151623', displayValue: '48151623', shown: SHOWN };
    for (const approval of [
      keyValues([{ key: 'pin', operator: 'greater than', value: '40000000' }]),
      expressionCriteria('ticket.pin.value > 40000000'),
    ]) {
      errorOf('servicenow.not-comparable', () =>
        decide({ approval, rejection: null, window: null, fields: new Map([['pin', pin]]), now: 0 }),
      );
    }
  });

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
