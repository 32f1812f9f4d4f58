import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Redactor } from '../../../src/kit/secret.ts';
import { HttpClient } from '../../../src/http/client.ts';
import { assertSecretsStay } from '../../../src/policy/secret-bounds.ts';
import { createSecrets, type Secrets } from '../../../src/secrets/index.ts';
import {
  assertStoreUrl,
  type StoreSettings,
  type VaultSettings,
} from '../../../src/secrets/store-settings.ts';
import { dialerWith } from '../../support/dialer.ts';
import { FakeVault, type FakeVaultOptions } from '../../support/fake-vault.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { NO_STORES } from '../../support/no-stores.ts';

export const ROOT_TOKEN = 'hvs.CAESIcanary-root-token';
export const CACHE_MS = 30_000;
/** Where the values that tasks resolve may go. */
export const INSTANCE = 'https://acme.service-now.com';

export interface VaultBench extends AsyncDisposable {
  readonly vault: FakeVault;
  readonly clock: ManualClock;
  readonly redactor: Redactor;
  /** Everything that was logged, as text. */
  readonly logged: string[];
  readonly home: string;
  /** Secrets over the real HTTP client, with the guards that the product has. */
  open(settings?: Partial<VaultSettings>, options?: { writable?: readonly string[] }): Secrets;
  resolve(secrets: Secrets, reference: string): Promise<string>;
}

/** A fake Vault with one token and a folder for credentials; ended with everything that was opened. */
export async function vaultBench(home: string, options: Partial<FakeVaultOptions> = {}): Promise<VaultBench> {
  const clock = new ManualClock();
  const vault = await FakeVault.start({ clock, ...options });
  vault.issue(ROOT_TOKEN);
  const tokenFile = join(home, 'token');
  await writeFile(tokenFile, `${ROOT_TOKEN}\n`);
  const redactor = new Redactor();
  const logged: string[] = [];
  const tell = (fields: Record<string, unknown>, message: string): void =>
    void logged.push(`${message} ${JSON.stringify(fields)}`);
  const opened: AsyncDisposable[] = [];
  return {
    vault,
    clock,
    redactor,
    logged,
    home,
    open(given = {}, { writable = [] } = {}) {
      const settings: StoreSettings = storeSettings({
        address: vault.address,
        namespace: undefined,
        login: { method: 'token', tokenFile },
        kvVersion: undefined,
        ...given,
      });
      const protect = (value: string, origins: readonly string[]) => redactor.register(value, { origins });
      const http = new HttpClient({
        dialer: dialerWith(),
        guardUrl: (url) => assertStoreUrl(url, settings),
        guardRequest: (exchange) => assertSecretsStay(exchange, redactor),
        guardAddress: () => {},
        userAgent: 'test/1',
      });
      const log = { info: tell, warn: tell };
      const ports = {
        send: http.send,
        clock,
        protect,
        permit: (value: string, origins: readonly string[]) => redactor.permit(value, origins),
        scrub: (text: string) => redactor.scrub(text),
        log,
      };
      const secrets = createSecrets({
        environment: {},
        directory: undefined,
        stores: { settings, ports },
        names: { 'snow.password': 'vault:kv/servicenow/prod#password' },
        writable,
        admit: () => Promise.resolve(),
        protect,
        log,
      });
      opened.push(secrets, http);
      return secrets;
    },
    async resolve(secrets, reference) {
      const signal = AbortSignal.timeout(5_000);
      return (await secrets.resolve(reference, { signal, origins: [INSTANCE] })).reveal();
    },
    async [Symbol.asyncDispose]() {
      for (const one of opened) await one[Symbol.asyncDispose]();
      await vault[Symbol.asyncDispose]();
    },
  };
}

export function storeSettings(vault: VaultSettings): StoreSettings {
  return { ...NO_STORES, cacheMs: CACHE_MS, vault };
}
