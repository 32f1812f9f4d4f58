import { expect } from 'chai';
import { servicenow } from '../../../src/connectors/servicenow/index.ts';
import { failureOf, openBench, QUESTION, tableCalls, type Bench } from '../../support/servicenow.ts';
import { leavesNothingOpen } from '../../support/open-handles.ts';

describe('ServiceNow connector', () => {
  let bench: Bench;
  beforeEach(async () => {
    bench = await openBench();
  });
  afterEach(() => bench[Symbol.asyncDispose]());

  leavesNothingOpen();

  it('offers its tasks by name and version, each as one that only reads', () => {
    const { tasks } = servicenow(bench.surroundings.deps);
    expect(tasks.map(({ name, version, effect }) => [name, version, effect])).to.deep.equal([
      ['servicenow.connector.validate', 1, 'reads'],
      ['servicenow.approval.check', 1, 'reads'],
    ]);
  });

  it('announces each authentication as a capability', () => {
    expect(servicenow(bench.surroundings.deps).capabilities).to.have.members([
      'servicenow.auth.UsernamePassword',
      'servicenow.auth.AdfsClientCredentialsWithCertificate',
      'servicenow.auth.RefreshTokenGrantType',
    ]);
  });

  it('works below a context path', async () => {
    // The fake has none, so the request misses its API; that it was asked there is what counts.
    await failureOf(() =>
      bench.check(bench.asUser('svc_deploy'), QUESTION, { url: `${bench.instance.url}/ctx/` }),
    );
    expect(bench.instance.journal()[0]?.path).to.equal('/ctx/api/now/table/change_request');
  });

  it('a pasted page of the user interface works, and both results warn of it', async () => {
    const url = `${bench.instance.url}/nav_to.do?uri=change_request_list.do`;
    const auth = bench.asUser('svc_deploy');
    const answer = await bench.check(auth, QUESTION, { url });
    const report = await bench.validate(auth, { url });
    expect(answer.decision).to.equal('approved');
    expect(report.status).to.equal('SUCCESS');
    for (const { warnings } of [answer, report]) {
      expect(warnings.map(({ code }) => code)).to.deep.equal(['servicenow.url-shortened']);
      expect(warnings[0]?.message).to.contain(`${bench.instance.url} is used instead`);
    }
  });

  describe('secrets', () => {
    it('a reference that leads nowhere fails the task, naming the field, and nothing is sent', async () => {
      const auth = bench.asUser('svc_deploy');
      bench.surroundings.secrets.clear();
      const error = await failureOf(() => bench.check(auth, QUESTION));
      expect(error).to.include({ code: 'secret-not-found', category: 'secret' });
      expect(error.message).to.match(/^auth\.spec\.passwordRef: /);
      expect(error.details).to.include({
        field: 'auth.spec.passwordRef',
        reference: 'test:password-of-svc_deploy',
      });
      expect(bench.instance.journal()).to.deep.equal([]);
    });

    it('a value pasted in the place of a reference is not repeated', async () => {
      const auth = { type: 'UsernamePassword', spec: { username: 'svc', passwordRef: 'Sommer 2026!' } };
      const error = await failureOf(() => bench.check(auth, QUESTION));
      expect(error.code).to.equal('secret-reference-invalid');
      expect(JSON.stringify(error.toWire())).not.to.contain('Sommer');
    });

    it('are resolved for each task anew: a changed password counts from the next one on', async () => {
      const auth = bench.asUser('svc_deploy');
      await bench.check(auth, QUESTION);
      bench.instance.users.update('svc_deploy', { password: 'renewed-password' });
      bench.surroundings.secrets.set('password-of-svc_deploy', 'renewed-password');
      expect((await bench.check(auth, QUESTION)).decision).to.equal('approved');
      expect(tableCalls(bench.instance).map(({ status }) => status)).to.deep.equal([200, 200]);
    });
  });
});
