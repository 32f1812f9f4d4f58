import { expect } from 'chai';
import { OAUTH } from '../../../../src/dev/fake-servicenow/index.ts';
import { ManualClock } from '../../../support/manual-clock.ts';
import {
  failureOf,
  openBench,
  QUESTION,
  tableCalls,
  tokenCalls,
  type AuthInput,
  type Bench,
} from '../../../support/servicenow.ts';
import { until } from '../../../support/until.ts';
import { leavesNothingOpen } from '../../../support/open-handles.ts';

describe('token cache of the connector', () => {
  let bench: Bench;
  let clock: ManualClock;
  beforeEach(async () => {
    clock = new ManualClock();
    bench = await openBench({ clock });
  });
  afterEach(() => bench[Symbol.asyncDispose]());

  const checkMany = async (count: number, auth: AuthInput): Promise<Set<string>> => {
    const answers = await Promise.all(Array.from({ length: count }, () => bench.check(auth, QUESTION)));
    return new Set(answers.map(({ decision }) => decision));
  };

  leavesNothingOpen();

  it('fifty tasks at once cost one token request', async () => {
    expect(await checkMany(50, bench.byRefreshToken())).to.deep.equal(new Set(['approved']));
    expect(tokenCalls(bench.instance)).to.have.length(1);
  });

  it('fifty tasks that meet an ended token cost one token request', async () => {
    const auth = bench.byRefreshToken();
    await bench.check(auth, QUESTION);
    await clock.advance(1_800_000);
    bench.instance.clearJournal();
    await checkMany(50, auth);
    expect(tokenCalls(bench.instance)).to.have.length(1);
  });

  it('fifty tasks that are refused together drop that very token once, and share one new one', async () => {
    const auth = bench.byRefreshToken();
    await bench.check(auth, QUESTION);
    bench.instance.tokens.revokeAccessTokens();
    bench.instance.clearJournal();
    expect(await checkMany(50, auth)).to.deep.equal(new Set(['approved']));
    expect(tokenCalls(bench.instance)).to.have.length(1);
  });

  it('a token refused before its end is replaced within the task: one new one, one repetition', async () => {
    const auth = bench.byRefreshToken();
    await bench.check(auth, QUESTION);
    bench.instance.tokens.revokeAccessTokens();
    bench.instance.clearJournal();
    expect((await bench.check(auth, QUESTION)).decision).to.equal('approved');
    expect(tokenCalls(bench.instance)).to.have.length(1);
    expect(tableCalls(bench.instance).map(({ status }) => status)).to.deep.equal([401, 200]);
  });

  it('a user who is locked out meanwhile is told so after one new attempt', async () => {
    const auth = bench.byRefreshToken();
    await bench.check(auth, QUESTION);
    bench.instance.users.update('svc_deploy', { lockedOut: true });
    bench.instance.clearJournal();
    expect((await failureOf(() => bench.check(auth, QUESTION))).code).to.equal('token.denied');
    expect(tokenCalls(bench.instance)).to.have.length(1);
    expect(tableCalls(bench.instance)).to.have.length(1);
  });

  it('is renewed in the last tenth of its life, and nobody waits for that', async () => {
    const auth = bench.byRefreshToken();
    await bench.check(auth, QUESTION);
    await clock.advance(1_618_000);
    await bench.check(auth, QUESTION);
    expect(tokenCalls(bench.instance)).to.have.length(1);
    await clock.advance(2_000);
    expect((await bench.check(auth, QUESTION)).decision).to.equal('approved');
    await until('the renewal is asked for', () => tokenCalls(bench.instance).length === 2);
  });

  it('is not renewed twice where the server gives the same token again until it has ended', async () => {
    const auth = bench.byRefreshToken();
    await bench.check(auth, QUESTION);
    for (const laterMs of [1_620_000, 60_000, 60_000]) {
      await clock.advance(laterMs);
      await bench.check(auth, QUESTION);
      await until('the renewal is asked for', () => tokenCalls(bench.instance).length === 2);
      await clock.settle();
    }
    expect(tokenCalls(bench.instance)).to.have.length(2);
    await clock.advance(60_000);
    await bench.check(auth, QUESTION);
    expect(tokenCalls(bench.instance)).to.have.length(3);
  });

  for (const [fault, lifeS] of [
    ['token-expires-in-string', 1_799],
    ['token-expires-in-missing', 1_800],
  ] as const) {
    it(`${fault} does no harm: ${lifeS} s`, async () => {
      bench.instance.faults.add({ fault });
      const auth = bench.byRefreshToken();
      await bench.check(auth, QUESTION);
      await clock.advance(lifeS * 900 - 1_000);
      await bench.check(auth, QUESTION);
      expect(tokenCalls(bench.instance)).to.have.length(1);
      await clock.advance(1_000);
      await bench.check(auth, QUESTION);
      await until('the renewal is asked for', () => tokenCalls(bench.instance).length === 2);
    });
  }

  it('a refusal is told to a hundred tasks and sent once; half a minute later it is tried again', async () => {
    const auth = bench.byRefreshToken();
    bench.instance.faults.add({ fault: 'token-missing', times: 1 });
    for (let task = 0; task < 100; task += 1) {
      expect((await failureOf(() => bench.check(auth, QUESTION))).code).to.equal(
        'token.missing-access-token',
      );
    }
    expect(tokenCalls(bench.instance)).to.have.length(1);
    await clock.advance(30_000);
    expect((await bench.check(auth, QUESTION)).decision).to.equal('approved');
  });

  it('a secret that was corrected is tried at once', async () => {
    const auth = bench.byRefreshToken();
    bench.surroundings.secrets.set('client-secret', 'mistyped');
    expect((await failureOf(() => bench.check(auth, QUESTION))).code).to.equal('token.denied');
    bench.surroundings.secrets.set('client-secret', OAUTH.clientSecret);
    expect((await bench.check(auth, QUESTION)).decision).to.equal('approved');
  });

  it('a test of the connector asks the server itself, whatever is remembered', async () => {
    const auth = bench.byRefreshToken();
    bench.instance.faults.add({ fault: 'token-missing', times: 1 });
    await failureOf(() => bench.check(auth, QUESTION));
    expect((await bench.validate(auth)).status).to.equal('SUCCESS');
    expect((await bench.check(auth, QUESTION)).decision, 'its token is of use to all').to.equal('approved');
    expect(tokenCalls(bench.instance)).to.have.length(2);
  });

  describe('is never shared between connectors', () => {
    it('not even if they differ in their identifier alone', async () => {
      const auth = bench.byRefreshToken();
      await bench.check(auth, QUESTION, { connector: { identifier: 'one' } });
      await bench.check(auth, QUESTION, { connector: { identifier: 'other' } });
      expect(tokenCalls(bench.instance)).to.have.length(2);
    });

    it('nor if they call two instances', async () => {
      await using other = await openBench({ clock });
      const auth = bench.byRefreshToken();
      await bench.check(auth, QUESTION);
      await failureOf(() => bench.check(auth, QUESTION, { url: other.instance.url }));
      expect(tokenCalls(bench.instance).length).to.be.greaterThan(1);
      const [foreign] = tableCalls(other.instance);
      expect(foreign?.status).to.equal(401);
    });

    const inputs: Record<string, () => AuthInput> = {
      'the scope': () => bench.byRefreshToken({ scope: 'useraccount' }),
      'the refresh token': () => {
        const auth = bench.byRefreshToken();
        bench.surroundings.secrets.set(
          'refresh-token',
          bench.instance.tokens.issueRefreshToken('svc_read', OAUTH.clientId),
        );
        return auth;
      },
      'the client': () => {
        const auth = bench.byRefreshToken();
        bench.surroundings.secrets
          .set('client-id', OAUTH.bareClientId)
          .set('refresh-token', bench.instance.tokens.issueRefreshToken('svc_deploy', OAUTH.bareClientId));
        return auth;
      },
    };
    for (const [input, changed] of Object.entries(inputs)) {
      it(`nor kept when ${input} changes`, async () => {
        await bench.check(bench.byRefreshToken(), QUESTION);
        await bench.check(changed(), QUESTION);
        expect(tokenCalls(bench.instance)).to.have.length(2);
      });
    }
  });
});
