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
  http: { host: string; port: number };
  secretsDir: string;
  secretNames: [string, string][];
  writableSecrets: string[];
  log: { level: LogLevel; format: LogFormat };
  allowHttp: boolean;
  allowLoopback: boolean;
  taskSigningKeysFile: string;
  requireSignedTasks: boolean;
}

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];
export const LOG_FORMATS = ['json', 'pretty'] as const;
export type LogFormat = (typeof LOG_FORMATS)[number];

function oneOf(values: readonly string[]): (value: unknown) => void {
  return (value) => {
    if (typeof value !== 'string' || !values.includes(value)) {
      throw new TypeError(`must be one of ${values.join(', ')}`);
    }
  };
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
    doc: 'Secrets that the delegate may replace, as file:relative/path, separated by commas: those are written when a token server gives a new refresh token in the place of the stored one. Default: none.',
    format: 'writable-secrets',
    default: [],
    env: 'DELEGATE_WRITABLE_SECRETS',
    arg: 'writable-secrets',
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
};

/** Where the file is; not part of the file itself. */
export const CONFIG_FILE_VARIABLE = 'DELEGATE_CONFIG';
export const CONFIG_FILE_FLAG = 'config';
