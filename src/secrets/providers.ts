import { awsProvider } from './aws.ts';
import { azureProvider } from './azure.ts';
import type { CloudOptions } from './cloud.ts';
import { envProvider } from './env.ts';
import { execProvider } from './exec/provider.ts';
import { fileProvider } from './file.ts';
import { gcpProvider } from './gcp.ts';
import { kubernetesProvider } from './kubernetes.ts';
import type { ProviderKind, ProviderOptions } from './provider.ts';
import { vaultProvider } from './vault/provider.ts';

/**
 * The kinds of places that secrets come from, by the name before the colon of a reference: one file and one line each.
 * A provider that has a client library loads it with the first read, so that nobody pays for a store that is not used.
 */
export const PROVIDER_KINDS: Readonly<Record<string, ProviderKind>> = {
  env: {
    form: 'env:NAME',
    setting: undefined,
    make: ({ environment }) => envProvider(environment),
  },
  file: {
    form: 'file:relative/path',
    setting: 'DELEGATE_SECRETS_DIR',
    make(options) {
      const { directory, stores } = options;
      if (directory === undefined) return undefined;
      // What is mounted there has a name already, and would be pinned apart from it under another.
      const mounted = stores?.settings.kubernetesDirectory;
      return fileProvider(directory, [...closedPlaces(options), ...(mounted === undefined ? [] : [mounted])]);
    },
  },
  kubernetes: {
    form: 'kubernetes:secret-name/key',
    setting: 'DELEGATE_KUBERNETES_SECRETS_DIR',
    make(options) {
      const folder = options.stores?.settings.kubernetesDirectory;
      return folder === undefined ? undefined : kubernetesProvider(folder, closedPlaces(options));
    },
  },
  exec: {
    form: 'exec:name',
    setting: 'DELEGATE_EXEC_SECRETS_FILE',
    make({ environment, stores }) {
      if (stores?.settings.execFile === undefined) return undefined;
      const { settings, ports } = stores;
      return execProvider({ file: stores.settings.execFile, environment, cacheMs: settings.cacheMs, ports });
    },
  },
  vault: {
    form: 'vault:mount/path#field',
    setting: 'DELEGATE_VAULT_ADDRESS',
    make({ stores }) {
      if (stores?.settings.vault === undefined) return undefined;
      return vaultProvider(stores.settings.vault, stores.settings, stores.ports);
    },
  },
  aws: {
    form: 'aws:name-or-arn#member',
    setting: 'DELEGATE_AWS_REGION',
    make({ environment, stores }) {
      if (stores?.settings.aws === undefined) return undefined;
      return awsProvider(stores.settings.aws, cloudOptions(environment, stores));
    },
  },
  azure: {
    form: 'azure:name/version',
    setting: 'DELEGATE_AZURE_VAULT_URL',
    make({ environment, stores }) {
      if (stores?.settings.azure === undefined) return undefined;
      return azureProvider(stores.settings.azure, cloudOptions(environment, stores));
    },
  },
  gcp: {
    form: 'gcp:name/version',
    setting: 'DELEGATE_GCP_PROJECT',
    make({ environment, stores }) {
      if (stores?.settings.gcp === undefined) return undefined;
      return gcpProvider(stores.settings.gcp, cloudOptions(environment, stores));
    },
  },
};

/** Where a cloud puts what a machine logs in with: such a file is the delegate's own as well. */
const CLOUD_CREDENTIAL_VARIABLES = [
  'AWS_WEB_IDENTITY_TOKEN_FILE',
  'AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE',
  'AZURE_FEDERATED_TOKEN_FILE',
  'AZURE_CLIENT_CERTIFICATE_PATH',
  'GOOGLE_APPLICATION_CREDENTIALS',
] as const;

function closedPlaces({ environment, ownPlaces }: ProviderOptions): readonly string[] {
  const ofClouds = CLOUD_CREDENTIAL_VARIABLES.map((name) => environment[name] ?? '');
  return [...ownPlaces, ...ofClouds.filter((path) => path !== '')];
}

function cloudOptions(
  environment: ProviderOptions['environment'],
  { settings, ports }: NonNullable<ProviderOptions['stores']>,
): CloudOptions {
  return { environment, cacheMs: settings.cacheMs, ports };
}
