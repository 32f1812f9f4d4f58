import { inspect } from 'node:util';
import { expect } from 'chai';
import { ConfigurationError } from '../../src/config/load.ts';
import { loadManagerSettings } from '../../src/config/manager-settings.ts';
import { complaintsOf, Folder } from './support.ts';

const TOKEN = 'api-token-of-this-test';

describe('the settings of the reference manager', () => {
  it('have defaults that listen on loopback alone', () => {
    expect(loadManagerSettings({ PATH: '/bin', MANAGER_HTTP_HOST: '' })).to.deep.equal({
      host: '127.0.0.1',
      port: 8_081,
      publicUrl: undefined,
      apiToken: undefined,
      minRetryIntervalMs: 10_000,
      signTasks: false,
      logLevel: 'info',
      logFormat: 'json',
      warnings: [],
    });
  });

  it('warn about a variable that is none of them', () => {
    const { warnings } = loadManagerSettings({
      MANAGER_SIGN_TASK: 'true',
      MANAGER_LOG_LEVEL: 'info',
      PATH: '/',
    });
    expect(warnings).to.deep.equal(['MANAGER_SIGN_TASK is not a setting of the manager; it is ignored.']);
  });

  it('lead whoever got them wrong to the list of them', () => {
    for (const environment of [{ MANAGER_HTTP_PORT: 'x' }, { MANAGER_API_TOKEN_FILE: '/nowhere/at/all' }]) {
      expect(() => loadManagerSettings(environment))
        .to.throw(ConfigurationError)
        .with.property('hint', 'docs/manager.md lists every setting.');
    }
  });

  it('are taken from the environment', () => {
    const settings = loadManagerSettings({
      MANAGER_HTTP_HOST: '0.0.0.0',
      MANAGER_HTTP_PORT: '0',
      MANAGER_PUBLIC_URL: 'https://manager.example.com',
      MANAGER_API_TOKEN: TOKEN,
      MANAGER_MIN_RETRY_INTERVAL_MS: '100',
      MANAGER_SIGN_TASKS: 'true',
      MANAGER_LOG_LEVEL: 'debug',
      MANAGER_LOG_FORMAT: 'pretty',
    });
    expect(settings).to.deep.include({
      host: '0.0.0.0',
      port: 0,
      publicUrl: 'https://manager.example.com',
      minRetryIntervalMs: 100,
      signTasks: true,
      logLevel: 'debug',
      logFormat: 'pretty',
    });
    expect(settings.apiToken?.reveal()).to.equal(TOKEN);
    expect(inspect(settings)).to.not.contain(TOKEN);
  });

  it('have the token from its file', () => {
    using folder = new Folder();
    const { apiToken } = loadManagerSettings({ MANAGER_API_TOKEN_FILE: folder.write('token', `${TOKEN}\n`) });
    expect(apiToken?.reveal()).to.equal(TOKEN);
  });

  for (const contents of ['', '\n', 'too-short']) {
    it(`have no token that anybody could give: ${JSON.stringify(contents)}`, () => {
      using folder = new Folder();
      const environment = { MANAGER_API_TOKEN_FILE: folder.write('token', contents) };
      expect(complaintsOf(() => loadManagerSettings(environment))).to.deep.equal([
        'MANAGER_API_TOKEN_FILE: its token must have at least 16 characters',
      ]);
    });
  }

  it('do not quote a token that stands where its file belongs', () => {
    expect(complaintsOf(() => loadManagerSettings({ MANAGER_API_TOKEN_FILE: TOKEN }))).to.deep.equal([
      'MANAGER_API_TOKEN_FILE: the file cannot be read (ENOENT)',
    ]);
  });

  it('are reported whole when they are wrong', () => {
    const complaints = complaintsOf(() =>
      loadManagerSettings({
        MANAGER_HTTP_PORT: '65536',
        MANAGER_PUBLIC_URL: 'manager',
        MANAGER_API_TOKEN: 'short-token',
        MANAGER_MIN_RETRY_INTERVAL_MS: '1s',
        MANAGER_SIGN_TASKS: 'yes',
        MANAGER_LOG_LEVEL: 'loud',
      }),
    );
    expect(complaints.map((complaint) => complaint.replace(/:.*/, ''))).to.deep.equal([
      'MANAGER_HTTP_PORT',
      'MANAGER_PUBLIC_URL',
      'MANAGER_API_TOKEN',
      'MANAGER_MIN_RETRY_INTERVAL_MS',
      'MANAGER_SIGN_TASKS',
      'MANAGER_LOG_LEVEL',
    ]);
    expect(complaints.join()).to.not.contain('short-token');
  });
});
