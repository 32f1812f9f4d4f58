/**
 * `servicenow-rest-api` 1.2.2 (MIT): a client of the Table API over axios, basic authentication only, https only.
 *
 * Of its own making, and left as they are: errors come to the callback in place of a result; `getSysId` takes the
 * first row unseen, so an unknown number ends in a TypeError; `UpdateTask` and `DeleteTask` then put whatever came of
 * that into the URL; network options hold for the whole process and can be set once. https://github.com/ChaitanyaKaranam/servicenow-rest-api/blob/master/servicenow.js
 */
import { Agent } from 'node:https';
import { mock } from 'node:test';
import { expect } from 'chai';
import ServiceNow from 'servicenow-rest-api';
import { z } from 'zod';
import {
  createDevelopmentCertificate,
  type DevelopmentCertificate,
} from '../../../src/dev/fake-identity/index.ts';
import {
  PASSWORDS,
  SEED,
  startFakeServiceNow,
  type FakeServiceNow,
} from '../../../src/dev/fake-servicenow/index.ts';
import { leavesNothingOpen } from '../../support/open-handles.ts';
import { textIn } from '../fake-servicenow/exchange.ts';
import { rowIn, rowsIn } from './rows.ts';

const failureSchema = z.object({
  response: z.object({ status: z.number(), data: z.object({ error: z.object({ message: z.string() }) }) }),
});

describe('servicenow-rest-api against the fake', () => {
  let certificate: DevelopmentCertificate;
  let servicenow: FakeServiceNow;
  let agent: Agent;

  before(async () => {
    certificate = await createDevelopmentCertificate({ commonName: 'fake', altNames: ['127.0.0.1'] });
    agent = new Agent({ ca: certificate.certificatePem });
    new ServiceNow('any', '', '').setNetworkOptions({ httpsAgent: agent });
    // It prints each URL that it asks for.
    mock.method(console, 'log', () => {});
  });
  after(() => {
    mock.restoreAll();
    agent.destroy();
  });
  beforeEach(async () => {
    servicenow = await startFakeServiceNow({
      tls: { key: certificate.pkcs8Pem, cert: certificate.certificatePem },
    });
  });
  afterEach(() => servicenow.close());

  leavesNothingOpen();

  function connect(user: keyof typeof PASSWORDS, password: string = PASSWORDS[user]): ServiceNow {
    return new ServiceNow(new URL(servicenow.url).host, user, password);
  }

  const outcomeOf = (call: (callback: (outcome: unknown) => void) => void): Promise<unknown> =>
    new Promise((resolve) => call(resolve));

  async function refusalOf(call: (callback: (outcome: unknown) => void) => void): Promise<[number, string]> {
    const { response } = failureSchema.parse(await outcomeOf(call));
    return [response.status, response.data.error.message];
  }

  it('logs in and shows one record of a table', async () => {
    const client = connect('svc_deploy');
    const [row] = rowsIn(await outcomeOf((done) => client.getSampleData('change_request', done)));
    expect(row).to.include.keys('number', 'sys_id', 'state', 'assignment_group');
  });

  it('filters, and reads fields by their display values', async () => {
    const client = connect('svc_deploy');
    const filters = [`number=${SEED.changes.implement}`, 'active=true'];
    const fields = ['number', 'state', 'assignment_group'];
    const rows = await outcomeOf((done) => client.getTableData(fields, filters, 'change_request', done));
    expect(rowsIn(rows)).to.deep.equal([
      {
        number: SEED.changes.implement,
        state: 'Implement',
        assignment_group: {
          display_value: 'Network',
          link: `${servicenow.url}/api/now/table/sys_user_group/${SEED.sysIds.networkGroup}`,
        },
      },
    ]);
  });

  it('finds the sys_id of a number, and nothing for one that does not exist', async () => {
    const client = connect('svc_deploy');
    expect(await outcomeOf((done) => client.getSysId('change_request', SEED.changes.demo, done))).to.equal(
      SEED.sysIds.demoChange,
    );
    expect(await outcomeOf((done) => client.getSysId('change_request', 'CHG9999999', done))).to.be.instanceOf(
      TypeError,
    );
  });

  it('creates, changes and deletes a record by display values', async () => {
    const client = connect('admin');
    const values = { short_description: 'No network', assignment_group: 'Network', urgency: '1 - High' };
    const created = rowIn(await outcomeOf((done) => client.createNewTask(values, 'incident', done)));
    expect(created).to.include({ state: 'New', urgency: '1 - High', opened_at: created['sys_created_on'] });
    expect(created['assignment_group']).to.have.property('display_value', 'Network');

    const number = textIn(created, 'number');
    const changed = await outcomeOf((done) =>
      client.UpdateTask('incident', number, { state: 'In Progress', due_date: '12/24/2026 10:00:00' }, done),
    );
    expect(rowIn(changed)).to.include({ state: 'In Progress', due_date: '12/24/2026 10:00:00' });
    expect(servicenow.tickets.get('incident', number)).to.include({
      state: '2',
      due_date: '2026-12-24 18:00:00',
      assignment_group: SEED.sysIds.networkGroup,
    });

    expect(await outcomeOf((done) => client.DeleteTask('incident', number, done))).to.include({
      status: 204,
    });
    expect(() => servicenow.tickets.get('incident', number)).to.throw(/no incident record/);
  });

  it('is told of a wrong password, an unknown table and a missing right', async () => {
    const stranger = connect('svc_deploy', 'wrong');
    expect(await refusalOf((done) => stranger.getSampleData('incident', done))).to.deep.equal([
      401,
      'User Not Authenticated',
    ]);
    const client = connect('svc_read');
    expect(await refusalOf((done) => client.getSampleData('no_such_table', done))).to.deep.equal([
      400,
      'Invalid table no_such_table',
    ]);
    expect(await refusalOf((done) => client.createNewTask({}, 'incident', done))).to.deep.equal([
      403,
      'Operation Failed',
    ]);
  });
});
