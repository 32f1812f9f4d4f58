import { expect } from 'chai';
import * as fc from 'fast-check';
import {
  OAUTH,
  SEED,
  startFakeServiceNow,
  type FakeServiceNow,
} from '../../../src/dev/fake-servicenow/index.ts';
import { dateDisplay } from '../../../src/dev/fake-servicenow/records/dates.ts';
import { leavesNothingOpen } from '../../support/open-handles.ts';
import { as, bearer, exchange, recordOf, rowsOf, table, textIn, type Exchange } from './exchange.ts';

type User = Parameters<typeof as>[0];

describe('writing through the Table API of the fake', () => {
  let servicenow: FakeServiceNow;

  beforeEach(async () => {
    servicenow = await startFakeServiceNow();
  });
  afterEach(() => servicenow.close());

  leavesNothingOpen();

  const demo = table(`change_request/${SEED.sysIds.demoChange}`);

  function send(
    method: string,
    target: string,
    body: unknown,
    { user = 'svc_deploy', headers = {} }: { user?: User; headers?: Record<string, string> } = {},
  ): Promise<Exchange> {
    return exchange(servicenow.url + target, {
      method,
      headers: { ...as(user), 'content-type': 'application/json', ...headers },
      body: typeof body === 'string' ? body : JSON.stringify(body),
    });
  }

  function errorOf(answer: Exchange): [number, unknown] {
    const { error }: { error?: unknown } = JSON.parse(answer.text);
    return [answer.status, error];
  }

  it('a new record has a number, defaults and a place, and nothing that was not a field', async () => {
    const answer = await send('POST', table('change_request'), {
      short_description: 'Deploy',
      risk: 2,
      on_hold: true,
      no_such_field: 'x',
      sys_mod_count: '99',
      sys_created_by: 'somebody',
    });
    expect(answer.status).to.equal(201);
    const record = recordOf(answer);
    expect(record).to.include({
      number: 'CHG0030041',
      state: '-5',
      short_description: 'Deploy',
      risk: '2',
      on_hold: 'true',
      sys_mod_count: '0',
      sys_created_by: 'svc_deploy',
    });
    expect(record).to.not.have.property('no_such_field');
    const address = `${servicenow.url}/api/now/table/change_request/${textIn(record, 'sys_id')}`;
    expect(answer.headers.location).to.equal(address);
    expect(recordOf(await exchange(address, { headers: as('svc_deploy') }))).to.deep.equal(record);
  });

  it('a sys_id of the client’s own is kept, so a repeated insert is found out', async () => {
    const body = { sys_id: '0123456789abcdef0123456789abcdef', short_description: 'once' };
    expect(recordOf(await send('POST', table('incident'), body))).to.include({ sys_id: body.sys_id });
    expect((await send('POST', table('incident'), body)).status).to.equal(403);
  });

  it('PUT and PATCH change the named fields alone; an empty text clears, and null does', async () => {
    for (const [method, cleared] of [
      ['PUT', ''],
      ['PATCH', null],
    ] as const) {
      const before = servicenow.tickets.get('change_request', SEED.changes.demo);
      const answer = await send(method, demo, { assigned_to: cleared, sys_id: 'other', u_release: method });
      expect(answer.status).to.equal(200);
      const after = servicenow.tickets.get('change_request', SEED.changes.demo);
      expect(after).to.deep.equal({
        ...before,
        assigned_to: '',
        u_release: method,
        sys_mod_count: String(Number(before['sys_mod_count']) + 1),
        sys_updated_on: after['sys_updated_on'],
        sys_updated_by: 'svc_deploy',
      });
    }
  });

  it('a work note that is sent twice is there twice', async () => {
    for (const answer of [
      await send('PATCH', demo, { work_notes: 'Started' }),
      await send('PATCH', `${demo}?sysparm_display_value=true&sysparm_fields=work_notes`, {
        work_notes: 'Started',
      }),
    ]) {
      expect(answer.status).to.equal(200);
    }
    const shown = await exchange(`${servicenow.url}${demo}?sysparm_display_value=true`, {
      headers: as('svc_deploy'),
    });
    expect(textIn(recordOf(shown), 'work_notes').match(/Started/g)).to.have.lengthOf(2);
  });

  it('display values are taken where the client says so: labels, names, dates in the zone of the user', async () => {
    const answer = await send(
      'PATCH',
      `${demo}?sysparm_input_display_value=true`,
      {
        state: 'Implement',
        assignment_group: 'Hardware',
        watch_list: 'System Administrator',
        start_date: '24-12-2026 10:00:00',
        u_start_day: '24-12-2026',
      },
      { user: 'svc_deploy_ist' },
    );
    expect(answer.status).to.equal(200);
    expect(servicenow.tickets.get('change_request', SEED.changes.demo)).to.include({
      state: '-1',
      assignment_group: SEED.sysIds.hardwareGroup,
      watch_list: SEED.sysIds.admin,
      start_date: '2026-12-24 04:30:00',
      u_start_day: '2026-12-24',
    });
    await send('PATCH', demo, { state: 'Implement' });
    expect(
      servicenow.tickets.get('change_request', SEED.changes.demo),
      'else a label is stored as it is',
    ).to.have.property('state', 'Implement');
  });

  it('a date that a person reads is the one they would type, in any zone', () => {
    const zones = fc.constantFrom('UTC', 'Asia/Kolkata', 'America/Los_Angeles', 'Australia/Lord_Howe');
    const formats = fc.constantFrom('yyyy-MM-dd', 'dd-MM-yyyy', 'MM/dd/yyyy');
    const instants = fc.date({
      min: new Date('1990-01-01'),
      max: new Date('2060-01-01'),
      noInvalidDate: true,
    });
    fc.assert(
      fc.property(zones, formats, instants, (zone, format, instant) => {
        const dates = dateDisplay(zone, format);
        const shown = dates.dateTime(instant.toISOString().slice(0, 19).replace('T', ' '));
        expect(dates.dateTime(dates.parseDateTime(shown))).to.equal(shown);
      }),
    );
    expect(dateDisplay('UTC', 'yyyy-MM-dd').parseDateTime('tomorrow')).to.equal('');
  });

  it('the answer’s body can be done without', async () => {
    const headers = { 'x-no-response-body': 'true' };
    const created = await send('POST', table('incident'), {}, { headers });
    expect([created.status, created.text]).to.deep.equal([201, '']);
    expect(created.headers.location).to.match(/\/incident\/[0-9a-f]{32}$/);
    const changed = await send('PATCH', demo, { u_release: '1' }, { headers });
    expect([changed.status, changed.text]).to.deep.equal([204, '']);
  });

  it('a POST may stand for another method', async () => {
    const override = (method: string): { headers: Record<string, string> } => ({
      headers: { 'x-http-method-override': method },
    });
    expect(recordOf(await send('POST', demo, { u_release: '7' }, override('PATCH')))).to.include({
      u_release: '7',
    });
    const read = await send('POST', table('change_request', { sysparm_limit: '3' }), '', override('get'));
    expect(rowsOf(read)).to.have.lengthOf(3);
  });

  it('only admin deletes, and nothing is left', async () => {
    const denied = await send('DELETE', demo, '');
    expect(errorOf(denied)).to.deep.equal([
      403,
      { message: 'Operation Failed', detail: 'ACL Exception Delete Failed due to security constraints' },
    ]);
    const done = await send('DELETE', demo, '', { user: 'admin' });
    expect([done.status, done.text]).to.deep.equal([204, '']);
    expect((await send('DELETE', demo, '', { user: 'admin' })).status).to.equal(404);
  });

  it('who may not write is told so; who may not read is told that there is nothing', async () => {
    const denied = (operation: string): unknown => [
      403,
      {
        message: 'Operation Failed',
        detail: `ACL Exception ${operation} Failed due to security constraints`,
      },
    ];
    expect(errorOf(await send('POST', table('incident'), {}, { user: 'svc_read' }))).to.deep.equal(
      denied('Insert'),
    );
    expect(errorOf(await send('PATCH', demo, {}, { user: 'svc_read' }))).to.deep.equal(denied('Update'));
    expect((await send('PATCH', demo, {}, { user: 'svc_none' })).status).to.equal(404);
    expect(servicenow.tickets.get('change_request', SEED.changes.demo)).to.include({ sys_mod_count: '0' });
  });

  it('a field that the user may not set is dropped without a word', async () => {
    const answer = await send('PATCH', demo, { u_security_review: 'passed', u_release: '2' });
    expect(answer.status).to.equal(200);
    expect(recordOf(answer)).to.include({ u_security_review: '', u_release: '2' });
  });

  it('a body that can’t be read is refused, before the table is looked at', async () => {
    const nowhere = table('no_such_table');
    expect((await send('POST', nowhere, '{"a":')).status).to.equal(400);
    expect(errorOf(await send('POST', nowhere, '"text"'))).to.have.nested.property(
      '[1].message',
      'Exception while reading request',
    );
    const xml = { headers: { 'content-type': 'application/xml' } };
    expect((await send('POST', nowhere, '<a/>', xml)).status).to.equal(415);
    const large = await send('POST', nowhere, JSON.stringify({ a: 'x'.repeat(10_485_760) }));
    expect(errorOf(large)).to.deep.equal([
      400,
      {
        message: 'Exception while reading request',
        detail:
          'Rejected large REST payload with content-length = 10485768 bytes. Max allowed: 10485760 bytes.',
      },
    ]);
    expect(errorOf(await send('POST', nowhere, {}))).to.deep.equal([
      400,
      { message: 'Invalid table no_such_table', detail: null },
    ]);
  });

  it('of several records the first is taken', async () => {
    const answer = await send('POST', table('incident'), [{ category: 'one' }, { category: 'two' }]);
    expect(recordOf(answer)).to.include({ category: 'one', number: 'INC0010017' });
    expect(servicenow.tickets.get('incident', 'INC0010017')).to.include({ category: 'one' });
    expect(() => servicenow.tickets.get('incident', 'INC0010018')).to.throw(/no incident record/);
  });

  it('a method that has no meaning for the address is named with those that have', async () => {
    const onList = await send('DELETE', table('incident'), '');
    expect([onList.status, onList.headers.allow]).to.deep.equal([405, 'GET, HEAD, POST']);
    const onRecord = await send('POST', demo, {});
    expect([onRecord.status, onRecord.headers.allow]).to.deep.equal([405, 'GET, HEAD, PUT, PATCH, DELETE']);
  });
});

describe('the rest of the fake’s API', () => {
  let servicenow: FakeServiceNow;

  beforeEach(async () => {
    servicenow = await startFakeServiceNow();
  });
  afterEach(() => servicenow.close());

  leavesNothingOpen();

  const get = (target: string, user: User = 'svc_deploy'): Promise<Exchange> =>
    exchange(servicenow.url + target, { headers: as(user) });

  it('counts rows, all or by groups, for whoever may read the table', async () => {
    const stats = '/api/now/stats/change_request?sysparm_count=true';
    expect(JSON.parse((await get(`${stats}&sysparm_query=state=-1^type=standard`)).text)).to.deep.equal({
      result: { stats: { count: '1' } },
    });
    const { result } = JSON.parse((await get(`${stats}&sysparm_group_by=type`)).text);
    expect(result)
      .to.have.lengthOf(3)
      .and.to.deep.include({
        stats: { count: '8' },
        groupby_fields: [{ field: 'type', value: 'emergency' }],
      });
    expect((await get(stats, 'svc_none')).status).to.equal(403);
    expect((await get('/api/now/stats/change_request')).status).to.equal(400);
    expect((await get('/api/now/stats/no_such?sysparm_count=true')).status).to.equal(400);
  });

  it('beyond the last row there is nothing, which version 1 calls not found', async () => {
    const beyond = 'u_paging?sysparm_query=ORDERBYnumber&sysparm_offset=5000';
    expect((await get(`/api/now/v1/table/${beyond}`)).status).to.equal(404);
    const answer = await get(`/api/now/v2/table/${beyond}`);
    expect(answer.text).to.equal('{"result":[]}');
    expect(answer.headers['x-total-count']).to.equal(String(SEED.paging.rows));
  });

  it('answers a hundred numbers in one query', async () => {
    const numbers = Array.from({ length: 100 }, (_, index) => `PAG${String(index * 7 + 1).padStart(7, '0')}`);
    const target = table('u_paging', { sysparm_query: `numberIN${numbers.join(',')}^ORDERBYnumber` });
    expect(rowsOf(await get(target)).map(({ number }) => number)).to.deep.equal(numbers);
  });

  it('a token is revoked by whoever has it', async () => {
    const refreshToken = OAUTH.refreshToken;
    await exchange(`${servicenow.url}/oauth_revoke_token.do?token=${refreshToken}`);
    servicenow.tokens.issueRefreshToken('svc_deploy', OAUTH.clientId, 'another');
    const grant = (token: string): Promise<Exchange> =>
      exchange(`${servicenow.url}/oauth_token.do`, {
        method: 'POST',
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
        body: new URLSearchParams({
          grant_type: 'refresh_token',
          client_id: OAUTH.clientId,
          client_secret: OAUTH.clientSecret,
          refresh_token: token,
        }).toString(),
      });
    expect((await grant(refreshToken)).status).to.equal(401);
    const { access_token: accessToken } = JSON.parse((await grant('another')).text);
    const ask = (): Promise<Exchange> =>
      exchange(servicenow.url + table('task', { sysparm_limit: '1' }), { headers: bearer(accessToken) });
    expect((await ask()).status).to.equal(200);
    await exchange(`${servicenow.url}/oauth_revoke_token.do?token=${accessToken}`);
    expect((await ask()).status).to.equal(401);
  });
});
