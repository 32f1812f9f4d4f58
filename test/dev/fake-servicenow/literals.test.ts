import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { SEED, startFakeServiceNow, type FakeServiceNow } from '../../../src/dev/fake-servicenow/index.ts';
import { LEDGER } from '../../../src/dev/fake-servicenow/ledger.ts';
import { leavesNothingOpen } from '../../support/open-handles.ts';
import { as, exchange, table, type Exchange } from './exchange.ts';

/** The texts that real instances send, byte for byte. */
describe('the literal answers of the fake', () => {
  let servicenow: FakeServiceNow;

  beforeEach(async () => {
    servicenow = await startFakeServiceNow();
  });
  afterEach(() => servicenow.close());

  const get = (target: string): Promise<Exchange> =>
    exchange(servicenow.url + target, { headers: as('svc_deploy') });

  const cases: readonly (readonly [target: string, status: number, body: string])[] = [
    [table('x'), 400, '{"error":{"message":"Invalid table x","detail":null},"status":"failure"}'],
    [
      table('change_request/00000000000000000000000000000000'),
      404,
      `{"error":{"message":"No Record found","detail":"Record doesn't exist or ACL restricts the record retrieval"},"status":"failure"}`,
    ],
    [
      '/api/now/v1/table/change_request?sysparm_query=number=x',
      404,
      '{"error":{"message":"No Record found","detail":"Records matching query not found. Check query parameter or offset parameter"},"status":"failure"}',
    ],
    [
      table('task', { sysparm_limit: '0' }),
      400,
      '{"error":{"message":"Invalid value given for sysparm_limit","detail":"sysparm_limit value must be a positive integer"},"status":"failure"}',
    ],
    [
      table('task', { sysparm_limit: '-1' }),
      400,
      '{"error":{"message":"Invalid value given for sysparm_limit","detail":"sysparm_limit value must be a positive integer"},"status":"failure"}',
    ],
    [
      '/api/now/table',
      400,
      '{"error":{"message":"Requested URI does not represent any resource","detail":null},"status":"failure"}',
    ],
    [
      table('sys_db_object'),
      403,
      '{"error":{"message":"User Not Authorized","detail":"User is unauthorized to access table: sys_db_object"},"status":"failure"}',
    ],
    [table('change_request', { sysparm_query: 'number=x' }), 200, '{"result":[]}'],
  ];
  leavesNothingOpen();

  for (const [target, status, body] of cases) {
    it(`${target} answers ${status}`, async () => {
      const answer = await get(target);
      expect([answer.status, answer.text]).to.deep.equal([status, body]);
      expect(answer.headers['content-type']).to.equal('application/json;charset=UTF-8');
    });
  }

  it('a cancelled transaction ends a 200 with an error', async () => {
    servicenow.faults.add({ fault: 'ok-with-error' });
    const { status, text } = await get(
      table('change_request', { sysparm_query: `number=${SEED.changes.new}`, sysparm_fields: 'number' }),
    );
    expect(status).to.equal(200);
    expect(text).to.equal(
      `{"result":[{"number":"${SEED.changes.new}"}],"error":{"message":"Transaction cancelled: maximum execution time exceeded","detail":"Transaction cancelled: maximum execution time exceeded Check logs for error trace or enable glide.rest.debug property to verify REST request processing"},"status":"failure"}`,
    );
  });

  it('a rate-limit rule names itself', async () => {
    servicenow.faults.add({ fault: 'rate-limit' });
    const { status, text, headers } = await get(table('task'));
    expect(status).to.equal(429);
    expect(text).to.equal(
      '{"error":{"message":"Rate limit exceeded","detail":"Rate limit of 100 requests per hour for Table API exceeded"},"status":"failure"}',
    );
    expect(headers).to.include({ 'retry-after': '1800', 'x-ratelimit-limit': '100' });
    expect(headers).to.include.keys('x-ratelimit-reset', 'x-ratelimit-rule');
  });

  it('a generic server error', async () => {
    servicenow.faults.add({ fault: 'server-error' });
    const { status, text } = await get(table('task'));
    expect(status).to.equal(500);
    expect(text).to.equal(
      '{"error":{"message":"Exception while executing request: null","detail":"Exception while executing request: null Check logs for error trace or enable glide.rest.debug property to verify REST request processing"},"status":"failure"}',
    );
  });

  it('what is only inferred is listed for verification, all of it', () => {
    const readme = readFileSync(
      new URL('../../../src/dev/fake-servicenow/README.md', import.meta.url),
      'utf8',
    );
    const listed = [...readme.matchAll(/^- (.*)$/gm)].map(([, behaviour]) => behaviour);
    const inferred = LEDGER.filter(({ tag }) => tag === 'I').map(({ behaviour }) => behaviour);
    expect(listed).to.deep.equal(inferred);
  });
});
