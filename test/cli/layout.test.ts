import { expect } from 'chai';
import * as fc from 'fast-check';
import { hanging, padded, printable, terminalOf, widthOf, wrapped } from '../../src/cli/report/layout.ts';

describe('the width of a text', () => {
  for (const [text, columns] of [
    ['', 0],
    ['state', 5],
    ['é', 1],
    ['e\u0301', 1],
    ['東京', 4],
    ['한국', 4],
    ['🚀', 2],
    ['Zürich → 東京', 13],
  ] as const) {
    it(`is ${columns} columns for ${JSON.stringify(text)}`, () => {
      expect(widthOf(text)).to.equal(columns);
      expect(widthOf(padded(text, 20))).to.equal(20);
    });
  }
});

describe('wrapped text', () => {
  it('breaks between words', () => {
    expect(wrapped('The name or password is wrong.', 12)).to.deep.equal([
      'The name or',
      'password is',
      'wrong.',
    ]);
  });

  it('breaks a word that is longer than a line, and text without spaces', () => {
    expect(wrapped('a 0123456789ab c', 5)).to.deep.equal(['a', '01234', '56789', 'ab c']);
    expect(wrapped('東京東京東京', 5)).to.deep.equal(['東京', '東京', '東京']);
  });

  it('leaves an address whole, so that it can be clicked on', () => {
    const url = 'https://example.service-now.com/nav_to.do?uri=change_request.do';
    expect(wrapped(`See ${url} for more`, 20)).to.deep.equal(['See', url, 'for more']);
  });

  it('never has a line that is too long, and loses no word', () => {
    const words = fc.array(fc.stringMatching(/^[a-zé東]{1,30}$/), { minLength: 1, maxLength: 30 });
    fc.assert(
      fc.property(words, fc.integer({ min: 2, max: 60 }), (list, width) => {
        const lines = wrapped(list.join(' '), width);
        expect(lines.every((line) => widthOf(line) <= width)).to.equal(true);
        expect(lines.join('').replaceAll(' ', '')).to.equal(list.join(''));
      }),
    );
  });

  it('hangs below its first line', () => {
    expect(hanging('→ ', 'Check the name and the password.', 18)).to.deep.equal([
      '→ Check the name',
      '  and the',
      '  password.',
    ]);
  });
});

describe("a stranger's text", () => {
  it('cannot move the cursor, set a colour or turn the reading direction', () => {
    expect(printable('a\u001B[2J\u001B[31mred\u202Eder\r\nnext\u0007')).to.equal('a [2J [31mred der next');
  });
});

describe('the terminal', () => {
  const colours = { hasColors: () => true };

  it('has colours only where it is one that shows them', () => {
    expect(terminalOf({ isTTY: true, ...colours }).paint('bad', 'x')).to.equal('\u001B[31mx\u001B[39m');
    for (const stream of [colours, { isTTY: false, ...colours }, { isTTY: true, hasColors: () => false }]) {
      expect(terminalOf(stream).paint('bad', 'x')).to.equal('x');
    }
  });

  it('is as wide as it says, within what can be read', () => {
    expect(terminalOf({ isTTY: true, columns: 97 }).width).to.equal(97);
    expect(terminalOf({ isTTY: true, columns: 20 }).width).to.equal(40);
    expect(terminalOf({ isTTY: true, columns: 300 }).width).to.equal(120);
  });

  it('is 80 columns wide where nobody says', () => {
    expect(terminalOf({}).width).to.equal(80);
    expect(terminalOf({ columns: 200 }).width).to.equal(80);
    expect(terminalOf({ isTTY: true }).width).to.equal(80);
    expect(terminalOf({ isTTY: true, columns: 0 }).width).to.equal(80);
  });
});
