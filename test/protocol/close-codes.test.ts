import { expect } from 'chai';
import * as fc from 'fast-check';
import { afterClose, CloseCode } from '../../src/protocol/close-codes.ts';

describe('after a close', () => {
  it('a token that is not accepted is replaced', () => {
    expect(afterClose(CloseCode.NotAuthenticated)).to.equal('new-token');
  });

  it('a delegate that cannot be served asks seldom', () => {
    for (const code of [CloseCode.Revoked, CloseCode.NoCommonVersion, CloseCode.TooOld]) {
      expect(afterClose(code)).to.equal('slowest-pace');
    }
  });

  it('a superseded session never fights the one that superseded it', () => {
    expect(afterClose(CloseCode.Superseded)).to.equal('stay-away');
  });

  it('anything else means: come back, above all a code that nobody knows', () => {
    const special: readonly number[] = [4401, 4403, 4406, 4409, 4426];
    fc.assert(
      fc.property(
        fc.integer({ min: 1000, max: 4999 }).filter((code) => !special.includes(code)),
        (code) => {
          expect(afterClose(code)).to.equal('reconnect');
        },
      ),
    );
  });

  it('every code of the protocol may be sent in a close frame (RFC 6455, section 7.4)', () => {
    for (const code of Object.values(CloseCode)) {
      expect([1000, 1001, 1009, 1012].includes(code) || (code >= 4000 && code < 5000)).to.equal(true);
    }
  });
});
