import { expect } from 'chai';
import * as fc from 'fast-check';
import { parseList } from '../../../../src/connectors/servicenow/approval/list.ts';

describe('the list of "in"', () => {
  const rows: [string, string[]][] = [
    ['Implement', ['Implement']],
    [' New ,Assess ,  On  hold ', ['New', 'Assess', 'On  hold']],
    ['\t"a"\t,\tb c\t', ['a', 'b c']],
    ['"Closed, complete" , Closed', ['Closed, complete', 'Closed']],
    ['"say ""go""",5" pipe', ['say "go"', '5" pipe']],
    ['" padded "', [' padded ']],
    ['a, ""', ['a', '']],
    ['', ['']],
    ['  ', ['']],
  ];
  for (const [text, items] of rows) {
    it(`${JSON.stringify(text)} has the items ${JSON.stringify(items)}`, () => {
      expect(parseList(text)).to.deep.equal({ items });
    });
  }

  for (const text of ['a,', ',a', 'a,,b', ' , ']) {
    it(`${JSON.stringify(text)} is refused: its blank item is more likely a slip than a wish`, () => {
      expect(parseList(text)).to.have.property('problem').that.contains('is blank; write ""');
    });
  }

  it('the item that is wrong is counted from one', () => {
    expect(parseList('a,b,,c')).to.deep.equal({
      problem: 'item 3 is blank; write "" if a blank field is meant',
    });
    expect(parseList('"a"b'))
      .to.have.property('problem')
      .that.matches(/^item 1 begins with a quote/);
  });

  for (const text of ['"a', 'x, "a"b', '"""']) {
    it(`${JSON.stringify(text)} is refused: its quote is not closed`, () => {
      expect(parseList(text)).to.have.property('problem').that.contains('not closed');
    });
  }

  it('gives back any items that were quoted', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'binary' }), { minLength: 1 }), (items) => {
        const text = items.map((item) => `"${item.replaceAll('"', '""')}"`).join(' , ');
        expect(parseList(text)).to.deep.equal({ items });
      }),
    );
  });

  it('gives back plain items whatever the spaces around them', () => {
    const plain = fc.stringMatching(/^[a-zA-Z0-9][a-zA-Z0-9 "'_-]{0,20}$/).map((item) => item.trim());
    const space = fc.stringMatching(/^[ \t]{0,3}$/);
    fc.assert(
      fc.property(fc.array(fc.tuple(space, plain, space), { minLength: 1 }), (parts) => {
        const text = parts.map((part) => part.join('')).join(',');
        expect(parseList(text)).to.deep.equal({ items: parts.map(([, item]) => item) });
      }),
    );
  });

  it('answers any text, with items or with a problem', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(Object.keys(parseList(text))).to.have.length(1);
      }),
    );
  });
});
