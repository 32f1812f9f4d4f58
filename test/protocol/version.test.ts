import { expect } from 'chai';
import * as fc from 'fast-check';
import { buildNumber } from '../../src/protocol/version.ts';

describe('the build number of a version', () => {
  it('is its last part, as a number', () => {
    expect(buildNumber('26.11.90100')).to.equal(90_100);
    expect(buildNumber('23.06.79812')).to.equal(79_812);
    expect(buildNumber('26.11.007')).to.equal(7);
  });

  it('compares as a number, not as text', () => {
    expect(buildNumber('26.11.100000')).to.be.above(buildNumber('26.11.99999') ?? Infinity);
  });

  it('is undefined for anything else, so that a gate never compares a guess', () => {
    for (const text of [
      '',
      '26.11',
      '2026.11.1',
      '26.1.1',
      '26.11.1-rc1',
      'v26.11.1',
      '26.11.1\n',
      '26.11.1234567890',
    ]) {
      expect(buildNumber(text), text).to.equal(undefined);
    }
  });

  it('survives being written, whatever year and month it is', () => {
    const two = fc.nat(99).map((value) => String(value).padStart(2, '0'));
    fc.assert(
      fc.property(two, two, fc.nat(999_999_999), (year, month, build) => {
        expect(buildNumber(`${year}.${month}.${build}`)).to.equal(build);
      }),
    );
  });
});
