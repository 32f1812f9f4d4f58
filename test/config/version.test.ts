import { expect } from 'chai';
import { packageVersion } from '../../src/config/version.ts';
import { VERSION_PATTERN } from '../../src/protocol/version.ts';

describe('the version', () => {
  it('is one that the protocol can compare', () => {
    expect(packageVersion()).to.match(VERSION_PATTERN);
  });
});
