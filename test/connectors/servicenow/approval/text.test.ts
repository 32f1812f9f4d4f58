import { expect } from 'chai';
import * as fc from 'fast-check';
import { clip, isBlank } from '../../../../src/connectors/servicenow/approval/text.ts';

describe('clipping a text', () => {
  it('keeps a short one, and marks where a long one was cut', () => {
    expect(clip('abc', 3)).to.equal('abc');
    expect(clip('abcd', 3)).to.equal('ab…');
  });

  it('never exceeds the bound and never leaves half a character', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.integer({ min: 1, max: 20 }), (text, maxChars) => {
        const clipped = clip(text, maxChars);
        expect(clipped.length).to.be.at.most(maxChars);
        expect(clipped.isWellFormed()).to.equal(true);
      }),
    );
    expect(clip('a😀b', 3)).to.equal('a…');
  });
});

describe('blank', () => {
  it('is nothing, or nothing but space', () => {
    expect(['', ' ', '\t\n', '\u00a0'].map(isBlank)).to.deep.equal([true, true, true, true]);
    expect(isBlank('0')).to.equal(false);
  });
});
