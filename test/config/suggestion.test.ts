import { expect } from 'chai';
import * as fc from 'fast-check';
import { meant, nearestWord } from '../../src/config/suggestion.ts';

const KNOWN = ['capacity', 'check', 'config', 'validate', 'state-dir'];

describe('what a misspelt word may have meant', () => {
  for (const [typed, known] of [
    ['capcity', 'capacity'],
    ['capacityy', 'capacity'],
    ['cpaacity', 'capacity'],
    ['chekc', 'check'],
    ['Validate', 'validate'],
    ['state_dir', 'state-dir'],
  ] as const) {
    it(`is ${known} for ${typed}`, () => {
      expect(nearestWord(typed, KNOWN)).to.equal(known);
    });
  }

  for (const typed of ['', 'x', 'deploy', 'hunter2', 'a'.repeat(100_000)]) {
    it(`is nothing for ${typed.slice(0, 10) || 'no word at all'}, which is another word`, () => {
      expect(meant(typed, KNOWN)).to.equal('');
    });
  }

  it('is put behind a complaint', () => {
    expect(meant('capcity', KNOWN, '--')).to.equal('; did you mean --capacity?');
  });

  it('is found for every word with one slip in it', () => {
    const slip = fc.record({
      word: fc.constantFrom('capacity', 'validate', 'state-dir'),
      at: fc.nat(),
      letter: fc.constantFrom('q', 'z'),
    });
    fc.assert(
      fc.property(slip, ({ word, at, letter }) => {
        const index = at % word.length;
        for (const slipped of [
          word.slice(0, index) + word.slice(index + 1),
          word.slice(0, index) + letter + word.slice(index),
          word.slice(0, index) + letter + word.slice(index + 1),
        ]) {
          expect(nearestWord(slipped, KNOWN)).to.equal(word);
        }
      }),
    );
  });
});
