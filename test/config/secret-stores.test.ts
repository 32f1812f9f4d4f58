import { expect } from 'chai';
import { loadConfiguration, type TaskConfiguration } from '../../src/config/load.ts';
import { ConfigurationError } from '../../src/config/errors.ts';
import { loadLocalConfiguration } from '../../src/config/local.ts';
import { SECRET_PROVIDERS } from '../../src/config/schema.ts';
import { PROVIDER_KINDS } from '../../src/secrets/providers.ts';

const MANAGER = { DELEGATE_MANAGER_URL: 'https://manager.example.com' };
const ADDRESS = { DELEGATE_VAULT_ADDRESS: 'https://vault.example.com:8200/' };

function stores(environment: Record<string, string>): TaskConfiguration['secretStores'] {
  return loadConfiguration({ args: [], environment: { ...MANAGER, ...environment } }).configuration
    .secretStores;
}

function complaints(environment: Record<string, string>): readonly string[] {
  try {
    stores(environment);
  } catch (thrown) {
    if (thrown instanceof ConfigurationError) return thrown.message.split('\n');
    throw thrown;
  }
  return [];
}

describe('the settings of secret stores', () => {
  it('leave every store off unless it is named', () => {
    expect(stores({})).to.include({ kubernetesDirectory: undefined, execFile: undefined, vault: undefined });
    expect(stores({}).cacheMs).to.equal(30_000);
  });

  it('know the providers that there are', () => {
    expect([...SECRET_PROVIDERS].sort()).to.deep.equal(Object.keys(PROVIDER_KINDS).sort());
  });

  const logins: [string, Record<string, string>, object][] = [
    ['a token', { DELEGATE_VAULT_TOKEN_FILE: '/t' }, { method: 'token', tokenFile: '/t' }],
    [
      'AppRole',
      {
        DELEGATE_VAULT_AUTH: 'approle',
        DELEGATE_VAULT_ROLE_ID_FILE: '/r',
        DELEGATE_VAULT_SECRET_ID_FILE: '/s',
      },
      { method: 'approle', mount: 'approle', roleIdFile: '/r', secretIdFile: '/s' },
    ],
    [
      'Kubernetes, with the token of the service account',
      { DELEGATE_VAULT_AUTH: 'kubernetes', DELEGATE_VAULT_ROLE: 'delegate' },
      {
        method: 'kubernetes',
        mount: 'kubernetes',
        role: 'delegate',
        jwtFile: '/var/run/secrets/kubernetes.io/serviceaccount/token',
      },
    ],
    [
      'a JWT, at another mount',
      {
        DELEGATE_VAULT_AUTH: 'jwt',
        DELEGATE_VAULT_AUTH_MOUNT: '/ci/jwt/',
        DELEGATE_VAULT_ROLE: 'delegate',
        DELEGATE_VAULT_JWT_FILE: '/j',
      },
      { method: 'jwt', mount: 'ci/jwt', role: 'delegate', jwtFile: '/j' },
    ],
  ];
  for (const [what, environment, login] of logins) {
    it(`describe the login to Vault by ${what}`, () => {
      expect(stores({ ...ADDRESS, ...environment }).vault).to.deep.equal({
        address: 'https://vault.example.com:8200',
        namespace: undefined,
        login,
        kvVersion: undefined,
      });
    });
  }

  it('take namespace and version as they are meant', () => {
    const vault = stores({
      ...ADDRESS,
      DELEGATE_VAULT_TOKEN_FILE: '/t',
      DELEGATE_VAULT_NAMESPACE: '/team/a/',
      DELEGATE_VAULT_KV_VERSION: 'v1',
    }).vault;
    expect(vault).to.include({ namespace: 'team/a', kvVersion: 1 });
  });

  const mistakes: [Record<string, string>, RegExp][] = [
    [ADDRESS, /DELEGATE_VAULT_TOKEN_FILE\): is required with vault.auth token/],
    [
      { ...ADDRESS, DELEGATE_VAULT_AUTH: 'approle' },
      /DELEGATE_VAULT_ROLE_ID_FILE[^]*DELEGATE_VAULT_SECRET_ID_FILE/,
    ],
    [{ ...ADDRESS, DELEGATE_VAULT_AUTH: 'kubernetes' }, /DELEGATE_VAULT_ROLE\)/],
    [{ ...ADDRESS, DELEGATE_VAULT_AUTH: 'jwt' }, /DELEGATE_VAULT_ROLE\)[^]*DELEGATE_VAULT_JWT_FILE/],
    [{ ...ADDRESS, DELEGATE_VAULT_AUTH: 'ldap' }, /must be one of token, approle, kubernetes, jwt/],
    [{ DELEGATE_VAULT_ADDRESS: 'http://vault.example.com:8200' }, /must be an https address/],
    [{ DELEGATE_VAULT_ADDRESS: 'http://localhost.evil.example' }, /must be an https address/],
    [{ DELEGATE_VAULT_ADDRESS: 'vault.example.com' }, /must be an https address/],
    [{ DELEGATE_VAULT_ADDRESS: 'https://user:hunter2@vault.example.com' }, /must not hold credentials/],
    [{ DELEGATE_VAULT_ADDRESS: 'https://vault.example.com/?a=b' }, /must not have a query/],
    [{ DELEGATE_SECRETS_CACHE_SECONDS: '3601' }, /from 0 to 3600/],
    [{ DELEGATE_WRITABLE_SECRETS: 'env:A' }, /env, exec and kubernetes can not be/],
    [{ DELEGATE_WRITABLE_SECRETS: 'user:hunter2' }, /must be a reference that can be written/],
  ];
  for (const [environment, complaint] of mistakes) {
    it(`are complained of: ${JSON.stringify(environment)}`, () => {
      const told = complaints(environment).join('\n');
      expect(told).to.match(complaint);
      expect(told).to.not.contain('hunter2');
    });
  }

  it('are checked for commands without a manager, too', () => {
    const load = (): unknown =>
      loadLocalConfiguration(
        { args: ['file'], environment: ADDRESS },
        { flags: {}, operand: 'FILE' },
        'hint',
      );
    expect(load).to.throw(ConfigurationError, 'DELEGATE_VAULT_TOKEN_FILE');
  });

  it('let what can be written be listed', () => {
    const { configuration } = loadConfiguration({
      args: [],
      environment: { ...MANAGER, DELEGATE_WRITABLE_SECRETS: 'file:rt, vault:kv/oidc#rt, aws:rt' },
    });
    expect(configuration.writableSecrets).to.deep.equal(['file:rt', 'vault:kv/oidc#rt', 'aws:rt']);
  });
});
