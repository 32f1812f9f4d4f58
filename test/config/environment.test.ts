import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { leavesNothingOpen } from '../support/open-handles.ts';
import { readEnvironment, withoutCredentials } from '../../src/config/environment.ts';

const run = promisify(execFile);

const SECRETS = {
  DELEGATE_ENROLMENT_TOKEN: 'canary-token',
  DELEGATE_STATE_KEY: 'canary-key',
  DELEGATE_SECRET_SNOW_PASSWORD: 'canary-password',
  MANAGER_API_TOKEN: 'canary-api-token',
};
const PLAIN = { DELEGATE_NAME: 'eu-1', DELEGATE_ENROLMENT_TOKEN_FILE: '/run/token' };

describe('the environment', () => {
  leavesNothingOpen();

  beforeEach(() => void Object.assign(process.env, SECRETS, PLAIN));
  afterEach(() => {
    for (const name of Object.keys({ ...SECRETS, ...PLAIN })) delete process.env[name];
  });

  it('is read with its secrets, which are then no longer in it', () => {
    expect(readEnvironment()).to.include({ ...SECRETS, ...PLAIN });
    expect(process.env).not.to.have.any.keys(...Object.keys(SECRETS));
    expect(process.env).to.include(PLAIN);
    expect(readEnvironment()).to.include(PLAIN);
  });

  it('hands none of them to a child process', async () => {
    readEnvironment();
    const { stdout } = await run(process.execPath, ['-p', 'JSON.stringify(process.env)']);
    expect(stdout).to.include('eu-1').and.not.to.include('canary');
  });

  it("leaves out the delegate's own credentials for those who look up secrets", () => {
    const rest = withoutCredentials(readEnvironment());
    expect(rest).to.include({ ...PLAIN, DELEGATE_SECRET_SNOW_PASSWORD: 'canary-password' });
    expect(rest).not.to.have.any.keys('DELEGATE_ENROLMENT_TOKEN', 'DELEGATE_STATE_KEY', 'MANAGER_API_TOKEN');
  });
});
