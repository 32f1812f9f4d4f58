import { expect } from 'chai';
import { packageVersion } from '../../src/config/version.ts';
import { runCli } from '../support/cli.ts';
import { leavesNothingOpen } from '../support/open-handles.ts';

describe('npm run demo', function () {
  this.timeout(60_000);

  leavesNothingOpen();

  it('tells the whole story, names the version in each result, and ends every process with 0', async () => {
    const { code, stdout, stderr } = await runCli(['demo']);
    expect(code, stdout + stderr).to.equal(0);
    const by = `by delegate eu-1 ${packageVersion()}`;
    for (const line of [
      `User name and password: SUCCESS, ${by}`,
      `AD FS certificate: SUCCESS, ${by}`,
      `OIDC refresh token: SUCCESS, ${by}`,
      `A wrong password: FAILURE, ${by}`,
      'waiting: state is Scheduled, not Implement',
      'approved: state is Implement',
      'OIDC refresh token needs delegate build 79900 or higher; connected: old-1 23.06.79812',
      'old-delegate 0, delegate 0, manager 0, adfs 0, servicenow 0',
    ]) {
      // Paragraphs are wrapped.
      expect(stdout.replaceAll(/\s+/g, ' ')).to.contain(line);
    }
    expect(stderr).to.equal('');
  });
});
