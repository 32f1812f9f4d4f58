/**
 * The request samples of ServiceNow's public documentation (github.com/ServiceNow/ServiceNowDocs, Apache-2.0, folder
 * `markdown/`), replayed against the fake. `source` in `vectors/` names the page. Each request is what `curl` makes of
 * the sample; of the sample only the host of the instance is replaced. `given` are the records that the sample
 * presupposes; `expected` is what the page shows, for the fields that the fake has: an empty one, a text, or a reference
 * as an object of `link` and `value`.
 */
import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { z } from 'zod';
import { startFakeServiceNow, type FakeServiceNow } from '../../../src/dev/fake-servicenow/index.ts';
import { leavesNothingOpen } from '../../support/open-handles.ts';
import { basic, exchange, textIn, type Exchange } from '../fake-servicenow/exchange.ts';
import { rowIn, rowsIn, type Row } from './rows.ts';

const HOST_OF_THE_SAMPLES = 'https://instance.servicenow.com';

const text = z.record(z.string(), z.string());
const rowsExpected = {
  fields: z.record(z.string(), z.enum(['text', 'empty', 'reference'])),
  values: z.record(z.string(), z.union([z.string(), text])),
};
const expectedSchema = z.discriminatedUnion('result', [
  z.strictObject({ result: z.literal('list'), status: z.number(), length: z.number(), ...rowsExpected }),
  z.strictObject({
    result: z.literal('record'),
    status: z.number(),
    /** What stands before the sys_id. */
    location: z.string().optional(),
    ...rowsExpected,
  }),
  z.strictObject({
    result: z.enum(['nothing', 'failure', 'token', 'refusal', 'object']),
    status: z.number(),
  }),
]);
const vectorSchema = z.strictObject({
  name: z.string(),
  source: z.string(),
  request: z.strictObject({
    method: z.string(),
    target: z.string(),
    headers: text,
    body: z.string().optional(),
  }),
  given: z.array(z.strictObject({ table: z.string(), values: text })),
  expected: expectedSchema,
});

type Vector = z.infer<typeof vectorSchema>;
type Expected = Vector['expected'];

const tokenSchema = z.strictObject({
  scope: z.literal('useraccount'),
  token_type: z.literal('Bearer'),
  expires_in: z.number().min(1).max(1_800),
  refresh_token: z.string(),
  access_token: z.string(),
});
const failureSchema = z.strictObject({
  error: z.strictObject({ message: z.string(), detail: z.string().nullable() }),
  status: z.literal('failure'),
});
const refusalSchema = z.strictObject({ error: z.string(), error_description: z.string() });

function vectorsIn(file: string): Vector[] {
  const content = readFileSync(new URL(`vectors/${file}.json`, import.meta.url), 'utf8');
  return z.array(vectorSchema).parse(JSON.parse(content.replaceAll(HOST_OF_THE_SAMPLES, '{instance}')));
}

/** The user of the samples, who may do what they show. */
const USER = { name: 'username', password: 'password', sysId: '00000000000000000000000000000001' };

describe('the requests of ServiceNow’s documentation', () => {
  let servicenow: FakeServiceNow;

  beforeEach(async () => {
    servicenow = await startFakeServiceNow({
      passwords: { admin: 'admin' },
      oauthClients: [
        { clientId: 'be3aeb583ace210011c15b24a43e25d8', clientSecret: 'client_password' },
        { clientId: 'a329c4515612210071a5e0c298ee2be8', clientSecret: 'password22' },
      ],
    });
    enroll(USER.name, USER.password, USER.sysId);
    enroll('RESTUser', 'RESTUserPassword', '00000000000000000000000000000002');
    servicenow.tokens.issueRefreshToken(
      'admin',
      'be3aeb583ace210011c15b24a43e25d8',
      'w599voG89897rGVDmdp12WA681r9E5948c1CJTPi8g4HGc4NWaz62k6k1K0FMxHW40H8yOO3Hoe',
    );
  });
  afterEach(() => servicenow.close());

  leavesNothingOpen();

  function enroll(name: string, password: string, sysId: string): void {
    servicenow.tickets.add('sys_user', { sys_id: sysId, user_name: name, active: 'true' });
    servicenow.users.update(name, { password, roles: ['admin', 'snc_basic_auth_api_access'] });
  }

  async function replay({ request, given, expected }: Vector): Promise<void> {
    for (const { table, values } of given) servicenow.tickets.add(table, values);
    const isApi = request.target.startsWith('/api/');
    const answer = await exchange(servicenow.url, {
      method: request.method,
      target: request.target,
      headers: { ...request.headers, ...(isApi ? basic(USER.name, USER.password) : {}) },
      ...(request.body === undefined ? {} : { body: request.body }),
    });
    expect(answer.status, answer.text).to.equal(expected.status);
    check(answer, expected);
  }

  function check(answer: Exchange, expected: Expected): void {
    if (expected.result === 'nothing') {
      expect(answer.bytes).to.have.lengthOf(0);
      return;
    }
    expect(answer.headers['content-type']).to.match(/^application\/json/);
    const body: unknown = JSON.parse(answer.text);
    switch (expected.result) {
      case 'list': {
        const rows = rowsIn(z.strictObject({ result: z.unknown() }).parse(body).result);
        expect(rows).to.have.lengthOf(expected.length);
        expect(answer.headers).to.include.keys('link', 'x-total-count');
        for (const row of rows) checkRow(row, expected);
        break;
      }
      case 'record': {
        const row = rowIn(z.strictObject({ result: z.unknown() }).parse(body).result);
        checkRow(row, expected);
        if (expected.location === undefined) break;
        expect(answer.headers.location).to.equal(
          `${servicenow.url}${expected.location}${textIn(row, 'sys_id')}`,
        );
        break;
      }
      case 'failure':
        failureSchema.parse(body);
        break;
      case 'token':
        tokenSchema.parse(body);
        break;
      case 'refusal':
        refusalSchema.parse(body);
        break;
      case 'object':
        text.parse(body);
        break;
    }
  }

  function checkRow(row: Row, { fields, values }: Extract<Expected, { fields: unknown }>): void {
    for (const [name, kind] of Object.entries(fields)) {
      if (kind === 'empty') expect(row[name], name).to.equal('');
      if (kind === 'text') expect(row[name], name).to.be.a('string').and.not.equal('');
      if (kind === 'reference') expect(row[name], name).to.have.all.keys('link', 'value');
    }
    const documented = JSON.stringify(values).replaceAll('{instance}', servicenow.url);
    expect(row).to.deep.include(rowIn(JSON.parse(documented)));
  }

  for (const file of ['table-api', 'queries', 'oauth']) {
    describe(file, () => {
      for (const vector of vectorsIn(file)) {
        it(`${vector.name}: ${vector.request.method}, ${vector.expected.status}`, () => replay(vector));
      }
    });
  }
});
