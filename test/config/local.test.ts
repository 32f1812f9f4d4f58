import { inspect } from 'node:util';
import { expect } from 'chai';
import type { CommandFlags } from '../../src/config/flags.ts';
import { loadLocalConfiguration, type LoadedLocalConfiguration } from '../../src/config/local.ts';
import { ConfigurationError, type Sources } from '../../src/config/load.ts';
import { complaintsOf, Folder } from './support.ts';

const COMMAND: CommandFlags = {
  flags: { json: 'switch', ticket: 'text', wait: { leastSeconds: 10, mostSeconds: 3_600 } },
  operand: 'FILE',
};
const HINT = 'test --help';

function load(args: readonly string[], environment: Sources['environment'] = {}): LoadedLocalConfiguration {
  return loadLocalConfiguration({ args, environment }, COMMAND, HINT);
}

describe('the configuration of a local command', () => {
  it('needs no manager', () => {
    const { configuration, operand, flags, warnings } = load(['c.yaml']);
    expect(operand).to.equal('c.yaml');
    expect([...flags]).to.deep.equal([]);
    expect(warnings).to.deep.equal([]);
    expect(configuration).to.not.have.property('managerUrl');
  });

  it('comes from flags, environment and file, in this order', () => {
    using folder = new Folder();
    const file = folder.write(
      'delegate.yaml',
      'secretsDir: of-file\nname: of-file\nstateDir: of-file\nsecretNames: { a.b: env:A }',
    );
    const environment = {
      DELEGATE_CONFIG: file,
      DELEGATE_NAME: 'of-environment',
      DELEGATE_STATE_DIR: 'of-environment',
    };
    const { configuration } = load(['c.yaml', '--state-dir', 'of-flag', '--allow-loopback'], environment);
    expect(configuration).to.deep.include({
      secretsDir: 'of-file',
      name: 'of-environment',
      stateDir: 'of-flag',
      secretNames: { 'a.b': 'env:A' },
      allowLoopback: true,
      policyFile: undefined,
    });
  });

  it('logs warnings only, unless some source says otherwise', () => {
    using folder = new Folder();
    const DELEGATE_CONFIG = folder.write('delegate.yaml', 'log: { level: error }');
    expect(load(['c']).configuration.logLevel).to.equal('warn');
    expect(load(['c'], { DELEGATE_CONFIG }).configuration.logLevel).to.equal('error');
    const environment = { DELEGATE_CONFIG, DELEGATE_LOG_LEVEL: 'info' };
    expect(load(['c'], environment).configuration.logLevel).to.equal('info');
    expect(load(['c', '--log-level=debug'], environment).configuration.logLevel).to.equal('debug');
  });

  it('is not stopped by mistakes in settings that only a delegate in service needs', () => {
    const environment = {
      DELEGATE_MANAGER_URL: 'ftp://manager.example.com',
      DELEGATE_CAPACITY: 'many',
      DELEGATE_OUTBOX_MAX_RESULTS: '0',
      DELEGATE_OUTBOX_MAX_BYTES: 'none',
      DELEGATE_SHUTDOWN_GRACE_SECONDS: '-1',
      DELEGATE_HTTP_PORT: '99999',
      DELEGATE_HTTP_HOST: '',
      DELEGATE_ALLOW_HTTP: 'yes',
      DELEGATE_TAGS: 'x'.repeat(200),
      DELEGATE_REQUIRE_SIGNED_TASKS: 'perhaps',
      DELEGATE_TASK_SIGNING_KEYS_FILE: '/no/such/file',
      DELEGATE_ENROLMENT_TOKEN: 'token',
      DELEGATE_ENROLMENT_TOKEN_FILE: '/no/such/file',
    };
    expect(load(['c.yaml'], environment).operand).to.equal('c.yaml');
  });

  it('is stopped by every other mistake, of settings and command line, in one report', () => {
    const args = ['c.yaml', '--wait=5', '--ticket=', '--jsno', '--secrets-dir'];
    const environment = { DELEGATE_ALLOW_LOOPBACK: 'yes', DELEGATE_LOG_LEVEL: 'loud' };
    expect(complaintsOf(() => load(args, environment))).to.have.members([
      '--wait: must be a whole number of seconds from 10 to 3600',
      '--ticket: must not be empty',
      '--jsno: there is no such flag; did you mean --json?',
      '--secrets-dir: needs a value',
      'log.level (DELEGATE_LOG_LEVEL): must be one of trace, debug, info, warn, error, fatal',
      'allowLoopback (DELEGATE_ALLOW_LOOPBACK): must be true or false',
    ]);
  });

  it('says where to find what the command takes', () => {
    try {
      load([]);
      expect.fail('was accepted');
    } catch (thrown) {
      expect(thrown).to.be.instanceOf(ConfigurationError).with.property('hint', HINT);
    }
  });

  it('warns of a variable that is no setting', () => {
    expect(load(['c'], { DELEGATE_SECRETS_DRI: 'x' }).warnings).to.deep.equal([
      'DELEGATE_SECRETS_DRI is not a setting of this delegate; it is ignored. Did you mean DELEGATE_SECRETS_DIR?',
    ]);
  });
});

describe('the command line of a local command', () => {
  it('has its own flags beside the settings, wherever they stand', () => {
    const { flags, operand } = load(['--json', '--ticket', 'CHG1', 'c.yaml', '--wait=60', '--name=x']);
    expect(Object.fromEntries(flags)).to.deep.equal({ json: 'true', ticket: 'CHG1', wait: '60' });
    expect(operand).to.equal('c.yaml');
  });

  it('takes "-" for a file, and all behind "--"', () => {
    expect(load(['-']).operand).to.equal('-');
    expect(load(['--', '--json']).operand).to.equal('--json');
  });

  for (const [args, complaint] of [
    [[], 'FILE is missing'],
    [['a', 'b'], 'There is one argument too many beside FILE; write --flag=value.'],
    [['a', '--json=false'], '--json: takes no value'],
    [['a', '--ticket', '--json'], '--ticket: needs a value; write --ticket=… for one that begins with "-"'],
    [['a', '--wait=1e3'], '--wait: must be a whole number of seconds from 10 to 3600'],
    [['a', '--wait=3601'], '--wait: must be a whole number of seconds from 10 to 3600'],
  ] as const) {
    it(`is refused when it reads ${JSON.stringify(args)}`, () => {
      expect(complaintsOf(() => load(args))).to.deep.equal([complaint]);
    });
  }
});

describe('the state key of a local command', () => {
  const KEY = Buffer.alloc(32, 'state-key-of-this-test').toString('base64');

  it('is read when it is asked for, and not before: whoever tests a connector may have no right to it', () => {
    const { stateKey } = load(['c'], { DELEGATE_STATE_KEY_FILE: '/no/such/file' });
    expect(complaintsOf(stateKey)).to.deep.equal([
      'stateKeyFile (DELEGATE_STATE_KEY_FILE): the file cannot be read (ENOENT)',
    ]);
  });

  it('is a secret, and is not needed', () => {
    const loaded = load(['c'], { DELEGATE_STATE_KEY: KEY });
    expect(loaded.stateKey()?.reveal()).to.equal(KEY);
    expect(inspect(loaded, { depth: 9 })).to.not.contain(KEY);
    expect(load(['c']).stateKey()).to.equal(undefined);
  });
});
