import { expect } from 'chai';
import { mediaType } from '../../src/kit/http-exchange.ts';

describe('the media type of a response', () => {
  for (const [header, expected] of [
    ['application/json', 'application/json'],
    ['Application/JSON; charset=utf-8', 'application/json'],
    [' text/html ;charset=x', 'text/html'],
    ['', ''],
    [';', ''],
  ] as const) {
    it(`is "${expected}" for "${header}"`, () => {
      expect(mediaType({ headers: { 'content-type': header } })).to.equal(expected);
    });
  }

  it('is empty without a header', () => {
    expect(mediaType({ headers: {} })).to.equal('');
  });
});
