/**
 * `sn-rest-client` 2.1.9 (LGPL-3.0, for tests alone): a client over `request` that follows `Link: rel="next"` by
 * itself and renews an access token on a 401.
 *
 * Of its own making, and left as it is: with a token it takes a 400 for an expired one as well, and renews it.
 * https://github.com/bmoers/sn-rest-client/blob/master/index.js
 */
import { expect } from 'chai';
import connect from 'sn-rest-client';
import { z } from 'zod';
import {
  OAUTH,
  PASSWORDS,
  SEED,
  startFakeServiceNow,
  type FakeServiceNow,
} from '../../../src/dev/fake-servicenow/index.ts';
import { leavesNothingOpen } from '../../support/open-handles.ts';
import { textIn } from '../fake-servicenow/exchange.ts';
import { rowIn, rowsIn } from './rows.ts';

type Client = ReturnType<typeof connect>;

const refusalSchema = z.object({
  statusCode: z.number(),
  error: z.object({ error: z.object({ message: z.string() }) }),
});

describe('sn-rest-client against the fake', () => {
  let servicenow: FakeServiceNow;

  beforeEach(async () => {
    servicenow = await startFakeServiceNow();
  });
  afterEach(() => servicenow.close());

  leavesNothingOpen();

  const as = (user: keyof typeof PASSWORDS, password: string = PASSWORDS[user]): Client =>
    connect({ hostName: servicenow.url, silent: true, auth: { username: user, password } });
  const byToken = (accessToken: string): Client =>
    connect({ hostName: servicenow.url, silent: true, auth: { ...OAUTH, accessToken } });

  async function refusalOf(work: Promise<unknown>): Promise<[number, string]> {
    const failure = refusalSchema.parse(
      await work.then(
        () => undefined,
        (error: unknown) => error,
      ),
    );
    return [failure.statusCode, failure.error.error.message];
  }

  it('reads a list page by page along the Link header, each record once', async () => {
    const qs = {
      sysparm_query: 'ORDERBYnumber',
      sysparm_fields: 'number',
      sysparm_limit: '300',
    };
    const rows = rowsIn(await as('svc_deploy').get({ url: `/api/now/table/${SEED.paging.table}`, qs }));
    expect(rows).to.have.lengthOf(SEED.paging.rows);
    expect(new Set(rows.map(({ number }) => number))).to.have.property('size', SEED.paging.rows);
    expect(servicenow.traffic().lists).to.deep.equal({ [SEED.paging.table]: 7 });
  });

  it('reads a list with query, fields, limit and offset, and both forms of every value', async () => {
    const qs = {
      sysparm_query: `numberIN${SEED.changes.new},${SEED.changes.closed}^ORDERBYnumber`,
      sysparm_fields: 'number,state',
      sysparm_display_value: 'all',
      sysparm_limit: '1',
      sysparm_offset: '1',
    };
    const rows = await as('svc_read').get({
      url: '/api/now/v2/table/change_request',
      qs,
      autoPagination: false,
    });
    expect(rowsIn(rows)).to.deep.equal([
      {
        number: { display_value: SEED.changes.closed, value: SEED.changes.closed },
        state: { display_value: 'Closed', value: '3' },
      },
    ]);
  });

  it('reads one record by its sys_id, and is told that there is none of another', async () => {
    const client = as('svc_deploy');
    const [row] = rowsIn(
      await client.get({ url: `/api/now/table/change_request/${SEED.sysIds.demoChange}` }),
    );
    expect(row).to.include({ number: SEED.changes.demo });
    expect(await refusalOf(client.get({ url: '/api/now/table/change_request/none' }))).to.deep.equal([
      404,
      'No Record found',
    ]);
  });

  it('creates, changes and deletes a record', async () => {
    const client = as('admin');
    const [created = {}] = rowsIn(
      await client.post({ url: '/api/now/table/incident' }, { short_description: 'x', no_such_field: 'y' }),
    );
    const url = `/api/now/table/incident/${textIn(created, 'sys_id')}`;
    expect(created).to.include({ short_description: 'x' }).and.not.have.property('no_such_field');
    for (const change of ['put', 'patch'] as const) {
      const [changed] = rowsIn(await client[change]({ url }, { description: change }));
      expect(rowIn(changed)).to.include({ short_description: 'x', description: change });
    }
    await client.del({ url });
    expect(await refusalOf(client.get({ url }))).to.deep.equal([404, 'No Record found']);
  });

  it('is told of a wrong password, an unknown table and a missing right', async () => {
    const url = '/api/now/table/incident';
    expect(await refusalOf(as('svc_deploy', 'wrong').get({ url }))).to.deep.equal([
      401,
      'User Not Authenticated',
    ]);
    expect(await refusalOf(as('svc_deploy').get({ url: '/api/now/table/no_such' }))).to.deep.equal([
      400,
      'Invalid table no_such',
    ]);
    expect(await refusalOf(as('svc_none').post({ url }, {}))).to.deep.equal([403, 'Operation Failed']);
  });

  it('renews an access token that was revoked, by its refresh token, and goes on', async () => {
    const client = byToken('not-a-token-any-more');
    const url = `/api/now/table/change_request/${SEED.sysIds.demoChange}`;
    expect(rowsIn(await client.get({ url }))).to.have.lengthOf(1);
    expect(servicenow.journal().map(({ status }) => status)).to.deep.equal([401, 200, 200]);
    expect(client.getAccessToken()).to.have.lengthOf(86);
  });
});
