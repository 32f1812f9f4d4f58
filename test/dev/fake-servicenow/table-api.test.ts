import { expect } from 'chai';
import { gunzipSync } from 'node:zlib';
import { SEED, startFakeServiceNow, type FakeServiceNow } from '../../../src/dev/fake-servicenow/index.ts';
import { leavesNothingOpen } from '../../support/open-handles.ts';
import { as, exchange, recordOf, rowsOf, table, type Exchange } from './exchange.ts';

describe('the Table API of the fake', () => {
  let servicenow: FakeServiceNow;

  beforeEach(async () => {
    servicenow = await startFakeServiceNow();
  });
  afterEach(() => servicenow.close());

  function get(target: string, user: Parameters<typeof as>[0] = 'svc_deploy'): Promise<Exchange> {
    return exchange(servicenow.url + target, { headers: as(user) });
  }

  const one = (number: string, more: Record<string, string> = {}): string =>
    table('change_request', { sysparm_query: `number=${number}`, ...more });

  leavesNothingOpen();

  it('shows a reference in the shape that display value and link settings ask for', async () => {
    const link = `${servicenow.url}/api/now/table/sys_user_group/${SEED.sysIds.networkGroup}`;
    const value = SEED.sysIds.networkGroup;
    const shapes = [
      ['false', 'false', { link, value }, ''],
      ['false', 'true', value, ''],
      ['true', 'false', { display_value: 'Network', link }, ''],
      ['true', 'true', 'Network', ''],
      ['all', 'false', { display_value: 'Network', value, link }, { display_value: '', value: '' }],
      ['all', 'true', { display_value: 'Network', value }, { display_value: '', value: '' }],
    ] as const;
    for (const [display, exclude, set, unset] of shapes) {
      const shape = {
        sysparm_display_value: display,
        sysparm_exclude_reference_link: exclude,
        sysparm_fields: 'assignment_group,parent',
      };
      const answer = await get(one(SEED.changes.new, shape));
      expect(rowsOf(answer), `${display} ${exclude}`).to.deep.equal([
        { assignment_group: set, parent: unset },
      ]);
    }
  });

  it('shows every scalar as a string and a label beside its value', async () => {
    const fields = 'state,active,u_risk_score,u_start_day,sys_class_name';
    const answer = await get(
      one(SEED.changes.customFields, { sysparm_fields: fields, sysparm_display_value: 'all' }),
    );
    expect(rowsOf(answer)).to.deep.equal([
      {
        state: { display_value: 'Implement', value: '-1' },
        active: { display_value: 'true', value: 'true' },
        u_risk_score: { display_value: '42', value: '42' },
        u_start_day: { display_value: '2026-12-01', value: '2026-12-01' },
        sys_class_name: { display_value: 'Change Request', value: 'change_request' },
      },
    ]);
  });

  it('shows dates in the zone and format of the asking user, and stores them in UTC', async () => {
    servicenow.tickets.patch('change_request', SEED.changes.new, { start_date: '2026-11-02 20:49:33' });
    const target = one(SEED.changes.new, { sysparm_fields: 'start_date', sysparm_display_value: 'all' });
    const shown = [
      ['svc_deploy', '2026-11-02 20:49:33'],
      ['svc_deploy_ist', '03-11-2026 02:19:33'],
      ['admin', '11/02/2026 12:49:33'],
    ] as const;
    for (const [user, display] of shown) {
      expect(rowsOf(await get(target, user))).to.deep.equal([
        { start_date: { display_value: display, value: '2026-11-02 20:49:33' } },
      ]);
    }
  });

  it('shows a journal only as display value, newest note first', async () => {
    const target = one(SEED.changes.journal, {
      sysparm_fields: 'work_notes,calendar_duration,watch_list',
      sysparm_display_value: 'all',
    });
    const [row] = rowsOf(await get(target));
    expect(row?.['work_notes']).to.have.property('value', '');
    expect(row?.['work_notes'])
      .to.have.property('display_value')
      .that.matches(
        / - svc_deploy \(Work notes\)\nSecond note\n\n.* - svc_deploy \(Work notes\)\nFirst note\n\n$/s,
      );
    expect(row?.['calendar_duration']).to.have.property('display_value', '2 Minutes 17 Seconds');
    expect(row?.['watch_list']).to.have.property('display_value', 'System Administrator, Anglin, Beth');
  });

  it('ignores an unknown field, leaves out a forbidden one and walks through references', async () => {
    const target = one(SEED.changes.customFields, {
      sysparm_fields: 'number,no_such,u_security_review,assigned_to.manager.user_name,parent.number',
    });
    const shared = {
      number: SEED.changes.customFields,
      'assigned_to.manager.user_name': 'admin',
      'parent.number': '',
    };
    expect(rowsOf(await get(target, 'svc_deploy'))).to.deep.equal([
      { ...shared, u_security_review: 'passed' },
    ]);
    const [read] = rowsOf(await get(target, 'svc_read'));
    expect(read).to.not.have.any.keys('u_security_review', 'no_such');
  });

  it('cuts the page before it checks the rows, so a short page is not the last one', async () => {
    const target = table('task', {
      sysparm_query: 'numberSTARTSWITHPRB^ORnumberSTARTSWITHINC^ORDERBYDESCnumber',
    });
    const page = await get(`${target}&sysparm_limit=10`, 'svc_read');
    expect(page.headers['x-total-count']).to.equal('16');
    expect(rowsOf(page).length).to.be.lessThan(10);
    expect(page.headers.link).to.include('rel="next"');
  });

  it('points to the pages around, unless it was told not to', async () => {
    const target = table('u_paging', {
      sysparm_query: 'ORDERBYnumber',
      sysparm_limit: '500',
      sysparm_offset: '500',
    });
    const answer = await get(target);
    const link = String(answer.headers.link);
    expect(
      [...link.matchAll(/sysparm_offset=(\d+)>;rel="(\w+)"/g)].map(([, at, rel]) => [rel, at]),
    ).to.deep.equal([
      ['first', '0'],
      ['prev', '0'],
      ['next', '1000'],
      ['last', '1500'],
    ]);
    expect((await get(`${target}&sysparm_suppress_pagination_header=true`)).headers.link).to.equal(undefined);
    const uncounted = await get(`${target}&sysparm_no_count=true`);
    expect(uncounted.headers['x-total-count']).to.equal('500');
    expect(uncounted.headers.link).to.not.include('rel="last"');
  });

  it('paging without a complete order loses and repeats rows; with sys_id at the end it does not', async () => {
    const collect = async (query: string): Promise<Set<unknown>> => {
      const seen = new Set<unknown>();
      for (let offset = 0; offset < SEED.paging.rows; offset += 500) {
        const page = table('u_paging', {
          sysparm_query: query,
          sysparm_fields: 'sys_id',
          sysparm_limit: '500',
          sysparm_offset: String(offset),
        });
        for (const row of rowsOf(await get(page))) seen.add(row['sys_id']);
      }
      return seen;
    };
    expect((await collect('')).size).to.be.lessThan(SEED.paging.rows);
    expect((await collect('ORDERBYu_key')).size).to.be.lessThan(SEED.paging.rows);
    expect((await collect('ORDERBYu_key^ORDERBYsys_id')).size).to.equal(SEED.paging.rows);
  });

  it('an empty list is 404 in v1 and an empty array elsewhere', async () => {
    const query = '?sysparm_query=number=CHG9999999';
    expect((await get(`/api/now/v1/table/change_request${query}`)).status).to.equal(404);
    expect((await get(`/api/now/v2/table/change_request${query}`)).text).to.equal('{"result":[]}');
    expect((await get(`/api/now/table/change_request${query}`)).text).to.equal('{"result":[]}');
    servicenow.profile.update({ emptyList: '200' });
    expect((await get(`/api/now/v1/table/change_request${query}`)).status).to.equal(200);
  });

  it('an unreadable table looks empty or is refused; an unreadable record looks missing', async () => {
    expect(rowsOf(await get(table(SEED.unreadable.empty)))).to.deep.equal([]);
    expect((await get(table(SEED.unreadable.refused))).status).to.equal(403);
    expect(rowsOf(await get(table('change_request'), 'svc_none'))).to.deep.equal([]);
    const demo = table(`change_request/${SEED.sysIds.demoChange}`);
    expect((await get(demo, 'svc_none')).status).to.equal(404);
    expect(recordOf(await get(demo))).to.include({ number: SEED.changes.demo });
    expect(rowsOf(await get(table('sys_user'), 'svc_none'))).to.have.lengthOf(1);
  });

  it('the task table includes its children with their own state labels', async () => {
    const closed = `${SEED.changes.closed},${SEED.incidents.onHold}`;
    const target = table('task', {
      sysparm_query: `numberIN${closed}^ORDERBYnumber`,
      sysparm_fields: 'state',
      sysparm_display_value: 'true',
    });
    expect(rowsOf(await get(target))).to.deep.equal([{ state: 'Closed' }, { state: 'On Hold' }]);
  });

  it('records survive the wire whole: 40 kB, emoji, right-to-left text and characters special to URLs', async () => {
    const { longDescription, unicode, rightToLeft, specialCharacters } = SEED.changes;
    for (const number of [longDescription, unicode, rightToLeft, specialCharacters]) {
      const [row] = rowsOf(await get(one(number, { sysparm_fields: 'short_description,description' })));
      const { short_description, description } = servicenow.tickets.get('change_request', number);
      expect(row).to.deep.equal({ short_description, description });
    }
    expect(servicenow.tickets.get('change_request', longDescription)['description']).to.have.lengthOf(40_960);
  });

  it('HEAD answers the headers of GET without a body', async () => {
    const answer = await exchange(servicenow.url + table('change_request'), {
      method: 'HEAD',
      headers: as('svc_deploy'),
    });
    expect(answer.status).to.equal(200);
    expect(Number(answer.headers['x-total-count'])).to.equal(41);
    expect(answer.bytes).to.have.lengthOf(0);
  });

  it('answers JSON or nothing', async () => {
    const target = servicenow.url + table('task', { sysparm_limit: '1' });
    const status = async (accept: string): Promise<number> =>
      (await exchange(target, { headers: { ...as('svc_deploy'), accept } })).status;
    expect(await status('application/xml')).to.equal(406);
    expect(await status('text/html, */*;q=0.1')).to.equal(200);
    expect(await status('application/json')).to.equal(200);
  });

  it('compresses when asked to', async () => {
    const headers = { ...as('svc_deploy'), 'accept-encoding': 'gzip, deflate' };
    const answer = await exchange(servicenow.url + one(SEED.changes.unicode), { headers });
    expect(answer.headers['content-encoding']).to.equal('gzip');
    expect(gunzipSync(answer.bytes).toString('utf8')).to.include('🚀');
  });

  it('a request target that is too long never reaches the API', async () => {
    const ids = Array.from({ length: 300 }, () => SEED.sysIds.demoChange).join(',');
    const answer = await get(table('change_request', { sysparm_query: `sys_idIN${ids}` }));
    expect(answer.status).to.equal(400);
    expect(answer.headers['content-type']).to.match(/^text\/html/);
    expect(answer.text).to.include('Request header is too large');
  });

  it('a client that keeps no cookie gets a session with every answer; one that does gets it once', async () => {
    const first = await get(table('task', { sysparm_limit: '1' }));
    const cookies = (first.headers['set-cookie'] ?? []).map((cookie) => cookie.split(';')[0]).join('; ');
    expect(cookies).to.match(/^JSESSIONID=[0-9A-F]{32}; glide_user_route=glide\./);
    expect(first.headers).to.include({ 'x-is-logged-in': 'true', server: 'ServiceNow' });
    const headers = { ...as('svc_deploy'), cookie: cookies };
    const second = await exchange(servicenow.url + table('task', { sysparm_limit: '1' }), { headers });
    expect(second.headers['set-cookie']).to.equal(undefined);
  });

  it('what is not the API answers with pages or redirects', async () => {
    const pages = [
      ['/', 200],
      ['/login.do', 200],
      ['/stats.do', 200],
      ['/nav_to.do?uri=change_request.do', 302],
      ['/oauth_token.do/', 200],
    ] as const;
    for (const [path, status] of pages) {
      const answer = await get(path);
      expect(answer.status, path).to.equal(status);
      expect(answer.headers['content-type'], path).to.match(/^text\/html/);
    }
    const doubled = await exchange(servicenow.url, {
      target: '//api/now/table/task',
      headers: as('svc_deploy'),
    });
    expect(doubled.status).to.equal(302);
  });
});
