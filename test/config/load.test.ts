import { join } from 'node:path';
import { inspect } from 'node:util';
import { expect } from 'chai';
import { printableSettings, settingsReference } from '../../src/config/load.ts';
import { complaintsOf, Folder, load, sources } from './support.ts';

const TOKEN = 'enrolment-token-of-this-test';

describe('the address of the manager', () => {
  const local = ['http://localhost:1', 'http://127.0.0.1', 'http://127.1:8443', 'http://[::1]:8443/base'];
  for (const url of local) {
    it(`may be plain http on loopback: ${url}`, () => {
      expect(load({ environment: { DELEGATE_MANAGER_URL: url } }).configuration.managerUrl).to.match(
        /^http:/,
      );
    });
  }

  const remote = [
    'http://manager.example.com',
    'http://127.0.0.1.example.com',
    'http://localhost.example.com',
    'http://10.0.0.1',
    'HTTP://manager.example.com',
  ];
  for (const url of remote) {
    it(`must not be plain http elsewhere, unless that is allowed: ${url}`, () => {
      const environment = { DELEGATE_MANAGER_URL: url };
      expect(complaintsOf(() => load({ environment }))).to.deep.equal([
        'managerUrl (DELEGATE_MANAGER_URL): plain http is refused beyond loopback; use https, or accept the risk with DELEGATE_ALLOW_HTTP=true',
      ]);
      const allowed = load({ environment: { ...environment, DELEGATE_ALLOW_HTTP: 'true' } });
      expect(allowed.configuration.managerUrl).to.equal(url);
      expect(allowed.warnings.join()).to.contain('DELEGATE_ALLOW_HTTP');
    });
  }
});

describe('the state key', () => {
  const BYTES = Buffer.alloc(32, 'state-key-of-this-test');
  const spellings = [
    BYTES.toString('base64'),
    BYTES.toString('base64url'),
    BYTES.toString('hex').toUpperCase(),
  ];

  for (const text of spellings) {
    it(`is the same secret however it is spelt: ${text.length} characters`, () => {
      using folder = new Folder();
      for (const environment of [
        { DELEGATE_STATE_KEY: ` ${text}\n` },
        { DELEGATE_STATE_KEY_FILE: folder.write('key', `${text}\n`) },
      ]) {
        const loaded = load({ environment });
        expect(loaded.stateKey?.reveal()).to.equal(BYTES.toString('base64'));
        expect(inspect(loaded, { depth: 9 })).to.not.contain(text);
      }
    });
  }

  it('is not needed', () => {
    expect(load().stateKey).to.equal(undefined);
  });

  for (const text of [
    'a passphrase',
    BYTES.subarray(1).toString('hex'),
    BYTES.subarray(1).toString('base64'),
  ]) {
    it(`is refused when it is not 32 bytes: ${text.length} characters`, () => {
      const [complaint] = complaintsOf(() => load({ environment: { DELEGATE_STATE_KEY: text } }));
      expect(complaint).to.match(
        /^stateKey \(DELEGATE_STATE_KEY\): must be 32 random bytes in base64 or hex/,
      );
      expect(complaint).to.not.contain(text);
    });
  }

  it('is refused when its file is gone: results in the journal would be', () => {
    const environment = { DELEGATE_STATE_KEY_FILE: '/no/such/file' };
    expect(complaintsOf(() => load({ environment }))).to.deep.equal([
      'stateKeyFile (DELEGATE_STATE_KEY_FILE): the file cannot be read (ENOENT)',
    ]);
  });

  it('is not looked for in two places, and never shown', () => {
    using folder = new Folder();
    const environment = {
      DELEGATE_STATE_KEY: BYTES.toString('hex'),
      DELEGATE_STATE_KEY_FILE: folder.write('key', BYTES.toString('hex')),
    };
    expect(complaintsOf(() => load({ environment }))).to.deep.equal([
      'stateKey: give either DELEGATE_STATE_KEY or DELEGATE_STATE_KEY_FILE, not both',
    ]);
    const shown = printableSettings(sources({ environment: { DELEGATE_STATE_KEY: BYTES.toString('hex') } }));
    expect(shown.text).to.not.contain(BYTES.toString('hex'));
    expect(shown.text).to.contain('"stateKey": "[secret]"');
  });
});

describe('the enrolment token', () => {
  it('is a secret, apart from the configuration', () => {
    const loaded = load({ environment: { DELEGATE_ENROLMENT_TOKEN: ` ${TOKEN}\n` } });
    expect(loaded.enrolmentToken?.reveal()).to.equal(TOKEN);
    expect(inspect(loaded, { depth: 9 })).to.not.contain(TOKEN);
  });

  it('is read from its file', () => {
    using folder = new Folder();
    const environment = { DELEGATE_ENROLMENT_TOKEN_FILE: folder.write('token', `${TOKEN}\r\n`) };
    expect(load({ environment }).enrolmentToken?.reveal()).to.equal(TOKEN);
  });

  it('is not needed', () => {
    expect(load({ environment: { DELEGATE_ENROLMENT_TOKEN: '' } }).enrolmentToken).to.equal(undefined);
  });

  it('is not looked for in two places', () => {
    using folder = new Folder();
    const environment = {
      DELEGATE_ENROLMENT_TOKEN: TOKEN,
      DELEGATE_ENROLMENT_TOKEN_FILE: folder.write('token', TOKEN),
    };
    expect(complaintsOf(() => load({ environment }))).to.deep.equal([
      'enrolmentToken: give either DELEGATE_ENROLMENT_TOKEN or DELEGATE_ENROLMENT_TOKEN_FILE, not both',
    ]);
  });

  it('is not quoted when it stands where its file belongs', () => {
    const environment = { DELEGATE_ENROLMENT_TOKEN_FILE: TOKEN };
    const { warnings, enrolmentToken } = load({ environment });
    expect(enrolmentToken).to.equal(undefined);
    expect(warnings.join()).to.contain('DELEGATE_ENROLMENT_TOKEN_FILE').and.not.contain(TOKEN);
  });

  it('may be gone once the delegate has enrolled: its missing file is a warning', () => {
    using folder = new Folder();
    const environment = { DELEGATE_ENROLMENT_TOKEN_FILE: join(folder.path, 'gone') };
    expect(load({ environment }).warnings).to.deep.equal([
      "enrolmentTokenFile (DELEGATE_ENROLMENT_TOKEN_FILE): there is no such file; without it the delegate can't enrol.",
    ]);
  });

  it('stops the start if its file is there and cannot be read', () => {
    using folder = new Folder();
    const environment = { DELEGATE_ENROLMENT_TOKEN_FILE: folder.path };
    expect(complaintsOf(() => load({ environment }))).to.deep.equal([
      'enrolmentTokenFile (DELEGATE_ENROLMENT_TOKEN_FILE): the file cannot be read (EISDIR)',
    ]);
  });

  it('must be in the file that is given for it', () => {
    using folder = new Folder();
    const environment = { DELEGATE_ENROLMENT_TOKEN_FILE: folder.write('token', ' \n') };
    expect(complaintsOf(() => load({ environment }))).to.deep.equal([
      'enrolmentTokenFile (DELEGATE_ENROLMENT_TOKEN_FILE): the file is empty',
    ]);
  });
});

describe('the keys that tasks must be signed with', () => {
  const key = { kty: 'OKP', crv: 'Ed25519', x: 'A'.repeat(43), kid: 'k1' };

  const loadKeys = (contents: string): unknown => {
    using folder = new Folder();
    const environment = { DELEGATE_TASK_SIGNING_KEYS_FILE: folder.write('keys.json', contents) };
    return load({ environment }).configuration.taskSigningKeys;
  };

  it('are read from a JWK set', () => {
    expect(loadKeys(JSON.stringify({ keys: [key] }))).to.deep.equal([key]);
  });

  const refused: Record<string, string> = {
    'no key': '{"keys": []}',
    'a private key': JSON.stringify({ keys: [{ ...key, d: 'A'.repeat(43) }] }),
    'a key of another kind': JSON.stringify({ keys: [{ kty: 'RSA', n: 'a', e: 'AQAB' }] }),
    'broken JSON': '{"keys": [',
  };
  for (const [what, contents] of Object.entries(refused)) {
    it(`are refused whole for ${what}`, () => {
      expect(complaintsOf(() => loadKeys(contents))).to.deep.equal([
        'taskSigningKeysFile (DELEGATE_TASK_SIGNING_KEYS_FILE): the file is not a JWK set of public Ed25519 keys',
      ]);
    });
  }
});

describe('a variable that is no setting', () => {
  it('is warned about, and stops nothing', () => {
    const environment = { DELEGATE_CAPACTIY: '3', DELEGATE_SECRET_CAPACTIY: 'x', PATH: '/bin' };
    expect(load({ environment }).warnings).to.deep.equal([
      'DELEGATE_CAPACTIY is not a setting of this delegate; it is ignored. Did you mean DELEGATE_CAPACITY?',
    ]);
  });

  it('is none of those that are documented', () => {
    const documented = Object.fromEntries(settingsReference().map(({ env }) => [env, undefined]));
    const { warnings } = load({ environment: { ...documented, DELEGATE_MANAGER_URL: 'https://m.example' } });
    expect(warnings).to.deep.equal([]);
  });
});

describe('the printed settings', () => {
  it('are those in effect, with the token masked', () => {
    using folder = new Folder();
    const file = folder.write('delegate.yaml', 'secretNames: { a.b: env:A }\nname: of-file');
    const { text: printed } = printableSettings(
      sources({
        args: ['--capacity=5'],
        environment: { DELEGATE_ENROLMENT_TOKEN: TOKEN, DELEGATE_CONFIG: file },
      }),
    );
    expect(JSON.parse(printed)).to.deep.include({
      enrolmentToken: '[secret]',
      secretNames: { 'a.b': 'env:A' },
      name: 'of-file',
      capacity: 5,
    });
    expect(printed).to.not.contain(TOKEN);
  });

  it('show that no token is set', () => {
    expect(JSON.parse(printableSettings(sources()).text)).to.deep.include({ enrolmentToken: '' });
  });
});

describe('the reference of settings', () => {
  const reference = settingsReference();

  for (const { key, env, flag, doc } of reference) {
    it(`explains ${key}`, () => {
      expect(doc).to.match(/^[A-Z].{10,}\.$/);
      if (key === 'secretNames' || key === 'clientCertificates') expect([env, flag]).to.deep.equal(['', '']);
      else expect(env).to.match(/^DELEGATE_[A-Z_]+$/);
    });
  }

  it('offers no flag for the token, since other processes read arguments', () => {
    expect(reference.find(({ key }) => key === 'enrolmentToken')?.flag).to.equal('');
  });

  it('has each variable and each flag once', () => {
    const names = reference.flatMap(({ env, flag }) => [env, flag]).filter((name) => name !== '');
    expect(new Set(names).size).to.equal(names.length);
  });
});
