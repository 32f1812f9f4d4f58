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
    expect(tableCalls(bench.instance)).to.have.length(50);
  });

  it('fifty tasks that are refused together drop that very token once, and share one new one', async () => {
    const auth = bench.byRefreshToken();
    await bench.check(auth, QUESTION);
    bench.instance.tokens.revokeAccessTokens();
    bench.instance.clearJournal();
    expect(await checkMany(50, auth)).to.deep.equal(new Set(['approved']));
    expect(tokenCalls(bench.instance)).to.have.length(1);
    const statuses = tableCalls(bench.instance).map(({ status }) => status);
    expect(statuses.filter((status) => status === 200)).to.have.length(50);
    expect(statuses.filter((status) => status === 401).length).to.be.at.most(50);
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

  it('lives for expires_in less ten seconds', async () => {
    const auth = bench.byRefreshToken();
    await bench.check(auth, QUESTION);
    await clock.advance(1_788_000);
    await bench.check(auth, QUESTION);
    expect(tokenCalls(bench.instance)).to.have.length(1);
    await clock.advance(1_000);
    await bench.check(auth, QUESTION);
    expect(tokenCalls(bench.instance)).to.have.length(2);
  });

  for (const [fault, lifeS] of [
    ['token-expires-in-string', 1_799],
    ['token-expires-in-missing', 1_800],
  ] as const) {
    it(`${fault} does no harm: ${lifeS} s`, async () => {
      bench.instance.faults.add({ fault });
      const auth = bench.byRefreshToken();
      await bench.check(auth, QUESTION);
      await clock.advance((lifeS - 11) * 1_000);
      await bench.check(auth, QUESTION);
      expect(tokenCalls(bench.instance)).to.have.length(1);
      await clock.advance(1_000);
      await bench.check(auth, QUESTION);
      expect(tokenCalls(bench.instance)).to.have.length(2);
    });
  }

  it('a failure is not remembered', async () => {
    const auth = bench.byRefreshToken();
    bench.instance.faults.add({ fault: 'token-missing', times: 1 });
    expect((await failureOf(() => bench.check(auth, QUESTION))).code).to.equal('token.missing-access-token');
    expect((await bench.check(auth, QUESTION)).decision).to.equal('approved');
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
