import { expect } from 'chai';
import { forgetOldest } from '../../src/kit/bounds.ts';

describe('forgetting the oldest', () => {
  const entries = (...keys: string[]): Map<string, number> => new Map(keys.map((key, index) => [key, index]));

  it('leaves the youngest, as many as are allowed', () => {
    const map = entries('a', 'b', 'c', 'd');
    forgetOldest(map, 2);
    expect([...map.keys()]).to.deep.equal(['c', 'd']);
  });

  it('leaves alone what is within the bound', () => {
    const map = entries('a', 'b');
    forgetOldest(map, 2);
    expect([...map.keys()]).to.deep.equal(['a', 'b']);
  });

  it('takes a key that was put in anew for young', () => {
    const map = entries('a', 'b', 'c');
    map.delete('a');
    map.set('a', 9);
    forgetOldest(map, 2);
    expect([...map.keys()]).to.deep.equal(['c', 'a']);
  });
});
