import { expect } from 'chai';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { connect } from 'node:net';
import forge from 'node-forge';
import { z } from 'zod';
import { SEED, startFakeServiceNow, type FakeServiceNow } from '../../../src/dev/fake-servicenow/index.ts';
import { TABLES } from '../../../src/dev/fake-servicenow/records/schema.ts';
import { leavesNothingOpen } from '../../support/open-handles.ts';
import { as, exchange, rowsOf, table, type Exchange } from './exchange.ts';

/** A certificate for the loopback address. The key comes from node:crypto, which makes one in a moment. */
function selfSigned(): { key: string; cert: string } {
  const key = generateKeyPairSync('rsa', {
    modulusLength: 2_048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  const certificate = forge.pki.createCertificate();
  certificate.publicKey = forge.pki.publicKeyFromPem(key.publicKey);
  certificate.serialNumber = '01';
  certificate.validity.notAfter.setFullYear(certificate.validity.notBefore.getFullYear() + 1);
  certificate.setSubject([{ name: 'commonName', value: 'fake' }]);
  certificate.setIssuer([{ name: 'commonName', value: 'fake' }]);
  certificate.sign(forge.pki.privateKeyFromPem(key.privateKey), forge.md.sha256.create());
  return { key: key.privateKey, cert: forge.pki.certificateToPem(certificate) };
}

describe('steering the fake', () => {
  let servicenow: FakeServiceNow;

  beforeEach(async () => {
    servicenow = await startFakeServiceNow();
  });
  afterEach(() => servicenow.close());

  const get = (target: string): Promise<Exchange> =>
    exchange(servicenow.url + target, { headers: as('svc_deploy') });
  const admin = (operation: string, input?: unknown): Promise<Exchange> =>
    exchange(`${servicenow.adminUrl}/__sim/${operation}`, {
      method: 'POST',
      body: input === undefined ? '' : JSON.stringify(input),
    });

  const state = async (number: string): Promise<unknown> => {
    const fields = { sysparm_fields: 'state,sys_mod_count', sysparm_query: `number=${number}` };
    return rowsOf(await get(table('change_request', fields)))[0];
  };

  leavesNothingOpen();

  it('a ticket moves by label or by value, and the change is counted', async () => {
    servicenow.tickets.move('change_request', SEED.changes.new, 'Implement');
    expect(await state(SEED.changes.new)).to.deep.equal({ state: '-1', sys_mod_count: '1' });
    await admin('tickets/move', { table: 'change_request', key: SEED.changes.new, state: '3' });
    expect(await state(SEED.changes.new)).to.deep.equal({ state: '3', sys_mod_count: '2' });
  });

  it('a mistake in steering is told, with what there is instead', async () => {
    expect(() => servicenow.tickets.move('change_request', SEED.changes.new, 'Done')).to.throw(
      /no state Done.*-1 Implement/,
    );
    expect(() => servicenow.tickets.patch('change_request', SEED.changes.new, { nmber: 'x' })).to.throw(
      /no field nmber/,
    );
    expect(() => servicenow.tickets.get('change_request', 'CHG1')).to.throw(/no change_request record CHG1/);
    expect(() => servicenow.users.get('nobody')).to.throw(/no user nobody/);
    const wrong = await admin('tickets/move', { table: 'change_request', key: 'CHG1', state: '3' });
    expect([wrong.status, wrong.text]).to.deep.equal([
      400,
      '{"error":"There is no change_request record CHG1 in the fake instance."}',
    ]);
    expect((await admin('faults/add', { fault: 'rain' })).text).to.match(/is not one of hibernate-html/);
    expect(
      (await admin('users/update', { userName: 'admin', changes: { timeZone: 'Moon' } })).status,
    ).to.equal(400);
    expect(
      (await exchange(`${servicenow.adminUrl}/__sim/faults/add`, { method: 'POST', body: '{' })).status,
    ).to.equal(400);
    expect((await admin('rain')).text).to.include('tickets/move');
    expect((await exchange(`${servicenow.adminUrl}/__sim/seed`)).status).to.equal(405);
  });

  it('a new record can be read at once, and a note is added, not replaced', async () => {
    servicenow.tickets.add('change_request', { number: 'CHG0090001', state: '-5', work_notes: 'zero' });
    servicenow.tickets.patch('change_request', 'CHG0090001', { work_notes: 'one' });
    servicenow.tickets.patch('change_request', 'CHG0090001', { work_notes: 'two' });
    const fields = {
      sysparm_query: 'number=CHG0090001',
      sysparm_fields: 'work_notes',
      sysparm_display_value: 'true',
    };
    expect(rowsOf(await get(table('change_request', fields)))[0]?.['work_notes']).to.match(
      /two\n\n.*one\n\n.*zero\n\n$/s,
    );
  });

  it('users, profile and journal are within reach of the admin plane too', async () => {
    await admin('users/update', { userName: 'svc_deploy', changes: { lockedOut: true } });
    expect((await get(table('task'))).status).to.equal(401);
    expect((await admin('users/get', { userName: 'svc_deploy' })).text)
      .to.include('"lockedOut":true')
      .and.not.include('password');
    await admin('profile/update', { unknownFieldPolicy: 'none' });
    expect(servicenow.profile.get().unknownFieldPolicy).to.equal('none');
    const journal = z.array(z.object({ path: z.string(), status: z.number() }));
    expect(journal.parse(JSON.parse((await admin('journal/read')).text))).to.deep.equal([
      { path: '/api/now/table/task', status: 401 },
    ]);
    await admin('journal/clear');
    expect(servicenow.journal()).to.deep.equal([]);
  });

  it('the journal holds a request as it was received', async () => {
    await exchange(servicenow.url + table('task', { sysparm_query: 'number=a b', sysparm_limit: '1' }), {
      headers: { ...as('svc_deploy'), 'user-agent': 'servicenow-delegate/1', cookie: 'a=1; b=2=3' },
    });
    const [entry] = servicenow.journal();
    expect(entry).to.deep.include({
      id: 1,
      method: 'GET',
      path: '/api/now/table/task',
      target: '/api/now/table/task?sysparm_query=number%3Da+b&sysparm_limit=1',
      query: { sysparm_query: 'number=a b', sysparm_limit: '1' },
      cookies: { a: '1', b: '2=3' },
      body: '',
      user: 'svc_deploy',
      status: 200,
      faults: [],
    });
    expect(entry?.headers).to.include({ 'user-agent': 'servicenow-delegate/1', ...as('svc_deploy') });
    expect(entry?.durationMs).to.be.a('number');
  });

  it('every named record of the seed is there, under the same sys_id in every run', async () => {
    const tables = {
      change_request: SEED.changes,
      change_task: SEED.changeTasks,
      incident: SEED.incidents,
      problem: SEED.problems,
      sc_task: SEED.catalogTasks,
      u_demo_custom: SEED.gates,
    };
    await using other = await startFakeServiceNow();
    for (const [name, numbers] of Object.entries(tables)) {
      for (const number of Object.values(numbers)) {
        const { sys_id } = servicenow.tickets.get(name, number);
        expect(sys_id).to.match(/^[0-9a-f]{32}$/);
        expect(other.tickets.get(name, number)['sys_id']).to.equal(sys_id);
      }
    }
    expect(servicenow.tickets.get('change_request', SEED.changes.emergencyCanceled)).to.include({
      type: 'emergency',
      state: '4',
    });
    expect(servicenow.tickets.get('change_request', SEED.changes.windowDays)['start_date']).to.equal('');
    expect(TABLES.get('u_demo_custom')?.parent).to.equal('task');
  });

  it('change windows lie around the present of the clock', async () => {
    const nowMs = Date.UTC(2026, 10, 23, 12);
    const clock = { now: () => nowMs, monotonic: () => 0, after: () => ({ cancel: () => undefined }) };
    await using other = await startFakeServiceNow({ clock });
    const windowOf = (number: string): (string | undefined)[] => {
      const { start_date, end_date, u_start_day, u_end_day } = other.tickets.get('change_request', number);
      return [start_date, end_date, u_start_day, u_end_day];
    };
    const [before, after] = ['2026-11-23 11:00:00', '2026-11-23 13:00:00'];
    expect(windowOf(SEED.changes.windowOpen)).to.deep.equal([before, after, '', '']);
    expect(windowOf(SEED.changes.windowFuture)).to.deep.equal([after, '2026-11-23 14:00:00', '', '']);
    expect(windowOf(SEED.changes.windowPast)).to.deep.equal(['2026-11-23 10:00:00', before, '', '']);
    expect(windowOf(SEED.changes.windowStartOnly)).to.deep.equal([before, '', '', '']);
    expect(windowOf(SEED.changes.windowEndOnly)).to.deep.equal(['', after, '', '']);
    expect(windowOf(SEED.changes.windowDays)).to.deep.equal(['', '', '2026-11-22', '2026-11-24']);
    expect(windowOf(SEED.changes.windowEndBeforeStart)).to.deep.equal([after, before, '', '']);
  });

  it('close() ends open connections, and nobody answers afterwards', async () => {
    const { port } = new URL(servicenow.url);
    const idle = connect(Number(port), '127.0.0.1');
    await once(idle, 'connect');
    const gone = once(idle.resume(), 'close');
    await servicenow.close();
    await gone;
    const failed = await get(table('task')).catch((error: unknown) => error);
    expect(failed).to.have.property('code', 'ECONNREFUSED');
  });

  it('speaks https with a certificate, and says so in links and cookies', async () => {
    await using secured = await startFakeServiceNow({ tls: selfSigned() });
    const target = secured.url + table('task', { sysparm_limit: '1' });
    const outgoing = request(target, {
      headers: as('svc_deploy'),
      agent: false,
      rejectUnauthorized: false,
    }).end();
    const [answer] = z.tuple([z.instanceof(IncomingMessage)]).parse(await once(outgoing, 'response'));
    const body = Buffer.concat(await answer.toArray()).toString('utf8');
    expect(secured.url).to.match(/^https:/);
    expect(answer.headers['set-cookie']?.[0]).to.match(/; Secure$/);
    expect(body).to.include(`"link":"${secured.url}/api/now/table/`);
  });

  it('a port that is taken is an error, and leaves nothing running', async () => {
    const taken = Number(new URL(servicenow.adminUrl).port);
    const failed = await startFakeServiceNow({ adminPort: taken }).catch((error: unknown) => error);
    expect(failed).to.have.property('code', 'EADDRINUSE');
  });
});
