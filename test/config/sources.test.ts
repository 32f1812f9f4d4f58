import { hostname } from 'node:os';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { printableSettings, type Configuration } from '../../src/config/load.ts';
import { Folder, load, loadFile, MANAGER } from './support.ts';

interface Case {
  setting: keyof Configuration;
  variable: string;
  flag: string;
  /** What the file says, the environment, and the command line: each different, and none the default. */
  file: string;
  environment: string;
  args: string[];
  expected: { default: unknown; file: unknown; environment: unknown; args: unknown };
}

const texts = (
  setting: keyof Configuration,
  names: { key: string; variable: string; flag: string },
  fallback: unknown,
): Case => ({
  setting,
  variable: names.variable,
  flag: names.flag,
  file: `${names.key}: of-file`,
  environment: 'of-environment',
  args: [`--${names.flag}`, 'of-flag'],
  expected: { default: fallback, file: 'of-file', environment: 'of-environment', args: 'of-flag' },
});

const switches = (setting: keyof Configuration, variable: string, flag: string): Case => ({
  setting,
  variable,
  flag,
  file: `${setting}: true`,
  environment: 'false',
  args: [`--${flag}`],
  expected: { default: false, file: true, environment: false, args: true },
});

const cases: Case[] = [
  texts(
    'stateDir',
    { key: 'stateDir', variable: 'DELEGATE_STATE_DIR', flag: 'state-dir' },
    '/var/lib/servicenow-delegate',
  ),
  texts('name', { key: 'name', variable: 'DELEGATE_NAME', flag: 'name' }, hostname()),
  texts(
    'secretsDir',
    { key: 'secretsDir', variable: 'DELEGATE_SECRETS_DIR', flag: 'secrets-dir' },
    undefined,
  ),
  texts('httpHost', { key: 'http:\n  host', variable: 'DELEGATE_HTTP_HOST', flag: 'http-host' }, '127.0.0.1'),
  switches('allowLoopback', 'DELEGATE_ALLOW_LOOPBACK', 'allow-loopback'),
  switches('requireSignedTasks', 'DELEGATE_REQUIRE_SIGNED_TASKS', 'require-signed-tasks'),
  {
    setting: 'managerUrl',
    variable: 'DELEGATE_MANAGER_URL',
    flag: 'manager-url',
    file: 'managerUrl: https://file.example/base/',
    environment: 'https://environment.example//',
    args: ['--manager-url=https://flag.example'],
    expected: {
      default: MANAGER,
      file: 'https://file.example/base',
      environment: 'https://environment.example',
      args: 'https://flag.example',
    },
  },
  {
    setting: 'tags',
    variable: 'DELEGATE_TAGS',
    flag: 'tags',
    file: 'tags: [prod, eu west]',
    environment: ' a, b ,,',
    args: ['--tags=x'],
    expected: { default: [], file: ['prod', 'eu west'], environment: ['a', 'b'], args: ['x'] },
  },
  {
    setting: 'writableSecrets',
    variable: 'DELEGATE_WRITABLE_SECRETS',
    flag: 'writable-secrets',
    file: 'writableSecrets: ["file:rt", "file:oidc/rt"]',
    environment: 'file:a, file:b/c',
    args: ['--writable-secrets=file:x'],
    expected: {
      default: [],
      file: ['file:rt', 'file:oidc/rt'],
      environment: ['file:a', 'file:b/c'],
      args: ['file:x'],
    },
  },
  {
    setting: 'capacity',
    variable: 'DELEGATE_CAPACITY',
    flag: 'capacity',
    file: 'capacity: 1',
    environment: '1000',
    args: ['--capacity', '7'],
    expected: { default: 16, file: 1, environment: 1_000, args: 7 },
  },
  {
    setting: 'shutdownGraceMs',
    variable: 'DELEGATE_SHUTDOWN_GRACE_SECONDS',
    flag: 'shutdown-grace-seconds',
    file: 'shutdownGraceSeconds: 0',
    environment: '3600',
    args: ['--shutdown-grace-seconds=5'],
    expected: { default: 25_000, file: 0, environment: 3_600_000, args: 5_000 },
  },
  {
    setting: 'outbox',
    variable: 'DELEGATE_OUTBOX_MAX_RESULTS',
    flag: 'outbox-max-results',
    file: 'outbox: { maxResults: 16, maxBytes: 1048576 }',
    environment: '4000',
    args: ['--outbox-max-results=17'],
    expected: {
      default: { maxResults: 1_000, maxBytes: 16_777_216 },
      file: { maxResults: 16, maxBytes: 1_048_576 },
      environment: { maxResults: 4_000, maxBytes: 1_048_576 },
      args: { maxResults: 17, maxBytes: 1_048_576 },
    },
  },
  {
    setting: 'httpPort',
    variable: 'DELEGATE_HTTP_PORT',
    flag: 'http-port',
    file: 'http: { port: 1 }',
    environment: '65535',
    args: ['--http-port=0'],
    expected: { default: 8_080, file: 1, environment: 65_535, args: 0 },
  },
  {
    setting: 'logLevel',
    variable: 'DELEGATE_LOG_LEVEL',
    flag: 'log-level',
    file: 'log: { level: trace }',
    environment: 'warn',
    args: ['--log-level=fatal'],
    expected: { default: 'info', file: 'trace', environment: 'warn', args: 'fatal' },
  },
  {
    setting: 'logFormat',
    variable: 'DELEGATE_LOG_FORMAT',
    flag: 'log-format',
    file: 'log: { format: pretty }',
    environment: 'json',
    args: ['--log-format=pretty'],
    expected: { default: 'json', file: 'pretty', environment: 'json', args: 'pretty' },
  },
];

describe('a setting', () => {
  for (const { setting, variable, flag, file, environment, args, expected } of cases) {
    describe(setting, () => {
      it('has its default when nobody gives it', () => {
        expect(load().configuration[setting]).to.deep.equal(expected.default);
      });

      it('is taken from the file', () => {
        const given = {
          environment: { DELEGATE_MANAGER_URL: setting === 'managerUrl' ? undefined : MANAGER },
        };
        expect(loadFile(file, given).configuration[setting]).to.deep.equal(expected.file);
      });

      it(`is taken from ${variable} before the file`, () => {
        const { configuration } = loadFile(file, { environment: { [variable]: environment } });
        expect(configuration[setting]).to.deep.equal(expected.environment);
      });

      it(`is taken from --${flag} before all`, () => {
        const { configuration } = loadFile(file, { args, environment: { [variable]: environment } });
        expect(configuration[setting]).to.deep.equal(expected.args);
      });
    });
  }

  for (const text of ['123', 'true', '1e3', '0x10', '1.0', '007', '"quoted"', '-dash', 'a=b', '']) {
    it(`given by flag as ${JSON.stringify(text)} stays that text`, () => {
      const { configuration } = load({ args: [`--secrets-dir=${text}`, `--name=${text}`] });
      expect(configuration.secretsDir).to.equal(text === '' ? undefined : text);
      expect(configuration.name).to.equal(text === '' ? hostname() : text);
    });
  }

  it('given twice by flag is the last one', () => {
    expect(load({ args: ['--name=a', '--name', 'b'] }).configuration.name).to.equal('b');
  });

  it('that is a switch can be switched off by flag', () => {
    const { configuration } = loadFile('allowLoopback: true', { args: ['--allow-loopback=false'] });
    expect(configuration.allowLoopback).to.equal(false);
  });
});

describe('the configuration file', () => {
  it('may be JSON', () => {
    const { configuration } = loadFile('{"capacity": 3, "http": {"port": 90}, "tags": ["a"]}');
    expect(configuration)
      .to.include({ capacity: 3, httpPort: 90 })
      .and.deep.include({ tags: ['a'] });
  });

  for (const contents of ['', '# nothing but a comment', '{}', 'http:\nlog: {}']) {
    it(`may be as good as empty: ${JSON.stringify(contents)}`, () => {
      expect(loadFile(contents).configuration.httpPort).to.equal(8_080);
    });
  }

  it('named by --config wins over the one named by DELEGATE_CONFIG', () => {
    using folder = new Folder();
    const environment = { DELEGATE_CONFIG: folder.write('a.yaml', 'name: a') };
    expect(load({ environment }).configuration.name).to.equal('a');
    const args = ['--config', folder.write('b.yaml', 'name: b')];
    expect(load({ environment, args }).configuration.name).to.equal('b');
  });

  it('is not looked for when DELEGATE_CONFIG is empty', () => {
    expect(load({ environment: { DELEGATE_CONFIG: '' } }).configuration.managerUrl).to.equal(MANAGER);
  });

  it('maps secret names, those with dots and those that every object has too', () => {
    const { configuration } = loadFile(
      'secretNames:\n  servicenow.prod.password: env:PASSWORD\n  constructor: file:a/b\n  __proto__: env:P',
    );
    expect(Object.entries(configuration.secretNames)).to.have.deep.members([
      ['servicenow.prod.password', 'env:PASSWORD'],
      ['constructor', 'file:a/b'],
      ['__proto__', 'env:P'],
    ]);
  });

  it('that is given as an example is valid', () => {
    const example = fileURLToPath(new URL('../../config/delegate.example.yaml', import.meta.url));
    const { text } = printableSettings({ args: ['--config', example], environment: {} });
    expect(text).to.contain('https://');
  });

  it('gives no secret names when it has none', () => {
    expect(load().configuration.secretNames).to.deep.equal({});
  });
});
