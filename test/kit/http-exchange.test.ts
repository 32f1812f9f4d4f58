import { expect } from 'chai';
import { DelegateError } from '../../src/kit/errors.ts';
import {
  bareHostname,
  isTransportFailure,
  mediaType,
  retryAfterMs,
  untilEpochMs,
} from '../../src/kit/http-exchange.ts';

describe('a host name', () => {
  it('is given without the brackets of an IPv6 address', () => {
    expect(bareHostname(new URL('https://[::1]:8443/'))).to.equal('::1');
    expect(bareHostname(new URL('https://acme.example:8443/'))).to.equal('acme.example');
  });
});

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

describe('Retry-After', () => {
  const date = 'Mon, 23 Nov 2026 13:00:00 GMT';
  const later = 'Mon, 23 Nov 2026 13:00:07 GMT';
  const nowMs = Date.parse('2026-11-23T13:00:05Z');

  it('in seconds needs no clock', () => {
    expect(retryAfterMs({ 'retry-after': '7' })).to.equal(7_000);
  });

  it("as a date is measured from the server's clock, if it tells it", () => {
    expect(retryAfterMs({ 'retry-after': later, date }, nowMs)).to.equal(7_000);
  });

  it('as a date without a Date is measured from the clock of the caller', () => {
    expect(retryAfterMs({ 'retry-after': later }, nowMs)).to.equal(2_000);
    expect(retryAfterMs({ 'retry-after': later, date: 'today' }, nowMs)).to.equal(2_000);
    expect(retryAfterMs({ 'retry-after': date }, nowMs)).to.equal(0);
  });

  it('is unusable as a date that nobody can measure, or as no date', () => {
    expect(retryAfterMs({ 'retry-after': later })).to.equal(undefined);
    expect(retryAfterMs({ 'retry-after': 'soon' }, nowMs)).to.equal(undefined);
    expect(retryAfterMs({}, nowMs)).to.equal(undefined);
  });
});

describe('a header of seconds since the epoch', () => {
  const nowMs = Date.parse('2026-11-23T13:00:00Z');
  const nowS = nowMs / 1_000;
  const date = new Date(nowMs).toUTCString();
  const until = (reset: string, headers = {}, now?: number): number | undefined =>
    untilEpochMs({ 'x-reset': reset, ...headers }, 'x-reset', now);

  it("is measured by the server's own clock, and by ours if the server does not tell its time", () => {
    expect(until(` ${nowS + 60} `, { date })).to.equal(60_000);
    expect(until(String(nowS + 60), { date }, nowMs + 30_000)).to.equal(60_000);
    expect(until(String(nowS + 60), {}, nowMs + 30_000)).to.equal(30_000);
  });

  it('asks for no wait when it is over', () => {
    expect(until(String(nowS - 60), { date })).to.equal(0);
  });

  for (const reset of ['', 'soon', '-1', '1.5', '1e9', '1234567890123']) {
    it(`says nothing as "${reset}"`, () => {
      expect(until(reset, { date })).to.equal(undefined);
    });
  }

  it('says nothing without any clock, or when it is not there', () => {
    expect(until(String(nowS))).to.equal(undefined);
    expect(untilEpochMs({ date }, 'x-reset')).to.equal(undefined);
  });
});

describe('a failure of the transport', () => {
  const failure = (code: string): DelegateError => new DelegateError(code, 'm', { category: 'unavailable' });

  it('is told by the owner of its code', () => {
    for (const code of ['network.dns', 'tls.untrusted', 'http.broken-response']) {
      expect(isTransportFailure(failure(code)), code).to.equal(true);
    }
    for (const code of ['policy.https-required', 'networking.x', 'a.network.dns', 'timeout']) {
      expect(isTransportFailure(failure(code)), code).to.equal(false);
    }
    expect(isTransportFailure(new Error('network.dns'))).to.equal(false);
  });
});
