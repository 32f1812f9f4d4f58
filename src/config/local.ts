import type { Secret } from '../kit/secret.ts';
import { readStateKey } from './credentials.ts';
import { ConfigurationError, throwComplaints } from './errors.ts';
import type { CommandFlags } from './flags.ts';
import { taskConfigurationOf, type TaskConfiguration } from './load.ts';
import { readNetwork } from './network.ts';
import { checkSecretStores } from './secret-stores.ts';
import { readSettings, unknownVariables, type SettingKey, type Sources } from './settings.ts';

/** What a command needs that runs a task where no manager is. */
export interface LoadedLocalConfiguration {
  configuration: TaskConfiguration;
  /**
   * 32 bytes in base64. Read only when it is called, because most tasks do without it, and whoever tests a connector
   * may have no right to the file. Throws a `ConfigurationError`.
   */
  stateKey: () => Secret | undefined;
  /** The command's own flags that were given. */
  flags: ReadonlyMap<string, string>;
  /** '' for a command that takes none. */
  operand: string;
  /** More than one only for a command that takes several. */
  operands: readonly string[];
  /** Things that are probably mistakes but stop nothing. */
  warnings: readonly string[];
}

/** Of these only a delegate in service makes use: what is wrong with them is no reason not to test a connector. */
const FOR_SERVICE_ALONE: readonly SettingKey[] = [
  'managerUrl',
  'enrolmentToken',
  'enrolmentTokenFile',
  'tags',
  'stateKey',
  'stateKeyFile',
  'capacity',
  'outbox.maxResults',
  'outbox.maxBytes',
  'shutdownGraceSeconds',
  'auditMaxBytes',
  'http.host',
  'http.port',
  'allowHttp',
  'taskSigningKeysFile',
  'managerCertificateFile',
  'managerPrivateKeyFile',
  'managerPassphraseFile',
  'requireSignedTasks',
  'keyRotationDays',
  'traces.endpoint',
  'traces.headersFile',
  'traces.sampleRatio',
  'traces.serviceName',
  'traces.attributes',
];

/**
 * The same sources, in the same order, as those of `loadConfiguration`; the log says less unless it is told to.
 * Throws a `ConfigurationError` with every mistake of settings and command line.
 *
 * @param hint where the reader of such an error finds what the command takes
 */
export function loadLocalConfiguration(
  sources: Sources,
  command: CommandFlags,
  hint: string,
): LoadedLocalConfiguration {
  const { settings, complaints, commandLineComplaints, isValid, flags } = readSettings(sources, {
    command,
    unused: FOR_SERVICE_ALONE,
    defaultLogLevel: 'warn',
  });
  checkSecretStores(settings, isValid, complaints);
  const { environment } = sources;
  const warnings = unknownVariables(environment);
  const network = readNetwork({ settings, complaints, isValid, environment, warnings, forManager: false });
  throwComplaints({ commandLine: commandLineComplaints, others: complaints }, hint);
  return {
    configuration: taskConfigurationOf(settings, network),
    stateKey: () => {
      const mistakes: string[] = [];
      const key = readStateKey(settings, mistakes);
      if (mistakes.length > 0) throw new ConfigurationError(mistakes);
      return key;
    },
    flags: flags.own,
    operand: flags.operand ?? '',
    operands: flags.operands,
    warnings,
  };
}
