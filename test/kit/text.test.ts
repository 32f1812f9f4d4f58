import { expect } from 'chai';
import * as fc from 'fast-check';
import { boundedWords } from '../../src/kit/text.ts';

describe('bounded words', () => {
  it('are one line without control characters', () => {
    expect(boundedWords(' a\u0000\u001b[31m\r\n\tb\u202ec\u00a0 ', 50)).to.equal('a [31m b c');
  });

  it('are undefined where nothing is left', () => {
    for (const nothing of ['', ' \n', '\u0000\u200b']) expect(boundedWords(nothing, 50)).to.equal(undefined);
  });

  it('end between words, with an ellipsis', () => {
    expect(boundedWords('one two three', 9)).to.equal('one two …');
    expect(boundedWords('one two', 7)).to.equal('one two');
  });

  it('say that they were cut, even where the part that was read shrank to little', () => {
    expect(boundedWords(`one two${' '.repeat(1_000)}three`, 20)).to.match(/…$/);
  });

  it('are taken from the beginning of a text alone, however long it is', () => {
    expect(boundedWords('a '.repeat(8_000_000), 5)).to.equal('a a a …');
  });

  it('never exceed their bound by more than the ellipsis and its space', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary', maxLength: 200 }),
        fc.integer({ min: 1, max: 40 }),
        (text, max) => {
          const words = boundedWords(text, max) ?? '';
          expect(words.length).to.be.at.most(max + 2);
          expect(words).to.not.match(/[\p{C}\n]/u);
        },
      ),
    );
  });
});
