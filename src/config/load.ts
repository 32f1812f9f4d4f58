import { hostname } from 'node:os';
import { MASK, type Secret } from '../kit/secret.ts';
import type { Ed25519PublicJwk } from '../protocol/enrolment.ts';
import { readEnrolmentToken, readStateKey, readTaskSigningKeys } from './credentials.ts';
import { throwComplaints } from './errors.ts';
import type { Flags } from './flags.ts';
import { labelOf } from './leaves.ts';
import { ownPlacesOf } from './own-places.ts';
import { readNetwork, type NetworkConfiguration } from './network.ts';
import type { LogFormat, LogLevel, Settings } from './schema.ts';
import { checkSecretStores, secretStoresOf, type SecretStoresConfiguration } from './secret-stores.ts';
import { checkTraces, tracesOf, type TracesConfiguration } from './traces.ts';
import {
  readSettings,
  unknownVariables,
  type RawSettings,
  type ReadingOptions,
  type Sources,
} from './settings.ts';

export { CommandLineError, ConfigurationError } from './errors.ts';
export { settingsReference } from './leaves.ts';
export type { Sources } from './settings.ts';

const MS_PER_DAY = 86_400_000;

/** What tasks stand on, whoever asks for them. */
export interface TaskConfiguration {
  name: string;
  stateDir: string;
  secretsDir: string | undefined;
  /** Paths that no secret reference may lead to. */
  ownPlaces: readonly string[];
  secretNames: Readonly<Record<string, string>>;
  /** Provider references. */
  writableSecrets: readonly string[];
  secretStores: SecretStoresConfiguration;
  logLevel: LogLevel;
  logFormat: LogFormat;
  allowLoopback: boolean;
  /** Path; undefined: the default policy. */
  policyFile: string | undefined;
  network: NetworkConfiguration;
}

/** Everything that `run` needs to know, checked; no field is optional, and whatever is secret is a `Secret`. */
export interface Configuration extends TaskConfiguration {
  /** Without a trailing slash. */
  managerUrl: string;
  tags: readonly string[];
  hostName: string;
  capacity: number;
  outbox: { readonly maxResults: number; readonly maxBytes: number };
  shutdownGraceMs: number;
  /** Of the audit log; 0: there is none. */
  auditMaxBytes: number;
  httpHost: string;
  httpPort: number;
  taskSigningKeys: readonly Ed25519PublicJwk[] | undefined;
  /** Undefined: no traces. */
  traces: TracesConfiguration | undefined;
  requireSignedTasks: boolean;
  /** Paths; undefined: there is none. */
  enrolmentTokenFile: string | undefined;
  taskSigningKeysFile: string | undefined;
  /** Greatest age of the delegate's key; 0 for any. */
  keyRotationMs: number;
}

export interface LoadedConfiguration {
  configuration: Configuration;
  /** Kept apart: a secret is another type than configuration. */
  enrolmentToken: Secret | undefined;
  /** 32 bytes in base64. */
  stateKey: Secret | undefined;
  /** What was given beside settings, to a command that takes more than them. */
  flags: Flags;
  /** Things that are probably mistakes but stop nothing. */
  warnings: readonly string[];
}

/** How a command reads the settings that takes more than them. */
type CommandReading = Pick<ReadingOptions, 'command' | 'defaultLogLevel'>;

/** Flags win over the environment, the environment over the file, the file over defaults. */
export function loadConfiguration(sources: Sources, reading: CommandReading = {}): LoadedConfiguration {
  return configurationFrom(readSettings(sources, reading), sources);
}

function configurationFrom(
  { settings, complaints, commandLineComplaints, isValid, flags }: RawSettings,
  { environment }: Sources,
): LoadedConfiguration {
  const warnings = unknownVariables(environment);
  // What the schema can't see, of those settings that it has passed: one report is to hold it all.
  if (isValid('managerUrl', 'allowHttp')) checkManagerTransport(settings, complaints, warnings);
  if (isValid('capacity', 'outbox.maxResults')) checkOutboxHoldsCapacity(settings, complaints);
  checkSecretStores(settings, isValid, complaints);
  checkTraces(settings, isValid, complaints);
  const network = readNetwork({ settings, complaints, isValid, environment, warnings, forManager: true });
  const enrolmentToken = isValid('enrolmentToken', 'enrolmentTokenFile')
    ? readEnrolmentToken(settings, complaints, warnings)
    : undefined;
  const stateKey = isValid('stateKey', 'stateKeyFile') ? readStateKey(settings, complaints) : undefined;
  const taskSigningKeys = isValid('taskSigningKeysFile')
    ? readTaskSigningKeys(settings.taskSigningKeysFile, complaints)
    : undefined;
  throwComplaints({ commandLine: commandLineComplaints, others: complaints });

  return {
    configuration: {
      ...taskConfigurationOf(settings, network),
      managerUrl: settings.managerUrl.replace(/\/+$/, ''),
      tags: settings.tags.map((tag) => tag.trim()),
      hostName: hostname(),
      capacity: settings.capacity,
      outbox: settings.outbox,
      shutdownGraceMs: settings.shutdownGraceSeconds * 1_000,
      auditMaxBytes: settings.auditMaxBytes,
      httpHost: settings.http.host,
      httpPort: settings.http.port,
      taskSigningKeys,
      traces: tracesOf(settings),
      requireSignedTasks: settings.requireSignedTasks,
      enrolmentTokenFile: orUndefined(settings.enrolmentTokenFile),
      taskSigningKeysFile: orUndefined(settings.taskSigningKeysFile),
      keyRotationMs: settings.keyRotationDays * MS_PER_DAY,
    },
    enrolmentToken,
    stateKey,
    flags,
    warnings,
  };
}

/** For settings that the schema has passed. */
export function taskConfigurationOf(settings: Settings, network: NetworkConfiguration): TaskConfiguration {
  return {
    name: settings.name.trim() === '' ? hostname() : settings.name.trim(),
    stateDir: settings.stateDir,
    secretsDir: orUndefined(settings.secretsDir),
    ownPlaces: ownPlacesOf(settings),
    secretNames: Object.fromEntries(settings.secretNames),
    writableSecrets: settings.writableSecrets,
    secretStores: secretStoresOf(settings),
    logLevel: settings.log.level,
    logFormat: settings.log.format,
    allowLoopback: settings.allowLoopback,
    policyFile: orUndefined(settings.policyFile),
    network,
  };
}

/** What `run` would work with, secrets masked, as JSON for people. Throws what `loadConfiguration` throws. */
export function printableSettings(
  sources: Sources,
  reading: CommandReading = {},
): { text: string; warnings: readonly string[] } {
  const raw = readSettings(sources, reading);
  const { configuration, warnings } = configurationFrom(raw, sources);
  const { settings } = raw;
  const shown = {
    ...settings,
    name: configuration.name,
    enrolmentToken: masked(settings.enrolmentToken),
    stateKey: masked(settings.stateKey),
    secretNames: Object.fromEntries(settings.secretNames),
  };
  return { text: JSON.stringify(shown, null, 2), warnings };
}

function checkManagerTransport(
  { managerUrl, allowHttp }: Settings,
  complaints: string[],
  warnings: string[],
): void {
  const url = new URL(managerUrl);
  const loopback = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/.test(url.hostname);
  if (url.protocol !== 'http:' || loopback) return;
  if (allowHttp) {
    warnings.push(
      `${labelOf('managerUrl')}: plain http is allowed by DELEGATE_ALLOW_HTTP: whoever is on the way can read tokens and tasks, and change them.`,
    );
  } else {
    complaints.push(
      `${labelOf('managerUrl')}: plain http is refused beyond loopback; use https, or accept the risk with DELEGATE_ALLOW_HTTP=true`,
    );
  }
}

/** A delegate that may keep fewer results than it runs tasks would never use all of its slots. */
function checkOutboxHoldsCapacity({ outbox, capacity }: Settings, complaints: string[]): void {
  if (outbox.maxResults >= capacity) return;
  complaints.push(
    `${labelOf('outbox.maxResults')}: must be at least capacity (${capacity}): each task that runs ends in a result`,
  );
}

function masked(value: string): string {
  return value === '' ? '' : MASK;
}

function orUndefined(text: string): string | undefined {
  return text === '' ? undefined : text;
}
