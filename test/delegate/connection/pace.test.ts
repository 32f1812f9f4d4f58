import { expect } from 'chai';
import * as fc from 'fast-check';
import { forbidden, ManagerRefusal } from '../../../src/delegate/connection/manager-refusal.ts';
import { failuresAfter, setbackOf, waitMs } from '../../../src/delegate/connection/pace.ts';
import { SessionNotOpened } from '../../../src/delegate/connection/session.ts';
import type { AfterClose } from '../../../src/protocol/close-codes.ts';

const MINUTE_MS = 60_000;
const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
const next = fc.constantFrom<AfterClose>('reconnect', 'new-token', 'slowest-pace');
const failures = fc.nat({ max: 1_000_000 });
const retryAfterMs = fc.option(fc.oneof(fc.maxSafeNat(), fc.constant(Infinity)), { nil: undefined });

describe('the pace of reconnecting', () => {
  it('never waits longer than 5 minutes, whatever happened and whatever was asked', () => {
    fc.assert(
      fc.property(next, retryAfterMs, failures, random, (after, retry, count, r) => {
        const ms = waitMs({ next: after, retryAfterMs: retry }, count, () => r);
        expect(ms).to.be.within(0, 5 * MINUTE_MS);
      }),
    );
  });

  it('waits 4 to 5 minutes at its slowest', () => {
    fc.assert(
      fc.property(failures, random, (count, r) => {
        const ms = waitMs({ next: 'slowest-pace', retryAfterMs: undefined }, count, () => r);
        expect(ms).to.be.within(4 * MINUTE_MS, 5 * MINUTE_MS);
      }),
    );
  });

  it('draws from the whole of a window that doubles from 1 s to 60 s', () => {
    fc.assert(
      fc.property(failures, random, (count, r) => {
        const ms = waitMs({ next: 'reconnect', retryAfterMs: undefined }, count, () => r);
        expect(ms).to.be.closeTo(r * Math.min(MINUTE_MS, 1_000 * 2 ** Math.min(count, 50)), 1e-6);
      }),
    );
  });

  it('does not come back before the time that the manager named', () => {
    fc.assert(
      fc.property(fc.nat({ max: 5 * MINUTE_MS }), failures, random, (retry, count, r) => {
        const ms = waitMs({ next: 'reconnect', retryAfterMs: retry }, count, () => r);
        expect(ms).to.be.at.least(retry);
      }),
    );
  });

  it('begins anew only after a minute of health', () => {
    expect(failuresAfter(MINUTE_MS - 1, 7)).to.equal(7);
    expect(failuresAfter(MINUTE_MS, 7)).to.equal(0);
  });
});

describe('what a setback means', () => {
  const refusal = (after: AfterClose): ManagerRefusal =>
    new ManagerRefusal('enrolment-failed', '', { status: 503, next: after, hint: '', retryAfterMs: 7 });
  const closed = (code: number): SessionNotOpened => new SessionNotOpened({ code, reason: '' });
  const table: [situation: string, failure: unknown, setback: ReturnType<typeof setbackOf>][] = [
    ['a refusal that names a time', refusal('reconnect'), { next: 'reconnect', retryAfterMs: 7 }],
    ['an answer 403', forbidden(''), { next: 'slowest-pace', retryAfterMs: undefined }],
    ['a close without a frame', closed(1006), { next: 'reconnect', retryAfterMs: undefined }],
    ['4401 before the welcome', closed(4401), { next: 'new-token', retryAfterMs: undefined }],
    ['4403 before the welcome', closed(4403), { next: 'slowest-pace', retryAfterMs: undefined }],
    ['4409 before the welcome', closed(4409), { next: 'stay-away', retryAfterMs: undefined }],
    ['an error of the network', new TypeError('x'), { next: 'reconnect', retryAfterMs: undefined }],
    ['something that is no error', 'x', { next: 'reconnect', retryAfterMs: undefined }],
  ];
  for (const [situation, failure, setback] of table) {
    it(`${situation}: ${setback.next}`, () => {
      expect(setbackOf(failure)).to.deep.equal(setback);
    });
  }
});
