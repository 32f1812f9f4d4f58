import type { Schema } from 'convict';

/** Every setting as it is typed in, before it becomes a `Configuration`. */
export interface Settings {
  managerUrl: string;
  enrolmentToken: string;
  enrolmentTokenFile: string;
  name: string;
  tags: string[];
  stateDir: string;
  stateKey: string;
  stateKeyFile: string;
  capacity: number;
  outbox: { maxResults: number; maxBytes: number };
  shutdownGraceSeconds: number;
  auditMaxBytes: number;
  http: { host: string; port: number };
  secretsDir: string;
  secretNames: [string, string][];
  writableSecrets: string[];
  secretsCacheSeconds: number;
  kubernetesSecretsDir: string;
  execSecretsFile: string;
  vault: {
    address: string;
    namespace: string;
    auth: (typeof VAULT_LOGINS)[number];
    authMount: string;
    role: string;
    tokenFile: string;
    roleIdFile: string;
    secretIdFile: string;
    jwtFile: string;
    kvVersion: (typeof KV_VERSIONS)[number];
  };
  aws: { region: string; endpoint: string };
  azure: { vaultUrl: string; authorityHost: string };
  gcp: { project: string; endpoint: string };
  log: { level: LogLevel; format: LogFormat };
  traces: {
    endpoint: string;
    headersFile: string;
    sampleRatio: number;
    serviceName: string;
    attributes: string[];
  };
  allowHttp: boolean;
  allowLoopback: boolean;
  policyFile: string;
  taskSigningKeysFile: string;
  requireSignedTasks: boolean;
  keyRotationDays: number;
  caFile: string;
  proxy: { url: string; bypass: string; credentialsFile: string };
  managerCertificateFile: string;
  managerPrivateKeyFile: string;
  managerPassphraseFile: string;
  clientCertificates: ClientCertificateSetting[];
}

export interface ClientCertificateSetting {
  origin: string;
  certificateFile: string;
  privateKeyFile: string;
  passphraseFile?: string | undefined;
}

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];
/** Where secrets come from, by the name before the colon of a reference. */
export const SECRET_PROVIDERS = [
  'env',
  'file',
  'kubernetes',
  'exec',
  'vault',
  'aws',
  'azure',
  'gcp',
] as const;
const VAULT_LOGINS = ['token', 'approle', 'kubernetes', 'jwt'] as const;
/** Of a key-value engine. */
const KV_VERSIONS = ['detect', 'v1', 'v2'] as const;
export const LOG_FORMATS = ['json', 'pretty'] as const;
export type LogFormat = (typeof LOG_FORMATS)[number];

/** A format whose values are known beforehand; they are its property, for whoever offers them. */
function oneOf(values: readonly string[]): ((value: unknown) => void) & { values: readonly string[] } {
  const check = (value: unknown): void => {
    if (typeof value !== 'string' || !values.includes(value)) {
      throw new TypeError(`must be one of ${values.join(', ')}`);
    }
  };
  return Object.assign(check, { values });
}

/**
 * Where each setting comes from (environment, flag, file by its key), and what it does. `doc` is what users
 * read. A setting without `arg` has no flag; one without `env` can only stand in the file.
 */
export const settingsSchema: Schema<Settings> = {
  managerUrl: {
    doc: 'Address of the manager, https://…, with its base path if it has one. Required.',
    format: 'manager-url',
    default: '',
    env: 'DELEGATE_MANAGER_URL',
    arg: 'manager-url',
  },
  enrolmentToken: {
    doc: 'Token for the first start; afterwards the key in the state folder is the identity. It has no flag, because other processes can read arguments.',
    format: 'text',
    default: '',
    sensitive: true,
    env: 'DELEGATE_ENROLMENT_TOKEN',
  },
  enrolmentTokenFile: {
    doc: 'File that holds the enrolment token, instead of DELEGATE_ENROLMENT_TOKEN.',
    format: 'text',
    default: '',
    env: 'DELEGATE_ENROLMENT_TOKEN_FILE',
    arg: 'enrolment-token-file',
  },
  name: {
    doc: "Name shown in the manager; it counts as a tag. Default: this machine's host name.",
    format: 'delegate-name',
    default: '',
    env: 'DELEGATE_NAME',
    arg: 'name',
  },
  tags: {
    doc: 'Tags that delegate selectors match, separated by commas. The host name is always one of them.',
    format: 'tags',
    default: [],
    env: 'DELEGATE_TAGS',
    arg: 'tags',
  },
  stateDir: {
    doc: 'Folder for the identity, the journal and replaced refresh tokens; beside DELEGATE_WRITABLE_SECRETS the only place that is written. Keep it across restarts, one for each delegate.',
    format: 'needed-text',
    default: '/var/lib/servicenow-delegate',
    env: 'DELEGATE_STATE_DIR',
    arg: 'state-dir',
  },
  stateKey: {
    doc: 'Key that journal and refresh tokens in the state folder are encrypted with: 32 random bytes in base64 or hex. Default: derived from the identity in the same folder.',
    format: 'text',
    default: '',
    sensitive: true,
    env: 'DELEGATE_STATE_KEY',
  },
  stateKeyFile: {
    doc: 'File that holds the state key, instead of DELEGATE_STATE_KEY.',
    format: 'text',
    default: '',
    env: 'DELEGATE_STATE_KEY_FILE',
    arg: 'state-key-file',
  },
  capacity: {
    doc: 'Tasks that run at the same time.',
    format: 'capacity',
    default: 16,
    env: 'DELEGATE_CAPACITY',
    arg: 'capacity',
  },
  outbox: {
    maxResults: {
      doc: 'Results that may wait for the manager. Near it, no more tasks are taken; nothing is dropped.',
      format: 'outbox-results',
      default: 1_000,
      env: 'DELEGATE_OUTBOX_MAX_RESULTS',
      arg: 'outbox-max-results',
    },
    maxBytes: {
      doc: 'Bytes of results that may wait for the manager. At it, no more tasks are taken; those that run may add at most 1 MiB each.',
      format: 'outbox-bytes',
      default: 16_777_216,
      env: 'DELEGATE_OUTBOX_MAX_BYTES',
      arg: 'outbox-max-bytes',
    },
  },
  shutdownGraceSeconds: {
    doc: 'Time for running tasks to end when the delegate is asked to stop. Whoever stops it must wait 5 s longer.',
    format: 'grace-seconds',
    default: 25,
    env: 'DELEGATE_SHUTDOWN_GRACE_SECONDS',
    arg: 'shutdown-grace-seconds',
  },
  auditMaxBytes: {
    doc: 'Bytes that the audit log in the state folder may have; beyond them its oldest records go. At least 1 MiB; 0 switches the audit log off.',
    format: 'audit-bytes',
    default: 67_108_864,
    env: 'DELEGATE_AUDIT_MAX_BYTES',
    arg: 'audit-max-bytes',
  },
  http: {
    host: {
      doc: 'Address that the health endpoints listen on; 0.0.0.0 in a container.',
      format: 'needed-text',
      default: '127.0.0.1',
      env: 'DELEGATE_HTTP_HOST',
      arg: 'http-host',
    },
    port: {
      doc: 'Port of the health endpoints; 0 takes any free one and logs it.',
      format: 'listen-port',
      default: 8080,
      env: 'DELEGATE_HTTP_PORT',
      arg: 'http-port',
    },
  },
  secretsDir: {
    doc: 'Folder that file:… references are read from. Without it they are refused.',
    format: 'text',
    default: '',
    env: 'DELEGATE_SECRETS_DIR',
    arg: 'secrets-dir',
  },
  secretNames: {
    doc: 'Bare secret names that connectors use, and the reference that each stands for. In the file only.',
    format: 'secret-names',
    default: [],
  },
  writableSecrets: {
    doc: 'Secrets that the delegate may replace, as file:relative/path or vault:mount/path#field, separated by commas: those are written when a token server gives a new refresh token in the place of the stored one. Default: none.',
    format: 'writable-secrets',
    default: [],
    env: 'DELEGATE_WRITABLE_SECRETS',
    arg: 'writable-secrets',
  },
  secretsCacheSeconds: {
    doc: 'Seconds for which a value from Vault, a command or a cloud store is taken for current; one that was changed there counts after them at the latest. 0 to 3600.',
    format: 'cache-seconds',
    default: 30,
    env: 'DELEGATE_SECRETS_CACHE_SECONDS',
    arg: 'secrets-cache-seconds',
  },
  kubernetesSecretsDir: {
    doc: 'Folder below which Kubernetes Secrets are mounted, each as a folder of its name, for kubernetes:secret-name/key references.',
    format: 'text',
    default: '',
    env: 'DELEGATE_KUBERNETES_SECRETS_DIR',
    arg: 'kubernetes-secrets-dir',
  },
  execSecretsFile: {
    doc: 'YAML or JSON file that defines the commands of exec:name references. Only the user of the delegate, or root, may own it and write it.',
    format: 'text',
    default: '',
    env: 'DELEGATE_EXEC_SECRETS_FILE',
    arg: 'exec-secrets-file',
  },
  vault: {
    address: {
      doc: 'Address of HashiCorp Vault or OpenBao, https://…, for vault:mount/path#field references.',
      format: 'store-address',
      default: '',
      env: 'DELEGATE_VAULT_ADDRESS',
      arg: 'vault-address',
    },
    namespace: {
      doc: 'Namespace of Vault Enterprise or OpenBao. Default: the root namespace.',
      format: 'text',
      default: '',
      env: 'DELEGATE_VAULT_NAMESPACE',
      arg: 'vault-namespace',
    },
    auth: {
      doc: 'How the delegate logs in to Vault: token, approle, kubernetes or jwt.',
      format: oneOf(VAULT_LOGINS),
      default: 'token',
      env: 'DELEGATE_VAULT_AUTH',
      arg: 'vault-auth',
    },
    authMount: {
      doc: 'Mount of the auth method. Default: the name of the method.',
      format: 'text',
      default: '',
      env: 'DELEGATE_VAULT_AUTH_MOUNT',
      arg: 'vault-auth-mount',
    },
    role: {
      doc: 'Role to log in to Vault with, for kubernetes and jwt.',
      format: 'text',
      default: '',
      env: 'DELEGATE_VAULT_ROLE',
      arg: 'vault-role',
    },
    tokenFile: {
      doc: 'File that holds the Vault token, for token; such as the sink of a Vault Agent. It is read anew when it changes.',
      format: 'text',
      default: '',
      env: 'DELEGATE_VAULT_TOKEN_FILE',
      arg: 'vault-token-file',
    },
    roleIdFile: {
      doc: 'File that holds the role id, for approle.',
      format: 'text',
      default: '',
      env: 'DELEGATE_VAULT_ROLE_ID_FILE',
      arg: 'vault-role-id-file',
    },
    secretIdFile: {
      doc: 'File that holds the secret id, for approle.',
      format: 'text',
      default: '',
      env: 'DELEGATE_VAULT_SECRET_ID_FILE',
      arg: 'vault-secret-id-file',
    },
    jwtFile: {
      doc: 'File that holds the JWT, for kubernetes and jwt. Default for kubernetes: the token of the service account.',
      format: 'text',
      default: '',
      env: 'DELEGATE_VAULT_JWT_FILE',
      arg: 'vault-jwt-file',
    },
    kvVersion: {
      doc: 'Version of the key-value engines that references name: v1, v2, or detect. Set, the first part of a reference is the mount.',
      format: oneOf(KV_VERSIONS),
      default: 'detect',
      env: 'DELEGATE_VAULT_KV_VERSION',
      arg: 'vault-kv-version',
    },
  },
  aws: {
    region: {
      doc: 'Region of AWS Secrets Manager, such as eu-central-1, for aws:name#key references. Credentials come as AWS gives them to containers (docs/secrets.md).',
      format: 'aws-region',
      default: '',
      env: 'DELEGATE_AWS_REGION',
      arg: 'aws-region',
    },
    endpoint: {
      doc: 'Address of Secrets Manager, for a VPC endpoint without private DNS, FIPS or dual stack. Default: the usual one of the region.',
      format: 'store-address',
      default: '',
      env: 'DELEGATE_AWS_ENDPOINT',
      arg: 'aws-endpoint',
    },
  },
  azure: {
    vaultUrl: {
      doc: 'Address of an Azure Key Vault, https://NAME.vault.azure.net, for azure:name references. Credentials come as Azure gives them to containers (docs/secrets.md).',
      format: 'store-address',
      default: '',
      env: 'DELEGATE_AZURE_VAULT_URL',
      arg: 'azure-vault-url',
    },
    authorityHost: {
      doc: 'Address of Microsoft Entra ID, for a sovereign cloud.',
      format: 'store-address',
      default: 'https://login.microsoftonline.com',
      env: 'DELEGATE_AZURE_AUTHORITY_HOST',
      arg: 'azure-authority-host',
    },
  },
  gcp: {
    project: {
      doc: 'Id of the Google Cloud project of gcp:name references; it switches them on, for those that name a project too. Credentials come as Google gives them to containers (docs/secrets.md).',
      format: 'gcp-project',
      default: '',
      env: 'DELEGATE_GCP_PROJECT',
      arg: 'gcp-project',
    },
    endpoint: {
      doc: 'Address of Secret Manager, for a private endpoint. Default: https://secretmanager.googleapis.com.',
      format: 'store-address',
      default: '',
      env: 'DELEGATE_GCP_ENDPOINT',
      arg: 'gcp-endpoint',
    },
  },
  log: {
    level: {
      doc: 'Least level that is logged: trace, debug, info, warn, error or fatal.',
      format: oneOf(LOG_LEVELS),
      default: 'info',
      env: 'DELEGATE_LOG_LEVEL',
      arg: 'log-level',
    },
    format: {
      doc: 'Form of a log line: json (for machines) or pretty (for people).',
      format: oneOf(LOG_FORMATS),
      default: 'json',
      env: 'DELEGATE_LOG_FORMAT',
      arg: 'log-format',
    },
  },
  traces: {
    endpoint: {
      doc: 'Address of a collector for OpenTelemetry traces, OTLP over HTTP, such as http://127.0.0.1:4318; /v1/traces is added where there is no path. Default: no traces.',
      format: 'collector-address',
      default: '',
      env: 'DELEGATE_TRACES_ENDPOINT',
      arg: 'traces-endpoint',
    },
    headersFile: {
      doc: 'File with headers for the collector, one "Name: value" a line; they may hold a credential. Read again when it changes.',
      format: 'text',
      default: '',
      env: 'DELEGATE_TRACES_HEADERS_FILE',
      arg: 'traces-headers-file',
    },
    sampleRatio: {
      doc: 'Share of tasks that are traced, from 0 to 1, of those for which the manager has not decided by a traceparent.',
      format: 'ratio',
      default: 1,
      env: 'DELEGATE_TRACES_SAMPLE_RATIO',
      arg: 'traces-sample-ratio',
    },
    serviceName: {
      doc: 'Name of the service in the traces (service.name).',
      format: 'needed-text',
      default: 'servicenow-delegate',
      env: 'DELEGATE_TRACES_SERVICE_NAME',
      arg: 'traces-service-name',
    },
    attributes: {
      doc: 'More resource attributes of the traces, as name=value separated by commas, such as deployment.environment.name=production; at most 16.',
      format: 'resource-attributes',
      default: [],
      env: 'DELEGATE_TRACES_ATTRIBUTES',
      arg: 'traces-attributes',
    },
  },
  allowHttp: {
    doc: 'Accept a manager by plain http beyond loopback. Insecure: tokens and tasks can be read on the way.',
    format: 'flag',
    default: false,
    env: 'DELEGATE_ALLOW_HTTP',
    arg: 'allow-http',
  },
  allowLoopback: {
    doc: 'Connectors may point at loopback, by http too. For development.',
    format: 'flag',
    default: false,
    env: 'DELEGATE_ALLOW_LOOPBACK',
    arg: 'allow-loopback',
  },
  policyFile: {
    doc: 'YAML file that says what the manager may have done here, and which secret may go where (docs/policy.md). Read at start; whatever it does not name is refused. Without it a stated default holds.',
    format: 'text',
    default: '',
    env: 'DELEGATE_POLICY_FILE',
    arg: 'policy-file',
  },
  taskSigningKeysFile: {
    doc: 'JWK set of the Ed25519 keys that tasks must be signed with, instead of those given at enrolment.',
    format: 'text',
    default: '',
    env: 'DELEGATE_TASK_SIGNING_KEYS_FILE',
    arg: 'task-signing-keys-file',
  },
  requireSignedTasks: {
    doc: 'Refuse every task that is not signed, even when no key is known.',
    format: 'flag',
    default: false,
    env: 'DELEGATE_REQUIRE_SIGNED_TASKS',
    arg: 'require-signed-tasks',
  },
  keyRotationDays: {
    doc: "Greatest age of the delegate's own key, in days: it then gets another that the manager agrees to. 0: never by age.",
    format: 'days',
    default: 90,
    env: 'DELEGATE_KEY_ROTATION_DAYS',
    arg: 'key-rotation-days',
  },
  caFile: {
    doc: 'PEM bundle of certificate authorities to trust beside those that come with Node.js, for every connection. Read again when it changes.',
    format: 'text',
    default: '',
    env: 'DELEGATE_CA_FILE',
    arg: 'ca-file',
  },
  proxy: {
    url: {
      doc: 'Proxy for every connection beyond this machine, http://… or https://… without credentials; or "direct" for none. Default: HTTPS_PROXY, and HTTP_PROXY for http:// targets.',
      format: 'proxy-url',
      default: '',
      env: 'DELEGATE_PROXY_URL',
      arg: 'proxy-url',
    },
    bypass: {
      doc: 'Hosts that are called without the proxy, separated by commas: names, .suffixes, addresses, networks, each with :port if need be; or *. Default: NO_PROXY.',
      format: 'text',
      default: '',
      env: 'DELEGATE_NO_PROXY',
      arg: 'no-proxy',
    },
    credentialsFile: {
      doc: 'File that holds user:password for the proxy. Read again when it changes.',
      format: 'text',
      default: '',
      env: 'DELEGATE_PROXY_CREDENTIALS_FILE',
      arg: 'proxy-credentials-file',
    },
  },
  managerCertificateFile: {
    doc: 'PEM certificate, with its chain, that the delegate shows to the manager. Read again when it changes.',
    format: 'text',
    default: '',
    env: 'DELEGATE_MANAGER_CERTIFICATE_FILE',
    arg: 'manager-certificate-file',
  },
  managerPrivateKeyFile: {
    doc: 'PEM private key of that certificate.',
    format: 'text',
    default: '',
    env: 'DELEGATE_MANAGER_PRIVATE_KEY_FILE',
    arg: 'manager-private-key-file',
  },
  managerPassphraseFile: {
    doc: 'File that holds the passphrase of that key, if it has one.',
    format: 'text',
    default: '',
    env: 'DELEGATE_MANAGER_PASSPHRASE_FILE',
    arg: 'manager-passphrase-file',
  },
  clientCertificates: {
    doc: 'Client certificates for instances, token servers and secret stores: a list of origin, certificateFile, privateKeyFile and, if the key has one, passphraseFile. In the file only.',
    format: 'client-certificates',
    default: [],
  },
};

/** Where the file is; not part of the file itself. */
export const CONFIG_FILE_VARIABLE = 'DELEGATE_CONFIG';
export const CONFIG_FILE_FLAG = 'config';
