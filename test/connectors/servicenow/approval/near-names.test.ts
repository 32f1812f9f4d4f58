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
    // One slip in three letters is near, more are not; in a name shorter than that, one.
    ['startdata', ['start_date']],
    ['strtdata', []],
    ['st', []],
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

  it('the custom prefix counts as nothing, on either side', () => {
    expect(nearNames('u_board', ['board'])).to.deep.equal(['board']);
    expect(nearNames('ab', ['u_ab', 'ab_u_'])).to.deep.equal(['u_ab']);
    expect(nearNames('u_ab', ['u_xy'])).to.deep.equal([]);
  });

  it('letter case counts as nothing', () => {
    expect(nearNames('STRASSE', ['straße', 'strasse'])).to.deep.equal(['strasse', 'straße']);
  });

  it('the name itself is no proposal, and none is made twice', () => {
    expect(nearNames('state', ['state', 'stat', 'stat'])).to.deep.equal(['stat']);
  });

  it('names as near as each other come in the order of the alphabet', () => {
    expect(nearNames('state', ['stata', 'state_', 'estate'])).to.deep.equal(['estate', 'stata', 'state_']);
  });

  it('a short name may have one slip, not two', () => {
    expect(nearNames('ab', ['abc', 'b', 'abcd', 'x'])).to.deep.equal(['abc', 'b']);
  });

  it('what is too long, or comes after too many, is not compared', () => {
    const longest = 'x'.repeat(128);
    expect(nearNames(longest, [`${longest}y`])).to.deep.equal([`${longest}y`]);
    expect(nearNames(`${longest}x`, [`${longest}y`])).to.deep.equal([]);
    const others = (count: number): string[] => Array.from({ length: count }, (_, index) => `other_${index}`);
    expect(nearNames('sate', [...others(1_999), 'state'])).to.deep.equal(['state']);
    expect(nearNames('sate', [...others(2_000), 'state'])).to.deep.equal([]);
  });

  for (const [a, b, edits] of [
    ['staet', 'state', 1],
    ['ab', 'ba', 1],
    ['ab', 'xa', 2],
    ['abc', 'xca', 3],
    ['abcd', 'badc', 2],
    ['ca', 'abc', 3],
    ['kitten', 'sitting', 3],
    ['', 'abc', 3],
    ['abc', 'abc', 0],
  ] as const) {
    it(`from "${a}" to "${b}" it takes ${edits}; a swap of neighbours is one`, () => {
      expect(editDistance(a, b)).to.equal(edits);
    });
  }

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
    expect(error.message).to.equal(
      "The field sate is not in the answer for table change_request: it doesn't exist, or this user may not read it.",
    );
    expect(error.hint).to.match(/^Did you mean state\? Check the spelling/);
    expect(error.details).to.deep.equal({ field: 'sate', table: 'change_request', suggestions: ['state'] });
  });

  it('is named even if nothing else is known', () => {
    const error = fieldMissing('sate');
    expect(error.message).to.contain('is not in the answer for the ticket:');
    expect(error.details).to.deep.equal({ field: 'sate', suggestions: [] });
    expect(error.hint).to.match(/^Check the spelling/);
  });

  it('has all the near names in its hint', () => {
    const { hint } = fieldMissing('_date', 'task', ['a_date', 'b_date']);
    expect(hint).to.match(/^Did you mean a_date, b_date\? /);
  });
});
