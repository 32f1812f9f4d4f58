import { expect } from 'chai';
import { APPROVAL_ERRORS } from '../../../../src/connectors/servicenow/approval/errors.ts';

/** What a program may rely on, whatever the words. None is retryable: the ticket or the criteria have to change. */
const CATEGORIES = {
  'servicenow.expression-invalid': 'invalid-input',
  'servicenow.field-missing': 'not-found',
  'servicenow.not-comparable': 'invalid-input',
  'servicenow.value-too-long': 'invalid-input',
  'servicenow.change-window-invalid': 'invalid-input',
  'servicenow.change-window-past': 'refused',
  'servicenow.ticket-on-hold': 'refused',
  'servicenow.ticket-closed': 'refused',
};

describe('the errors of approvals', () => {
  it('keep their codes and categories', () => {
    const categories = Object.entries(APPROVAL_ERRORS).map(([code, { category }]) => [code, category]);
    expect(Object.fromEntries(categories)).to.deep.equal(CATEGORIES);
  });

  for (const [code, kind] of Object.entries(APPROVAL_ERRORS)) {
    it(`${code} is explained, and says what to do, in whole sentences`, () => {
      for (const text of [kind.means, kind.remedy]) {
        expect(text)
          .to.match(/^[A-Z].{20,}\.$/)
          .and.not.to.match(/\s\s|\.[A-Z]/);
      }
      expect(kind).not.to.have.property('retryable');
    });
  }
});
