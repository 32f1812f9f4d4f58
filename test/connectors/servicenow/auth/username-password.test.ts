import { expect } from 'chai';
import { LOCK_OUT_AFTER, PASSWORDS } from '../../../../src/dev/fake-servicenow/index.ts';
import {
  failureOf,
  openBench,
  QUESTION,
  tableCalls,
  type AuthInput,
  type Bench,
} from '../../../support/servicenow.ts';
import { leavesNothingOpen } from '../../../support/open-handles.ts';

describe('user name and password', () => {
  let bench: Bench;
  beforeEach(async () => {
    bench = await openBench();
  });
  afterEach(() => bench[Symbol.asyncDispose]());

  const withWrongPassword = (
    userName: 'svc_deploy' | 'svc_locked' | 'svc_nobasic' | 'svc_mfa',
  ): AuthInput => {
    const auth = bench.asUser(userName);
    bench.surroundings.secrets.set(`password-of-${userName}`, 'not-the-password');
    return auth;
  };

  leavesNothingOpen();

  it('travel as Basic of UTF-8, colons and all', async () => {
    expect(PASSWORDS.svc_deploy_ist).to.match(/:.*[^\p{ASCII}]/u);
    const { decision } = await bench.check(bench.asUser('svc_deploy_ist'), QUESTION);
    expect(decision).to.equal('approved');
    const [call] = tableCalls(bench.instance);
    const pair = Buffer.from(`svc_deploy_ist:${PASSWORDS.svc_deploy_ist}`, 'utf8').toString('base64');
    expect(call?.headers.authorization).to.equal(`Basic ${pair}`);
    expect(call?.user).to.equal('svc_deploy_ist');
  });

  it('a name with a colon is never sent: it would be a failed log-in of whoever stands before it', async () => {
    const auth = {
      type: 'UsernamePassword',
      spec: { usernameRef: 'test:username', passwordRef: 'test:password' },
    };
    bench.surroundings.secrets.set('username', 'svc_deploy:1').set('password', PASSWORDS.svc_deploy);
    const error = await failureOf(() => bench.check(auth, QUESTION));
    expect(error).to.include({ code: 'servicenow.username-has-colon', retryable: false });
    const { status, errors } = await bench.validate(auth);
    expect(status).to.equal('FAILURE');
    expect(errors.map(({ code }) => code)).to.deep.equal(['servicenow.username-has-colon']);
    expect(tableCalls(bench.instance)).to.have.length(0);
  });

  it('the name may be a secret too; it then appears in no text', async () => {
    const auth = {
      type: 'UsernamePassword',
      spec: { usernameRef: 'test:username', passwordRef: 'test:password' },
    };
    bench.surroundings.secrets.set('username', 'svc_deploy').set('password', PASSWORDS.svc_deploy);
    expect((await bench.check(auth, QUESTION)).decision).to.equal('approved');
    bench.surroundings.secrets.set('password', 'not-the-password');
    const error = await failureOf(() => bench.check(auth, QUESTION));
    expect(error.code).to.equal('servicenow.not-authenticated');
    expect(JSON.stringify(error.toWire())).not.to.contain('svc_deploy');
  });

  it('a wrong password is tried once and never again: the fifth failure would lock the account', async () => {
    const auth = withWrongPassword('svc_deploy');
    const error = await failureOf(() => bench.check(auth, QUESTION));
    expect(error).to.include({
      code: 'servicenow.not-authenticated',
      category: 'credentials',
      retryable: false,
    });
    expect(tableCalls(bench.instance).map(({ status }) => status)).to.deep.equal([401]);
    expect(bench.instance.users.get('svc_deploy')).to.include({ failedLoginsEver: 1, lockedOut: false });
  });

  it('nor does the test of the connector try it twice', async () => {
    const report = await bench.validate(withWrongPassword('svc_deploy'));
    expect(report.status).to.equal('FAILURE');
    expect(bench.instance.users.get('svc_deploy').failedLoginsEver).to.equal(1).and.be.below(LOCK_OUT_AFTER);
  });

  it('the refusal names what it may be, the role for basic authentication among it', async () => {
    const error = await failureOf(() => bench.check(bench.asUser('svc_nobasic'), QUESTION));
    expect(error.hint).to.match(/wrong.*inactive or locked out.*snc_basic_auth_api_access/s);
    expect(tableCalls(bench.instance)).to.have.length(1);
  });

  it('a locked user looks the same', async () => {
    const error = await failureOf(() => bench.check(bench.asUser('svc_locked'), QUESTION));
    expect(error.code).to.equal('servicenow.not-authenticated');
  });

  it('a user with a second factor is named as such', async () => {
    const error = await failureOf(() => bench.check(bench.asUser('svc_mfa'), QUESTION));
    expect(error).to.include({ code: 'servicenow.mfa-required', category: 'credentials' });
    expect(tableCalls(bench.instance)).to.have.length(1);
  });
});
