import { expect } from 'chai';
import { RateRules } from '../../../src/connectors/servicenow/rate-rules.ts';

const NOW = Date.parse('2026-11-23T10:00:00Z');
const RESET_S = NOW / 1_000 + 1_200;

const under = (rule: string, limit: number | string, reset: number | string = RESET_S, date?: string) => ({
  headers: {
    'x-ratelimit-rule': rule,
    'x-ratelimit-limit': String(limit),
    'x-ratelimit-reset': String(reset),
    ...(date === undefined ? {} : { date }),
  },
});

describe('the account of rate limit rules', () => {
  let rules: RateRules;
  beforeEach(() => {
    rules = new RateRules();
  });

  it('an answer under no rule says nothing', () => {
    for (let count = 0; count < 1_000; count += 1) {
      expect(rules.exhaustedForMs({ headers: {} }, NOW)).to.equal(undefined);
    }
  });

  it('the request that uses up the limit is followed by a pause until the window ends', () => {
    expect(rules.exhaustedForMs(under('a', 3), NOW)).to.equal(undefined);
    expect(rules.exhaustedForMs(under('a', 3), NOW)).to.equal(undefined);
    expect(rules.exhaustedForMs(under('a', 3), NOW)).to.equal(1_200_000);
  });

  it('a new window begins at nothing', () => {
    rules.exhaustedForMs(under('a', 2), NOW);
    expect(rules.exhaustedForMs(under('a', 2, RESET_S + 3_600), NOW)).to.equal(undefined);
    expect(rules.exhaustedForMs(under('a', 2, RESET_S + 3_600), NOW)).to.equal(4_800_000);
  });

  it('each rule has its own account', () => {
    rules.exhaustedForMs(under('a', 2), NOW);
    expect(rules.exhaustedForMs(under('b', 2), NOW)).to.equal(undefined);
    expect(rules.exhaustedForMs(under('a', 2), NOW)).to.equal(1_200_000);
  });

  it("the end of the window is measured by the server's own clock", () => {
    const date = new Date(NOW + 1_000_000).toUTCString();
    expect(rules.exhaustedForMs(under('a', 1, RESET_S, date), NOW)).to.equal(200_000);
  });

  it('a window that is over stops nothing', () => {
    expect(rules.exhaustedForMs(under('a', 1, NOW / 1_000), NOW)).to.equal(undefined);
    expect(rules.exhaustedForMs(under('a', 1, NOW / 1_000 - 5), NOW)).to.equal(undefined);
  });

  it('headers that are no numbers say nothing', () => {
    for (const [limit, reset] of [
      ['many', RESET_S],
      ['', RESET_S],
      ['-1', RESET_S],
      [1, 'soon'],
      [1, '1e9'],
    ] as const) {
      expect(rules.exhaustedForMs(under('a', limit, reset), NOW)).to.equal(undefined);
    }
  });

  it('fifty rules are remembered, the one unseen for the longest time goes first', () => {
    rules.exhaustedForMs(under('first', 2), NOW);
    rules.exhaustedForMs(under('second', 2), NOW);
    for (let index = 0; index < 49; index += 1) rules.exhaustedForMs(under(`r${index}`, 9), NOW);
    expect(rules.exhaustedForMs(under('second', 2), NOW)).to.equal(1_200_000);
    expect(rules.exhaustedForMs(under('first', 2), NOW)).to.equal(undefined);
  });
});
