import { join } from 'node:path';
import { expect } from 'chai';
import { ConfigurationError, printableSettings } from '../../src/config/load.ts';
import { complaintsOf, Folder, load, loadFile, sources } from './support.ts';

const PASTED = 'hunter2-pasted-secret';

describe('an invalid configuration', () => {
  const values: [variable: string, setting: string, ...texts: string[]][] = [
    ['DELEGATE_ALLOW_LOOPBACK', 'allowLoopback', 'no', '0', '1', 'yes', 'TRUE', ' true', ''],
    ['DELEGATE_ALLOW_HTTP', 'allowHttp', 'off', 'False'],
    [
      'DELEGATE_CAPACITY',
      'capacity',
      '0',
      '1001',
      '-1',
      '16abc',
      '1e2',
      '4.0',
      '0x10',
      ' 4',
      '',
      '9999999999',
    ],
    ['DELEGATE_HTTP_PORT', 'http.port', '65536', '-1', 'http', '', 'tcp://10.0.0.1:80'],
    ['DELEGATE_HTTP_HOST', 'http.host', ''],
    ['DELEGATE_STATE_DIR', 'stateDir', ''],
    ['DELEGATE_LOG_LEVEL', 'log.level', 'verbose', 'INFO', ''],
    ['DELEGATE_LOG_FORMAT', 'log.format', 'text'],
    ['DELEGATE_NAME', 'name', 'x'.repeat(257)],
    ['DELEGATE_TAGS', 'tags', 'x'.repeat(129), Array.from({ length: 64 }, (_, i) => `t${i}`).join()],
    ['DELEGATE_WRITABLE_SECRETS', 'writableSecrets', 'env:RT', PASTED, 'file:', '*'],
    ['DELEGATE_SECRETS_DIR', 'secretsDir', 'x'.repeat(4_097)],
    ['DELEGATE_ENROLMENT_TOKEN', 'enrolmentToken', PASTED.repeat(300)],
    [
      'DELEGATE_MANAGER_URL',
      'managerUrl',
      '',
      'manager.example.com',
      'ftp://manager.example.com',
      'https://',
      'https://manager.example.com/?a=b',
      'https://manager.example.com/#a',
      `https://user:${PASTED}@manager.example.com`,
      `https://user:${PASTED}\u2028@manager.example.com`,
    ],
  ];
  for (const [variable, setting, ...texts] of values) {
    for (const text of texts) {
      it(`is refused for ${variable}=${JSON.stringify(text.slice(0, 60))}, by both names of the setting`, () => {
        const [complaint, ...others] = complaintsOf(() => load({ environment: { [variable]: text } }));
        expect(complaint?.startsWith(`${setting} (${variable}): `), complaint).to.equal(true);
        expect(complaint)
          .to.match(/: (must|each entry must|is required)/)
          .and.not.contain(PASTED);
        expect(others).to.deep.equal([]);
      });
    }
  }

  const files: [contents: string, complaint: RegExp][] = [
    ['colour: red', /^colour: there is no such setting \(.*delegate\.yaml\)$/],
    ['http: { prot: 80 }', /^http\.prot: there is no such setting/],
    ['http.port: 80', /^http\.port: there is no such setting/],
    ['log.colour: 80', /^log\.colour: there is no such setting/],
    ['colour: { dark: { red: 1 } }', /^colour: there is no such setting/],
    ['__proto__: { capacity: 3 }', /^__proto__: there is no such setting/],
    ['constructor: { prototype: { capacity: 3 } }', /^constructor: there is no such setting/],
    ['allowHttp: { prototype: { a: 1 } }', /^allowHttp \(DELEGATE_ALLOW_HTTP\): must not be a mapping$/],
    ['http: 80', /^http: must be a mapping of settings$/],
    ['http: [80]', /^http: must be a mapping of settings$/],
    ['name: { a: { b: 1 } }', /^name \(DELEGATE_NAME\): must not be a mapping$/],
    ['tags: { a: b }', /^tags \(DELEGATE_TAGS\): must not be a mapping$/],
    ['tags: [1]', /^tags \(DELEGATE_TAGS\): each entry must be text/],
    ['tags: 5', /^tags \(DELEGATE_TAGS\): must be a list/],
    ['tags:', /^tags \(DELEGATE_TAGS\): must be a list/],
    ['tags: [" "]', /^tags \(DELEGATE_TAGS\): each entry must be text/],
    ['name: 5', /^name \(DELEGATE_NAME\): must be text$/],
    ['capacity: 2.5', /^capacity \(DELEGATE_CAPACITY\): must be a whole number from 1 to 1000$/],
    [
      'capacity: 100\noutbox: { maxResults: 99 }',
      /^outbox\.maxResults \(DELEGATE_OUTBOX_MAX_RESULTS\): must be at least capacity \(100\)/,
    ],
    [
      'outbox: { maxBytes: 1000 }',
      /^outbox\.maxBytes .*: must be a whole number from 1048576 to 1073741824$/,
    ],
    ['shutdownGraceSeconds: 30s', /^shutdownGraceSeconds .*: must be a whole number from 0 to 3600$/],
    ['allowLoopback: 1', /^allowLoopback \(DELEGATE_ALLOW_LOOPBACK\): must be true or false$/],
    ['secretNames: [a]', /^secretNames: must be a mapping of names to references$/],
    ['secretNames: [[a, env:X]]', /^secretNames: must be a mapping of names to references$/],
    ['tags: &a [*a]', /^settings: are not valid$/],
    ['secretNames: text', /^secretNames: must be a mapping of names to references$/],
    ['secretNames: { "a b": env:X }', /^secretNames: each name has letters/],
    [
      `secretNames: { a: ${PASTED} }`,
      /^secretNames: "a" must stand for a reference such as env:NAME or file:relative\/path$/,
    ],
    ['secretNames: { a: { b: env:X } }', /^secretNames: "a" must stand for/],
    ['just text', /delegate\.yaml: must be a mapping of settings$/],
    ['[1, 2]', /delegate\.yaml: must be a mapping of settings$/],
    [`name: a\nenrolmentToken: "${PASTED}`, /delegate\.yaml: is not valid YAML or JSON, at line 2, column/],
    [`name: a\nname: ${PASTED}`, /delegate\.yaml: is not valid YAML or JSON, at line 2, column/],
    [`name: *${PASTED}`, /delegate\.yaml: is not valid YAML or JSON/],
  ];
  for (const [contents, expected] of files) {
    it(`is refused for a file with ${JSON.stringify(contents)}`, () => {
      const [complaint, ...others] = complaintsOf(() => loadFile(contents));
      expect(complaint).to.match(expected).and.not.contain(PASTED);
      expect(others).to.deep.equal([]);
    });
  }

  it('is refused for a file that does not exist, or is a folder', () => {
    using folder = new Folder();
    const gone = join(folder.path, 'gone.yaml');
    expect(complaintsOf(() => load({ args: ['--config', gone] }))).to.deep.equal([
      `${gone}: the configuration file does not exist`,
    ]);
    expect(complaintsOf(() => load({ args: [`--config=${folder.path}`] }))).to.deep.equal([
      `${folder.path}: the configuration file cannot be read (EISDIR)`,
    ]);
  });

  const flags: [args: string[], complaint: string][] = [
    [['--colour'], '--colour: there is no such flag'],
    [['--colour=red'], '--colour: there is no such flag'],
    [['-x'], '-x: there is no such flag'],
    [['--no-allow-http'], '--no-allow-http: there is no such flag; write --allow-http=false'],
    [['--__proto__=1'], '--__proto__: there is no such flag'],
    [['--Name=a'], '--Name: there is no such flag; did you mean --name?'],
    [
      [`--enrolment-token=${PASTED}`],
      '--enrolment-token: there is no such flag; did you mean --enrolment-token-file?',
    ],
    [['--name'], '--name: needs a value'],
    [['--config'], '--config: needs a value'],
    [['--name', '--allow-http'], '--name: needs a value; write --name=… for one that begins with "-"'],
    [[PASTED], 'There is an argument that belongs to no flag; write --flag=value.'],
    [['--', PASTED], 'There is an argument that belongs to no flag; write --flag=value.'],
    [['--allow-http', PASTED], 'There is an argument that belongs to no flag; write --flag=value.'],
    [[`--allow-http=${PASTED}`], 'allowHttp (DELEGATE_ALLOW_HTTP): must be true or false'],
  ];
  for (const [args, expected] of flags) {
    it(`is refused for the arguments ${args.join(' ')}`, () => {
      expect(complaintsOf(() => load({ args }))).to.deep.equal([expected]);
    });
  }

  it('is reported whole, whichever source is wrong, and nothing twice', () => {
    using folder = new Folder();
    const file = folder.write('delegate.yaml', 'colour: red\nlog: { level: loud }');
    const complaints = complaintsOf(() =>
      load({
        args: ['--dark', '--dark', '--capacity=none'],
        environment: {
          DELEGATE_CONFIG: file,
          DELEGATE_ALLOW_LOOPBACK: 'yes',
          DELEGATE_MANAGER_URL: 'http://manager.example.com',
          DELEGATE_ENROLMENT_TOKEN_FILE: folder.path,
          DELEGATE_TASK_SIGNING_KEYS_FILE: file,
        },
      }),
    );
    expect(complaints).to.have.members([
      '--dark: there is no such flag',
      `colour: there is no such setting (${file})`,
      'managerUrl (DELEGATE_MANAGER_URL): plain http is refused beyond loopback; use https, or accept the risk with DELEGATE_ALLOW_HTTP=true',
      'enrolmentTokenFile (DELEGATE_ENROLMENT_TOKEN_FILE): the file cannot be read (EISDIR)',
      'taskSigningKeysFile (DELEGATE_TASK_SIGNING_KEYS_FILE): the file is not a JWK set of public Ed25519 keys',
      'capacity (DELEGATE_CAPACITY): must be a whole number from 1 to 1000',
      'log.level (DELEGATE_LOG_LEVEL): must be one of trace, debug, info, warn, error, fatal',
      'allowLoopback (DELEGATE_ALLOW_LOOPBACK): must be true or false',
    ]);
  });

  it('is an error of the input with every complaint in its message', () => {
    const error = new ConfigurationError(['a: b', 'c: d', 'a: b']);
    expect(error).to.include({ code: 'configuration-invalid', category: 'invalid-input', retryable: false });
    expect(error.message).to.equal('The configuration is not valid:\n  - a: b\n  - c: d');
  });

  it('is not printed either', () => {
    expect(complaintsOf(() => printableSettings(sources({ args: ['--colour'] })))).to.deep.equal([
      '--colour: there is no such flag',
    ]);
  });
});
