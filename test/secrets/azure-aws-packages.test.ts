import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { leavesNothingOpen } from '../support/open-handles.ts';

const CHILD = new URL('../support/cloud-child.ts', import.meta.url).pathname;
const WITHOUT = new URL('../support/without-optional.mjs', import.meta.url).href;

describe('a delegate without the optional packages', () => {
  leavesNothingOpen();

  it('starts and resolves, and names the package for a reference that needs one', async () => {
    const { stdout } = await promisify(execFile)(
      process.execPath,
      ['--import', 'tsx', '--import', WITHOUT, CHILD, 'env:ONE', 'aws:one', 'azure:one', 'gcp:one'],
      { timeout: 20_000 },
    );
    const [env, aws, azure, gcp]: unknown[] = JSON.parse(stdout);
    expect(env).to.deep.equal({ found: 'value-of-one'.length });
    expect(aws).to.include({ code: 'secret-provider-missing' });
    expect(aws).to.have.property('hint').that.contains('npm install @aws-sdk/client-secrets-manager');
    expect(azure).to.include({ code: 'secret-provider-missing' });
    expect(azure).to.have.property('hint').that.contains('npm install @azure/keyvault-secrets');
    expect(gcp).to.include({ code: 'secret-store-off' });
  });
});
