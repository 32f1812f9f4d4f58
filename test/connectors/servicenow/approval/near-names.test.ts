import { expect } from 'chai';
import * as fc from 'fast-check';
import { editDistance, nearNames } from '../../../../src/connectors/servicenow/approval/near-names.ts';
import { fieldMissing } from '../../../../src/connectors/servicenow/approval/ticket.ts';

const COLUMNS = [
  'state',
  'approval',
  'short_description',
  'u_risk_level',
  'assigned_to',
  'start_date',
  'end_date',
];

describe('near names', () => {
  const rows: [string, string[]][] = [
    ['sate', ['state']],
    ['satte', ['state']],
    ['State', ['state']],
    ['risk_level', ['u_risk_level']],
    ['short_desc', []],
    ['start_dat', ['start_date']],
    ['completely_other', []],
  ];
  for (const [missing, near] of rows) {
    it(`${missing} was probably ${near[0] ?? 'none of the names'}`, () => {
      expect(nearNames(missing, COLUMNS)).to.deep.equal(near);
    });
  }

  it('proposes three names at most, the nearest first', () => {
    expect(nearNames('state', ['stat', 'states', 'stale', 'stable', 'slate'])).to.deep.equal([
      'slate',
      'stale',
      'stat',
    ]);
  });

  it('a swap of neighbours is one slip', () => {
    expect(editDistance('staet', 'state')).to.equal(1);
  });

  it('the distance is symmetric, zero only between equals, and no more than the longer length', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 12 }), fc.string({ maxLength: 12 }), (a, b) => {
        const distance = editDistance(a, b);
        expect(distance).to.equal(editDistance(b, a));
        expect(distance === 0).to.equal(a === b);
        expect(distance).to.be.at.most(Math.max(a.length, b.length));
      }),
    );
  });
});

describe('a missing field', () => {
  it('is named, with its table and what it may have been', () => {
    const error = fieldMissing('sate', 'change_request', COLUMNS);
    expect(error.code).to.equal('servicenow.field-missing');
    expect(error.message).to.contain('sate').and.to.contain('change_request');
    expect(error.message).to.contain("it doesn't exist, or this user may not read it");
    expect(error.hint).to.contain('Did you mean state?');
    expect(error.details).to.deep.equal({ field: 'sate', table: 'change_request', suggestions: ['state'] });
  });

  it('is named even if nothing else is known', () => {
    const error = fieldMissing('sate');
    expect(error.details).to.deep.equal({ field: 'sate', suggestions: [] });
    expect(error.hint).not.to.contain('Did you mean');
  });
});
