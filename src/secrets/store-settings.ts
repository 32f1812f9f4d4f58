import { cloudOrigins, type CloudSettings } from './cloud-settings.ts';
import { secretError } from './errors.ts';

/** How the delegate proves to Vault or OpenBao who it is. Files are read anew at each login. */
export type VaultLogin =
  | { readonly method: 'token'; readonly tokenFile: string }
  | {
      readonly method: 'approle';
      readonly mount: string;
      readonly roleIdFile: string;
      readonly secretIdFile: string;
    }
  | {
      readonly method: 'kubernetes' | 'jwt';
      readonly mount: string;
      readonly role: string;
      readonly jwtFile: string;
    };

export interface VaultSettings {
  /** With its base path if it has one; no query, no trailing slash. */
  readonly address: string;
  readonly namespace: string | undefined;
  readonly login: VaultLogin;
  /** Of every mount that references name; undefined: asked of the server. */
  readonly kvVersion: 1 | 2 | undefined;
}

/** The stores that are switched on, from the configuration; an undefined one is off. */
export interface StoreSettings extends CloudSettings {
  /** How long a value that was read is taken for current. */
  readonly cacheMs: number;
  /** Folder below which each Kubernetes Secret is mounted as a folder of its name. */
  readonly kubernetesDirectory: string | undefined;
  /** File that defines the commands of `exec:` references. */
  readonly execFile: string | undefined;
  readonly vault: VaultSettings | undefined;
}

/**
 * Where the stores are that the operator has named: the one place that tells a provider's requests from all others.
 * Throws for any other URL.
 */
export function assertStoreUrl(url: URL, settings: StoreSettings): void {
  const { vault } = settings;
  if (vault !== undefined && new URL(vault.address).origin === url.origin) return;
  if (cloudOrigins(settings).includes(url.origin)) return;
  throw secretError('secret-store-elsewhere', `${url.origin} is no secret store of this delegate.`, {
    details: { host: url.host },
  });
}
