import { expect } from 'chai';
import { servicenow } from '../../src/connectors/servicenow/index.ts';
import type { TaskType } from '../../src/connectors/connector.ts';
import { PASSWORDS, startFakeServiceNow, type FakeServiceNow } from '../../src/dev/fake-servicenow/index.ts';
import { TASK_NAMES } from '../../src/connectors/index.ts';
import { leavesNothingOpen } from '../support/open-handles.ts';
import {
  connectorTo,
  QUESTION,
  readReport,
  surroundings,
  tableCalls,
  taskContext,
  type Surroundings,
} from '../support/servicenow.ts';
import { CHECK, denialIn, policyFrom, rejectionOf, VALIDATE } from './support.ts';

const PASSWORD_REF = 'test:password';

describe('a connector under a policy file', () => {
  let instance: FakeServiceNow;
  let around: Surroundings;
  let tasks: readonly TaskType[];

  /** @param rule of the instance, beside its address */
  const under = (rule: string, hosts: string, tokenServers: readonly string[] = []): void => {
    around = surroundings({
      policy: policyFrom(
        `version: 1
instances: [{ url: '${instance.url}', ${rule} }]
tokenServers: [${tokenServers.map((url) => `{ url: '${url}' }`).join(', ')}]
secrets: [{ reference: '${PASSWORD_REF}', hosts: [${hosts}] }]
limits: { maxRows: 2 }
signedTasks: optional
`,
        true,
      ),
    });
    around.secrets.set('password', PASSWORDS.svc_deploy);
    ({ tasks } = servicenow(around.deps));
  };

  beforeEach(async () => {
    instance = await startFakeServiceNow();
  });
  afterEach(async () => {
    await around.close();
    await instance[Symbol.asyncDispose]();
  });

  leavesNothingOpen();

  const run = async (name: string, more: object = {}): Promise<unknown> => {
    const auth = {
      type: 'UsernamePassword',
      spec: { username: 'svc_deploy', passwordRef: PASSWORD_REF },
    };
    const task = tasks.find((one) => one.name === name);
    const prepared = task?.prepare({ connector: connectorTo(instance.url, auth), ...more });
    return await prepared?.run(taskContext());
  };

  it('knows the tasks that policy check knows', () => {
    under('tasks: [], tables: []', '');
    expect(tasks.map(({ name }) => name)).to.have.members(TASK_NAMES);
  });

  it('passes its whole test where that one task is allowed, and no table is named', async () => {
    under(`tasks: [${VALIDATE}], tables: []`, `'${instance.url}'`);
    const report = readReport(await run(VALIDATE));
    expect(report.errors).to.deep.equal([]);
    expect(report.status).to.equal('SUCCESS');
  });

  it('asks for no more rows than are allowed, however many looks come together', async () => {
    under(`tasks: [${CHECK}], tables: [change_request]`, `'${instance.url}'`);
    const numbers = ['CHG0030001', 'CHG0030002', 'CHG0030003', 'CHG0030004', 'CHG0030005'];
    await Promise.all(
      numbers.map((number) => run(CHECK, { ...QUESTION, ticket: { type: 'change_request', number } })),
    );
    const limits = tableCalls(instance).map(({ query }) => query['sysparm_limit']);
    expect(limits).to.have.length(numbers.length);
    expect(new Set(limits)).to.deep.equal(new Set(['2']));
  });

  it('sends nothing where its secret may not go', async () => {
    under(`tasks: [${CHECK}], tables: [change_request]`, 'elsewhere.example');
    const denial = await rejectionOf(run(CHECK, QUESTION));
    expect(denial?.code).to.equal('policy.secret-not-allowed');
    expect(denial?.message).to.match(/^auth\.spec\.passwordRef: /);
    expect(instance.journal()).to.deep.equal([]);
  });

  it('tells what it will ask for, and reads nothing for it', () => {
    under(`tasks: [${VALIDATE}], tables: []`, `'${instance.url}'`);
    around.secrets.clear();
    const auth = { type: 'UsernamePassword', spec: { usernameRef: 'test:u', passwordRef: PASSWORD_REF } };
    const prepared = tasks
      .find(({ name }) => name === VALIDATE)
      ?.prepare({ connector: connectorTo(instance.url, auth) });
    expect(
      prepared?.secrets?.map(({ field, reference, origins }) => [field, reference, origins]),
    ).to.deep.equal([
      ['auth.spec.usernameRef', 'test:u', [instance.url]],
      ['auth.spec.passwordRef', PASSWORD_REF, [instance.url]],
    ]);
    expect(prepared?.allowedBy).to.include(`instances[0] ${instance.url}`);
  });

  it('names a receiver once where ServiceNow is its own token server', () => {
    under(`tasks: [${VALIDATE}], tables: [], tokenServers: ['${instance.url}']`, `'${instance.url}'`, [
      instance.url,
    ]);
    const tokenUrl = `${instance.url}/oauth_token.do`;
    const spec = { tokenUrl, clientIdRef: 'test:id', refreshTokenRef: PASSWORD_REF };
    const prepared = tasks
      .find(({ name }) => name === VALIDATE)
      ?.prepare({ connector: connectorTo(instance.url, { type: 'RefreshTokenGrantType', spec }) });
    expect(prepared?.secrets?.map(({ origins }) => origins)).to.deep.equal([[instance.url], [instance.url]]);
  });

  it('can not be brought to another instance by a task', () => {
    under(`tasks: [${VALIDATE}], tables: []`, `'${instance.url}'`);
    const auth = { type: 'UsernamePassword', spec: { username: 'a', passwordRef: PASSWORD_REF } };
    const [validate] = tasks.filter(({ name }) => name === VALIDATE);
    const denial = denialIn(() =>
      validate?.prepare({ connector: connectorTo('https://evil.example', auth) }),
    );
    expect(denial?.code).to.equal('policy.instance-not-allowed');
  });
});
