import { expect } from 'chai';
import { gunzipSync } from 'node:zlib';
import * as fc from 'fast-check';
import {
  OAUTH,
  SEED,
  startFakeServiceNow,
  type FakeServiceNow,
  type FaultName,
  type FaultSpec,
} from '../../../src/dev/fake-servicenow/index.ts';
import { splitInsideCharacter } from '../../../src/dev/fake-servicenow/faults/delivery.ts';
import { FAULT_KINDS } from '../../../src/dev/fake-servicenow/faults/kinds.ts';
import { deferred } from '../../../src/kit/flow.ts';
import { systemClock, type Clock } from '../../../src/kit/time.ts';
import { leavesNothingOpen } from '../../support/open-handles.ts';
import { as, exchange, form, rowsOf, table, type Exchange } from './exchange.ts';

const TARGET = table('change_request', {
  sysparm_query: `number=${SEED.changes.unicode}`,
  sysparm_fields: 'number,short_description,sys_id',
});

/** The system's clock, which also tells of every wait that begins on it. */
function watchedClock(): { clock: Clock; waiting: Promise<void> } {
  const begun = deferred<void>();
  const clock: Clock = {
    ...systemClock,
    after(ms, callback) {
      begun.resolve();
      return systemClock.after(ms, callback);
    },
  };
  return { clock, waiting: begun.promise };
}

describe('faults of the fake', () => {
  let servicenow: FakeServiceNow;

  beforeEach(async () => {
    servicenow = await startFakeServiceNow();
  });
  afterEach(() => servicenow.close());

  const get = (target = TARGET, user: Parameters<typeof as>[0] = 'svc_deploy'): Promise<Exchange> =>
    exchange(servicenow.url + target, { headers: as(user) });

  async function under(spec: FaultSpec): Promise<Exchange> {
    servicenow.faults.add(spec);
    return get();
  }

  const pages: readonly (readonly [fault: FaultName, status: number, mark: string])[] = [
    ['hibernate-html', 200, 'Your instance is hibernating'],
    ['waking', 200, 'waking up'],
    ['login-html', 200, '<form id="login"'],
    ['maintenance', 503, 'maintenance'],
    ['gateway-502', 502, '<html><head><title>502 Bad Gateway'],
    ['gateway-503', 503, '503 Service'],
    ['gateway-504', 504, '504 Gateway'],
    ['tomcat-400', 400, 'Request header is too large'],
    ['client-certificate-400', 400, 'No required SSL certificate was sent'],
  ];
  leavesNothingOpen();

  for (const [fault, status, mark] of pages) {
    it(`${fault} answers a page with status ${status}`, async () => {
      const answer = await under({ fault });
      expect(answer.status).to.equal(status);
      expect(answer.headers['content-type']).to.match(/^text\/html/);
      expect(answer.text).to.include(mark);
      expect(servicenow.journal().at(-1)).to.deep.include({ status, user: null, faults: [fault] });
    });
  }

  it('redirects lead away from the instance or to its login', async () => {
    const asleep = await under({ fault: 'hibernate-redirect', times: 1 });
    expect(asleep.headers.location).to.equal('https://developer.servicenow.com/dev.do');
    const login = await under({ fault: 'sso-redirect' });
    expect([login.status, login.headers.location]).to.deep.equal([
      302,
      '/login_with_sso.do?glide_sso_id=6c1d0e6a',
    ]);
  });

  it('a full semaphore says nothing about when to come back', async () => {
    const answer = await under({ fault: 'semaphore' });
    expect(answer.status).to.equal(429);
    expect(answer.headers).to.not.have.any.keys('retry-after', 'x-ratelimit-limit');
  });

  it('access faults answer as the access rules do', async () => {
    expect((await under({ fault: 'forbidden-acl', times: 1 })).status).to.equal(403);
    expect((await under({ fault: 'not-found-acl', times: 1 })).text).to.include('No Record found');
  });

  it('rows and fields vanish, double or turn into others', async () => {
    expect(rowsOf(await under({ fault: 'field-hidden', field: 'number', times: 1 }))[0]).to.not.have.property(
      'number',
    );
    expect(
      rowsOf(await under({ fault: 'row-hidden', number: SEED.changes.unicode, times: 1 })),
    ).to.deep.equal([]);
    expect(rowsOf(await under({ fault: 'row-hidden', number: 'CHG1', times: 1 }))).to.have.lengthOf(1);
    expect(rowsOf(await under({ fault: 'row-hidden', times: 1 }))).to.have.lengthOf(0);
    const twins = rowsOf(await under({ fault: 'duplicate-number', times: 1 }));
    expect(twins.map((row) => row['number'])).to.deep.equal([SEED.changes.unicode, SEED.changes.unicode]);
    expect(new Set(twins.map((row) => row['sys_id'])).size).to.equal(2);
    const [other] = rowsOf(await under({ fault: 'another-row', times: 1 }));
    expect(other?.['number']).to.match(/^CHG/).and.not.equal(SEED.changes.unicode);
  });

  it('a body can be valid JSON of no use, or no JSON at all', async () => {
    const whole = await get();
    expect(JSON.parse((await under({ fault: 'ok-with-error', times: 1 })).text)).to.include.keys(
      'result',
      'error',
    );
    const glued = await under({ fault: 'glued-error', times: 1 });
    expect(glued.text).to.include('"error"');
    expect(() => void JSON.parse(glued.text)).to.throw(SyntaxError);
    const cut = await under({ fault: 'truncate', atByte: 25, times: 1 });
    expect(cut.text).to.equal(whole.text.slice(0, 25));
  });

  it('connections break where they are told to', async () => {
    for (const fault of ['reset-before-headers', 'reset-after-headers', 'reset-mid-body'] as const) {
      const failed = await under({ fault, times: 1 }).then(
        () => undefined,
        (error: unknown) => error,
      );
      expect(failed, fault)
        .to.have.property('code')
        .that.matches(/^ECONNRESET$/);
    }
    expect(servicenow.journal().map(({ status }) => status)).to.deep.equal([null, 200, 200]);
  });

  it('a corrupt gzip body fails to decompress', async () => {
    const answer = await under({ fault: 'gzip-corrupted' });
    expect(answer.headers['content-encoding']).to.equal('gzip');
    expect(() => gunzipSync(answer.bytes)).to.throw();
  });

  it('a chunk may end inside a character', async () => {
    const answer = await under({ fault: 'split-utf8' });
    expect(answer.chunks).to.have.lengthOf(2);
    expect(answer.chunks[0]?.toString('utf8')).to.match(/\ufffd$/);
    expect(rowsOf(answer)).to.have.lengthOf(1);
  });

  it('the cut inside a character is inside one wherever there is one, and loses nothing', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        const bytes = Buffer.from(text, 'utf8');
        const [head = Buffer.alloc(0), tail = Buffer.alloc(0)] = splitInsideCharacter(bytes);
        expect(Buffer.concat([head, tail]).equals(bytes)).to.equal(true);
        if (/[^\0-\x7f]/.test(text)) expect((tail[0] ?? 0) & 0xc0).to.equal(0x80);
      }),
    );
  });

  it('headers lie about type, time and cookies', async () => {
    expect((await under({ fault: 'wrong-content-type', times: 1 })).headers['content-type']).to.match(
      /^text\/plain/,
    );
    const cookies = (await under({ fault: 'duplicate-set-cookie', times: 1 })).headers['set-cookie'] ?? [];
    expect(cookies.filter((cookie) => cookie.startsWith('glide_user_route='))).to.have.lengthOf(2);
    const date = (await under({ fault: 'clock-skew', ms: -86_400_000, times: 1 })).headers.date;
    expect(Date.now() - Date.parse(date ?? '')).to.be.within(86_340_000, 86_460_000);
  });

  it('a slow body arrives whole', async () => {
    const answer = await under({ fault: 'slow', ms: 14 });
    expect(rowsOf(answer)).to.have.lengthOf(1);
  });

  for (const fault of ['stall-headers', 'stall-body'] as const) {
    it(`${fault} keeps the client waiting, and ends when the fake does`, async () => {
      const { clock, waiting } = watchedClock();
      const stalled = await startFakeServiceNow({ clock });
      stalled.faults.add({ fault });
      const outcome = exchange(stalled.url + TARGET, { headers: as('svc_deploy') }).then(
        () => 'answered',
        () => 'broken',
      );
      await waiting;
      await stalled.close();
      expect(await outcome).to.equal('broken');
    });
  }

  it('strikes as often as it was told, after letting pass as many as it was told', async () => {
    servicenow.faults.add({ fault: 'gateway-503', skip: 1, times: 2 });
    const statuses = [];
    for (let request = 0; request < 5; request += 1) statuses.push((await get()).status);
    expect(statuses).to.deep.equal([200, 503, 503, 200, 200]);
    expect(servicenow.faults.list()[0]).to.include({ hits: 2 });
  });

  it('strikes only whom it is aimed at', async () => {
    servicenow.faults.add({ fault: 'gateway-502', match: { user: 'svc_read' } });
    servicenow.faults.add({ fault: 'gateway-503', match: { table: 'incident' } });
    servicenow.faults.add({ fault: 'gateway-504', match: { target: 'CHG0000024' } });
    servicenow.faults.add({ fault: 'maintenance', match: { route: 'page' } });
    expect((await get(TARGET)).status).to.equal(200);
    expect((await get(TARGET, 'svc_read')).status).to.equal(502);
    expect((await get(table('incident'))).status).to.equal(503);
    expect((await get(`${TARGET},CHG0000024`)).status).to.equal(504);
    expect((await get('/')).text).to.include('maintenance');
  });

  it('is gone when removed or cleared', async () => {
    const id = servicenow.faults.add({ fault: 'gateway-502' });
    servicenow.faults.remove(id);
    servicenow.faults.add({ fault: 'gateway-503' });
    servicenow.faults.clear();
    expect((await get()).status).to.equal(200);
    expect(servicenow.faults.list()).to.deep.equal([]);
  });

  it('every fault can strike alone without breaking the fake', async () => {
    for (const name of Object.keys(FAULT_KINDS)) {
      const answered = await fetch(`${servicenow.adminUrl}/__sim/faults/add`, {
        method: 'POST',
        body: JSON.stringify({ fault: name, times: 1, ms: 1 }),
      });
      expect(answered.status, name).to.equal(200);
      const answer = await get().catch(() => undefined);
      expect(answer?.text ?? '', name).to.not.include('The fake ServiceNow failed');
      servicenow.faults.clear();
    }
  });

  describe('at the token endpoint', () => {
    const refresh = (refreshToken: string = OAUTH.refreshToken): Promise<Exchange> =>
      exchange(
        `${servicenow.url}/oauth_token.do`,
        form({
          grant_type: 'refresh_token',
          client_id: OAUTH.clientId,
          client_secret: OAUTH.clientSecret,
          refresh_token: refreshToken,
        }),
      );

    it('a rotated refresh token replaces the old one, which is dead', async () => {
      servicenow.faults.add({ fault: 'token-rotated', times: 1 });
      const next = /"refresh_token":"([^"]+)"/.exec((await refresh()).text)?.[1] ?? '';
      expect(next).to.not.equal(OAUTH.refreshToken);
      expect((await refresh()).status).to.equal(401);
      expect((await refresh(next)).status).to.equal(200);
    });

    it('members go missing or change their type', async () => {
      servicenow.faults.add({ fault: 'token-missing', times: 1 });
      expect((await refresh()).text).to.not.include('access_token');
      servicenow.faults.add({ fault: 'token-expires-in-missing', times: 1 });
      expect((await refresh()).text).to.not.include('expires_in');
      servicenow.faults.add({ fault: 'token-expires-in-string', times: 1 });
      expect((await refresh()).text).to.match(/"expires_in":"\d+"/);
    });

    it('a page can come in place of a token', async () => {
      servicenow.faults.add({ fault: 'login-html', match: { route: 'token' } });
      expect((await refresh()).headers['content-type']).to.match(/^text\/html/);
      expect((await get()).status).to.equal(200);
    });
  });
});
