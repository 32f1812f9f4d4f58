import { expect } from 'chai';
import { ManagerRefusal } from '../../src/delegate/connection/manager-refusal.ts';
import { dial } from '../../src/delegate/connection/transport.ts';
import { MAX_WAIT_MS } from '../../src/protocol/limits.ts';
import { dialerWith } from '../support/dialer.ts';
import { failureOf } from '../support/failure.ts';
import { httpAnswer, type Door } from '../support/fault-proxy.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { leavesNothingOpen } from '../support/open-handles.ts';
import { REVOCATION, ScriptedManager, type HttpAnswer } from '../support/scripted-manager.ts';
import { until } from '../support/until.ts';
import { faultProxies, lastFailure, waits, wiresUnderTest, type OnAWire } from './wire.ts';

const HOUR_MS = 3_600_000;
const NOW_MS = Date.UTC(2026, 10, 23, 13, 10, 35);
const PAGE = '<html><title>Please log in</title></html>';
/** With a random number that is always one half: half of 1 s, 2 s, … and half of a minute in the end. */
const BACK_OFF_MS = [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000];

function httpDate(epochMs: number): string {
  return new Date(epochMs).toUTCString();
}

describe('a wire that leads to something else than the manager', () => {
  const start = wiresUnderTest();
  const newProxy = faultProxies();
  leavesNothingOpen();

  /** A delegate that had a session, and that meets this door when it wants the next one. */
  async function meets(door: Door) {
    const clock = new ManualClock();
    const underTest = await start({ clock, random: () => 0.5 });
    await underTest.manager.nextSession();
    underTest.proxy.door = door;
    underTest.proxy.cutAll();
    await until('it waits', () => waits(underTest).length === 1);
    return { ...underTest, clock };
  }

  /** Waits as long as the delegate said it would, and then for the attempt to fail. */
  async function failsAgain(underTest: OnAWire & { clock: ManualClock }, untilItFails = 0): Promise<void> {
    const { clock, proxy } = underTest;
    const [before, accepted] = [waits(underTest), proxy.accepted];
    await clock.advance(before.at(-1) ?? 0);
    await until('it tries', () => proxy.accepted > accepted);
    await clock.advance(untilItFails);
    await until('it waits again', () => waits(underTest).length > before.length);
  }

  const doors: [what: string, door: Door, code: string, says: RegExp][] = [
    ['an HTML page', { answer: httpAnswer('200 OK', {}, PAGE) }, 'upgrade-refused', /HTTP 200/],
    ['a proxy that asks who it is', { answer: httpAnswer('407 No') }, 'upgrade-refused', /HTTP 407/],
    ['a bad gateway', { answer: httpAnswer('502 Bad', {}, PAGE) }, 'upgrade-refused', /HTTP 502/],
    [
      'something that speaks no HTTP',
      { answer: 'SSH-2.0-x\r\n' },
      'manager-unreachable',
      /not a valid HTTP answer/,
    ],
    ['a reset', 'refuse', 'manager-unreachable', /ECONNRESET/],
    ['an end without a word', 'close', 'manager-unreachable', /closed the connection/],
  ];
  for (const [what, door, code, says] of doors) {
    it(`(${what}) is tried for ever with back-off, says what to look at, and recovers by itself`, async () => {
      const underTest = await meets(door);
      for (let n = 1; n < BACK_OFF_MS.length; n += 1) await failsAgain(underTest);
      expect(waits(underTest)).to.deep.equal(BACK_OFF_MS);
      const line = lastFailure(underTest);
      expect(line).to.include(code).and.match(says).and.include('"hint"');
      expect(line).not.to.include('Please log in');
      underTest.proxy.door = 'open';
      await underTest.clock.advance(30_000);
      await underTest.manager.nextSession();
    });
  }

  it('(a listener that never answers) is given up after 15 s, each time, and recovers by itself', async () => {
    const underTest = await meets('silent');
    for (let n = 1; n < 4; n += 1) await failsAgain(underTest, 15_000);
    expect(waits(underTest)).to.deep.equal(BACK_OFF_MS.slice(0, 4));
    expect(lastFailure(underTest)).to.include('manager-unreachable').and.include('"hint"');
    underTest.proxy.door = 'open';
    await underTest.clock.advance(BACK_OFF_MS[3] ?? 0);
    await underTest.manager.nextSession();
  });

  it('(a redirect) is not followed: its target hears nothing, least of all the token', async () => {
    const elsewhere = await newProxy();
    const location = `${elsewhere.url}/delegate/v1/connect`;
    const underTest = await meets({ answer: httpAnswer('302 Found', { location }) });
    for (let n = 0; n < 3; n += 1) await failsAgain(underTest);
    expect(elsewhere.accepted).to.equal(0);
    expect(lastFailure(underTest)).to.include('HTTP 302').and.include('DELEGATE_MANAGER_URL');
  });

  for (const [what, door, reason] of [
    ['resets', 'refuse', 'network.reset'],
    ['closes', 'close', 'network.reset'],
    ['speaks no TLS', 'open', 'tls.handshake'],
  ] as const) {
    it(`(a port that ${what} when TLS begins) is unreachable, which is tried again, and says why`, async () => {
      const { proxy } = await start();
      proxy.door = door;
      const managerUrl = proxy.url.replace('http:', 'https:');
      const failure = await failureOf(
        dial({ tokenAheadMs: 0, ...dialling(managerUrl), clock: new ManualClock() }),
      );
      expect(failure).to.include({ code: 'manager-unreachable', retryable: true });
      expect(failure.details).to.include({ host: new URL(managerUrl).host, reason });
    });
  }
});

describe('a manager that says no', () => {
  const start = wiresUnderTest();
  leavesNothingOpen();

  async function refusedWith(upgrade: HttpAnswer) {
    const clock = new ManualClock(NOW_MS);
    const underTest = await start({ clock, random: () => 0.5 }, { upgrade });
    await until('it waits', () => waits(underTest).length === 1);
    return { ...underTest, clock };
  }

  const absurd = ['86400', '999999999', '99999999999', httpDate(Date.UTC(9999, 11, 31)), '-5', 'soon', '1e9'];
  for (const retryAfter of absurd) {
    it(`and names an absurd time (${retryAfter}) is asked again after five minutes at most`, async () => {
      const underTest = await refusedWith({ status: 503, headers: { 'retry-after': retryAfter } });
      expect(waits(underTest)[0]).to.be.within(0, MAX_WAIT_MS);
      underTest.manager.script.upgrade = 'accept';
      await underTest.clock.advance(waits(underTest)[0] ?? 0);
      await underTest.manager.nextSession();
    });
  }

  // Half a second is the back-off, which spreads those who were all told the same.
  const named: [what: string, status: number, headers: Record<string, string>, waitMs: number][] = [
    ['in seconds', 429, { 'retry-after': '7' }, 7_500],
    ['as a date of our clock', 503, { 'retry-after': httpDate(NOW_MS + 9_000) }, 9_500],
    [
      'as a date of its own clock, an hour behind',
      503,
      { 'retry-after': httpDate(NOW_MS - HOUR_MS + 9_000), date: httpDate(NOW_MS - HOUR_MS) },
      9_500,
    ],
    ['as a date that has passed', 503, { 'retry-after': httpDate(NOW_MS - 9_000) }, 500],
  ];
  for (const [what, status, headers, waitMs] of named) {
    it(`and names a time ${what} (${status}) is not asked before it`, async () => {
      const underTest = await refusedWith({ status, headers });
      expect(waits(underTest)).to.deep.equal([waitMs]);
    });
  }

  const forGood: [code: string, answer: HttpAnswer][] = [
    ['revoked', REVOCATION],
    ['forbidden', { status: 403, body: '<html>The firewall says no.</html>' }],
    ['unsupported-version', { status: 426 }],
  ];
  for (const [code, answer] of forGood) {
    it(`for good (${answer.status}, ${code}) is asked at the slowest pace, loudly, for ever`, async () => {
      const underTest = await refusedWith(answer);
      for (let n = 1; n < 6; n += 1) {
        await underTest.clock.advance(waits(underTest).at(-1) ?? 0);
        await until('it waits again', () => waits(underTest).length > n);
      }
      expect(new Set(waits(underTest))).to.deep.equal(new Set([270_000]));
      expect(lastFailure(underTest)).to.include(code).and.include('"hint"');
      expect(underTest.log.filter((line) => line.includes('"level":"error"'))).to.have.lengthOf(6);
      underTest.manager.script.upgrade = 'accept';
      await underTest.clock.advance(270_000);
      await underTest.manager.nextSession();
    });
  }

  it('to the token, by a clock that differs, is not answered by an enrolment before a second no', async () => {
    const headers = { date: httpDate(NOW_MS - HOUR_MS) };
    const underTest = await refusedWith({ status: 401, headers });
    const { manager, clock } = underTest;
    expect(lastFailure(underTest)).to.include("This machine's clock is 3600 s ahead of the manager's");
    expect(manager.enrolments).to.have.lengthOf(1);
    await clock.advance(BACK_OFF_MS[0] ?? 0);
    await until('it waits again', () => waits(underTest).length === 2);
    expect(manager.enrolments).to.have.lengthOf(1);
    manager.script.upgrade = 'accept';
    await clock.advance(BACK_OFF_MS[1] ?? 0);
    await manager.nextSession();
    expect(manager.enrolments).to.have.lengthOf(2);
  });
});

describe('a token that is refused', () => {
  let manager: ScriptedManager;
  beforeEach(async () => {
    manager = await ScriptedManager.start();
  });
  afterEach(() => manager[Symbol.asyncDispose]());
  leavesNothingOpen();

  async function refusal(date: string | undefined, tokenAheadMs = 0): Promise<ManagerRefusal> {
    manager.script.upgrade = { status: 401, headers: date === undefined ? {} : { date } };
    const failure = await failureOf(
      dial({ tokenAheadMs, ...dialling(manager.url), clock: new ManualClock(NOW_MS) }),
    );
    if (!(failure instanceof ManagerRefusal)) throw new TypeError('an HTTP answer is a refusal');
    return failure;
  }

  for (const [offBy, ms] of [
    ['3600 s ahead of', -HOUR_MS],
    ['3600 s behind', HOUR_MS],
    ['31 s ahead of', -31_000],
    ['31 s behind', 31_000],
  ] as const) {
    it(`by a clock that ours is ${offBy} names the skew, and asks for nothing but another try`, async () => {
      const { next, hint, managerDateMs } = await refusal(httpDate(NOW_MS + ms));
      expect(hint).to.include(`This machine's clock is ${offBy} the manager's`);
      expect([next, managerDateMs]).to.deep.equal(['reconnect', NOW_MS + ms]);
    });
  }

  it('because its time was corrected for a clock that is right by now costs no enrolment', async () => {
    const { next, hint } = await refusal(httpDate(NOW_MS), -HOUR_MS);
    expect(next).to.equal('reconnect');
    expect(hint).to.include('set right').and.not.include("machine's clock is");
  });

  it('although its time was corrected is refused for its key', async () => {
    expect(await refusal(httpDate(NOW_MS - HOUR_MS), -HOUR_MS)).to.include({ next: 'enrol-again' });
  });

  for (const ms of [0, 30_000, -30_000]) {
    it(`by a clock that differs by ${ms} ms is refused for its key: enrol again`, async () => {
      const { next, hint, managerDateMs } = await refusal(httpDate(NOW_MS + ms));
      expect([next, managerDateMs]).to.deep.equal(['enrol-again', NOW_MS + ms]);
      expect(hint).not.to.include('clock');
    });
  }

  for (const date of [undefined, 'yesterday', '']) {
    it(`without a legible date (${date ?? 'none'}) is refused for its key, and no clock is blamed`, async () => {
      expect(await refusal(date)).to.include({ next: 'enrol-again', managerDateMs: undefined });
    });
  }
});

function dialling(managerUrl: string) {
  return {
    managerUrl,
    dialer: dialerWith(),
    token: 'token',
    userAgent: 'test',
    signal: new AbortController().signal,
  };
}
