import { request } from 'node:http';
import { expect } from 'chai';
import { SEED, startFakeServiceNow, type FakeServiceNow } from '../../../src/dev/fake-servicenow/index.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { leavesNothingOpen } from '../../support/open-handles.ts';
import { until } from '../../support/until.ts';
import { as, exchange, table, type Exchange } from './exchange.ts';

const HALF_PAST_TEN = Date.UTC(2026, 10, 23, 10, 30);
const ELEVEN_S = Date.UTC(2026, 10, 23, 11) / 1_000;
const HALF_AN_HOUR_MS = 30 * 60_000;

/** Of one node: requests at work, and requests that wait. */
const THREADS = 4;
const QUEUE = 50;

/** Requests that had their whole answer. */
function answeredIn(servicenow: FakeServiceNow): number {
  return servicenow.journal().filter(({ status, durationMs }) => status === 200 && durationMs !== null)
    .length;
}

describe('the limits of the fake', () => {
  let clock: ManualClock;
  let servicenow: FakeServiceNow;

  beforeEach(async () => {
    clock = new ManualClock(HALF_PAST_TEN);
    servicenow = await startFakeServiceNow({ clock });
  });
  afterEach(() => servicenow.close());

  leavesNothingOpen();

  const target = table('incident', { sysparm_limit: '1' });
  const get = (user: Parameters<typeof as>[0] = 'svc_deploy'): Promise<Exchange> =>
    exchange(servicenow.url + target, { headers: as(user) });

  describe('requests in an hour', () => {
    const allowed = async (user: Parameters<typeof as>[0]): Promise<number> => {
      let count = 0;
      while ((await get(user)).status === 200) count += 1;
      return count;
    };

    it('say nothing of a limit where no rule holds', async () => {
      servicenow.rateLimits.set([{ user: 'svc_read', requestsPerHour: 1 }]);
      const names = Object.keys((await get()).headers);
      expect(names.filter((name) => name.startsWith('x-ratelimit'))).to.deep.equal([]);
    });

    it('name the rule on every answer, and never how many are left', async () => {
      servicenow.rateLimits.set([{ requestsPerHour: 2 }]);
      const { status, headers } = await get();
      expect(status).to.equal(200);
      expect(headers).to.include({ 'x-ratelimit-limit': '2', 'x-ratelimit-reset': String(ELEVEN_S) });
      expect(headers['x-ratelimit-rule']).to.match(/^[0-9a-f]{32}$/);
      expect(headers).to.not.have.any.keys('x-ratelimit-remaining', 'retry-after');
      const missing = await exchange(servicenow.url + table('no_such'), { headers: as('svc_deploy') });
      expect([missing.status, missing.headers['x-ratelimit-limit']]).to.deep.equal([400, '2']);
    });

    it('beyond the limit are refused until the hour is over', async () => {
      servicenow.rateLimits.set([{ requestsPerHour: 10 }]);
      expect(await allowed('svc_deploy')).to.equal(10);
      const refused = await get();
      expect(refused.status).to.equal(429);
      expect(refused.headers).to.include({ 'retry-after': '1800', 'x-ratelimit-limit': '10' });
      expect(JSON.parse(refused.text)).to.deep.equal({
        error: {
          message: 'Rate limit exceeded',
          detail: 'Rate limit of 10 requests per hour for Table API exceeded',
        },
        status: 'failure',
      });
      await clock.advance(HALF_AN_HOUR_MS - 1);
      expect((await get()).headers['retry-after']).to.equal('1');
      await clock.advance(1);
      expect((await get()).status).to.equal(200);
    });

    it('are counted for each user, and a refused login for nobody', async () => {
      servicenow.rateLimits.set([{ requestsPerHour: 1 }]);
      expect((await get('svc_nobasic')).headers).to.not.have.property('x-ratelimit-limit');
      expect(await allowed('svc_read')).to.equal(1);
      expect(await allowed('svc_deploy')).to.equal(1);
    });

    it('fall under the rule for the user, then the strictest for a role, then the one for all', async () => {
      // The example of the documentation: four rules for one resource.
      servicenow.rateLimits.set([
        { user: 'svc_deploy', requestsPerHour: 10 },
        { role: 'import_admin', requestsPerHour: 3 },
        { role: 'itil', requestsPerHour: 5 },
        { requestsPerHour: 2 },
      ]);
      servicenow.users.update('svc_mfa', {
        mfa: false,
        roles: ['itil', 'import_admin', 'snc_basic_auth_api_access'],
      });
      expect(await allowed('svc_deploy')).to.equal(10);
      expect(await allowed('svc_mfa')).to.equal(3);
      expect(await allowed('svc_deploy_ist')).to.equal(5);
      expect(await allowed('svc_read')).to.equal(2);
    });

    it('can be set from outside', async () => {
      await exchange(`${servicenow.adminUrl}/__sim/rate-limits/set`, {
        method: 'POST',
        body: JSON.stringify([{ role: 'itil', requestsPerHour: 0 }]),
      });
      expect((await get()).status).to.equal(429);
    });
  });

  describe('requests at once', () => {
    const STALL_MS = 60_000;

    /** So many requests whose answers wait for the clock. */
    async function stalled(count: number): Promise<Promise<Exchange>[]> {
      servicenow.faults.add({ fault: 'stall-headers', ms: STALL_MS, times: count });
      const underWay = Array.from({ length: count }, () => get());
      await until('all have arrived', () => servicenow.journal().length === count);
      return underWay;
    }

    /** Four at a time, as the clock comes to the end of their answers. */
    async function letThrough(count: number): Promise<void> {
      for (let done = 0; done < count; done = Math.min(done + THREADS, count)) {
        await until(`${done} are answered`, () => answeredIn(servicenow) >= done);
        await clock.advance(STALL_MS);
      }
    }

    it('work in four threads and wait in a queue of fifty; the next is turned away without a word', async () => {
      const underWay = await stalled(THREADS + QUEUE);
      const refused = await get();
      expect(refused.status).to.equal(429);
      expect(refused.headers).to.not.have.any.keys('retry-after', 'x-ratelimit-limit');

      await letThrough(underWay.length);
      const answers = await Promise.all(underWay);
      expect(answers.map(({ status }) => status)).to.deep.equal(answers.map(() => 200));
      const waits = answers.map(
        ({ headers }) => /sem_wait;dur=(\d+)/.exec(String(headers['server-timing']))?.[1],
      );
      expect(waits.filter((wait) => wait === '0')).to.have.lengthOf(THREADS);
      expect(Math.max(...waits.map(Number))).to.equal(STALL_MS * Math.floor((QUEUE - 1) / THREADS + 1));
      expect(servicenow.traffic().highestInFlight).to.equal(THREADS + QUEUE + 1);
    });

    it('that leave the queue make room', async () => {
      const underWay = await stalled(THREADS + QUEUE - 1);
      const leaving = request(servicenow.url + target, { headers: as('svc_deploy'), agent: false });
      leaving.on('error', () => {});
      leaving.end();
      await until('the queue is full', () => servicenow.journal().length === THREADS + QUEUE);
      expect((await get()).status).to.equal(429);
      leaving.destroy();
      const index = THREADS + QUEUE - 1;
      await until('it has left', () => servicenow.journal()[index]?.durationMs === 0);
      underWay.push(get());
      await until('another came', () => servicenow.journal().length === THREADS + QUEUE + 2);
      await letThrough(underWay.length);
      expect((await Promise.all(underWay)).map(({ status }) => status)).to.not.include(429);
    });

    it('do not count for a token, nor on an instance without the limit', async () => {
      const underWay = await stalled(THREADS);
      const token = await exchange(`${servicenow.url}/oauth_token.do`, { method: 'POST' });
      expect(token.status).to.equal(401);
      servicenow.faults.clear();
      servicenow.profile.update({ semaphores: 'off' });
      expect((await get()).status).to.equal(200);
      await clock.advance(STALL_MS);
      await Promise.all(underWay);
    });
  });

  it('the traffic is told by table, and what is under way at once', async () => {
    const { sys_id: sysId } = servicenow.tickets.get('incident', SEED.incidents.plain);
    await get();
    await Promise.all([get(), get()]);
    await exchange(servicenow.url + table('problem'), { headers: as('svc_deploy') });
    await exchange(servicenow.url + table(`incident/${sysId}`), {
      headers: as('svc_deploy'),
    });
    await exchange(`${servicenow.url}/oauth_token.do`, { method: 'POST' });
    const traffic = servicenow.traffic();
    expect(traffic).to.deep.include({
      requests: 6,
      lists: { incident: 3, problem: 1 },
      records: { incident: 1 },
      tokens: 1,
    });
    expect(traffic.highestInFlight).to.be.within(1, 2);
    servicenow.clearJournal();
    expect(servicenow.traffic()).to.deep.include({ requests: 0, highestInFlight: 0 });
  });
});
