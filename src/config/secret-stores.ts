import { checkCloudStores, cloudStoresOf, type CloudStoresConfiguration } from './cloud-stores.ts';
import { labelOf } from './leaves.ts';
import { SERVICE_ACCOUNT_FOLDER } from './own-places.ts';
import type { Settings } from './schema.ts';
import type { SettingKey } from './settings.ts';

const SERVICE_ACCOUNT_TOKEN = `${SERVICE_ACCOUNT_FOLDER}/token`;

/** How the delegate logs in to Vault or OpenBao. */
export type VaultLoginConfiguration =
  | { method: 'token'; tokenFile: string }
  | { method: 'approle'; mount: string; roleIdFile: string; secretIdFile: string }
  | { method: 'kubernetes' | 'jwt'; mount: string; role: string; jwtFile: string };

/** The stores that secrets may come from, beside variables and files; an undefined one is off. */
export interface SecretStoresConfiguration extends CloudStoresConfiguration {
  cacheMs: number;
  kubernetesDirectory: string | undefined;
  execFile: string | undefined;
  vault:
    | {
        address: string;
        namespace: string | undefined;
        login: VaultLoginConfiguration;
        kvVersion: 1 | 2 | undefined;
      }
    | undefined;
}

/** What each way to log in can't do without. */
const VAULT_LOGIN_NEEDS = {
  token: ['vault.tokenFile'],
  approle: ['vault.roleIdFile', 'vault.secretIdFile'],
  kubernetes: ['vault.role'],
  jwt: ['vault.role', 'vault.jwtFile'],
} as const satisfies Record<Settings['vault']['auth'], readonly SettingKey[]>;

/** What the schema can't see, of those settings that it has passed. */
export function checkSecretStores(
  settings: Settings,
  isValid: (...keys: SettingKey[]) => boolean,
  complaints: string[],
): void {
  const { vault } = settings;
  checkCloudStores(settings, isValid, complaints);
  if (!isValid('vault.address', 'vault.auth') || vault.address === '') return;
  const given = {
    'vault.tokenFile': vault.tokenFile,
    'vault.roleIdFile': vault.roleIdFile,
    'vault.secretIdFile': vault.secretIdFile,
    'vault.role': vault.role,
    'vault.jwtFile': vault.jwtFile,
  };
  for (const key of VAULT_LOGIN_NEEDS[vault.auth]) {
    if (given[key] === '') complaints.push(`${labelOf(key)}: is required with vault.auth ${vault.auth}`);
  }
}

/** For settings that have been checked. */
export function secretStoresOf(settings: Settings): SecretStoresConfiguration {
  const { vault } = settings;
  return {
    cacheMs: settings.secretsCacheSeconds * 1_000,
    kubernetesDirectory: orUndefined(settings.kubernetesSecretsDir),
    execFile: orUndefined(settings.execSecretsFile),
    ...cloudStoresOf(settings),
    vault:
      vault.address === ''
        ? undefined
        : {
            address: vault.address.replace(/\/+$/, ''),
            namespace: orUndefined(vault.namespace.replace(/^\/+|\/+$/g, '')),
            login: loginOf(vault),
            kvVersion: vault.kvVersion === 'detect' ? undefined : vault.kvVersion === 'v1' ? 1 : 2,
          },
  };
}

function loginOf(vault: Settings['vault']): VaultLoginConfiguration {
  const { auth, role } = vault;
  const mount = orUndefined(vault.authMount.replace(/^\/+|\/+$/g, '')) ?? auth;
  switch (auth) {
    case 'token':
      return { method: auth, tokenFile: vault.tokenFile };
    case 'approle':
      return { method: auth, mount, roleIdFile: vault.roleIdFile, secretIdFile: vault.secretIdFile };
    case 'kubernetes':
      return { method: auth, mount, role, jwtFile: orUndefined(vault.jwtFile) ?? SERVICE_ACCOUNT_TOKEN };
    case 'jwt':
      return { method: auth, mount, role, jwtFile: vault.jwtFile };
  }
}

function orUndefined(text: string): string | undefined {
  return text === '' ? undefined : text;
}
