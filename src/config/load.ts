import { hostname } from 'node:os';
import { MASK, type Secret } from '../kit/secret.ts';
import type { Ed25519PublicJwk } from '../protocol/enrolment.ts';
import { readEnrolmentToken, readStateKey, readTaskSigningKeys } from './credentials.ts';
import { ConfigurationError } from './errors.ts';
import { labelOf } from './leaves.ts';
import type { LogFormat, LogLevel, Settings } from './schema.ts';
import { readSettings, unknownVariables, type Sources } from './settings.ts';

export { ConfigurationError } from './errors.ts';
export { settingsReference } from './leaves.ts';
export type { Sources } from './settings.ts';

/** What tasks stand on, whoever asks for them. */
export interface TaskConfiguration {
  name: string;
  stateDir: string;
  secretsDir: string | undefined;
  secretNames: Readonly<Record<string, string>>;
  /** Provider references. */
  writableSecrets: readonly string[];
  logLevel: LogLevel;
  logFormat: LogFormat;
  allowLoopback: boolean;
}

/** Everything that `run` needs to know, checked; no field is optional, and no secret is among them. */
export interface Configuration extends TaskConfiguration {
  /** Without a trailing slash. */
  managerUrl: string;
  tags: readonly string[];
  hostName: string;
  capacity: number;
  outbox: { readonly maxResults: number; readonly maxBytes: number };
  shutdownGraceMs: number;
  httpHost: string;
  httpPort: number;
  taskSigningKeys: readonly Ed25519PublicJwk[] | undefined;
  requireSignedTasks: boolean;
}

export interface LoadedConfiguration {
  configuration: Configuration;
  /** Kept apart: a secret is another type than configuration. */
  enrolmentToken: Secret | undefined;
  /** 32 bytes in base64. */
  stateKey: Secret | undefined;
  /** Things that are probably mistakes but stop nothing. */
  warnings: readonly string[];
}

/** Flags win over the environment, the environment over the file, the file over defaults. */
export function loadConfiguration(sources: Sources): LoadedConfiguration {
  const { settings, complaints, isValid } = readSettings(sources);
  // What the schema can't see, of those settings that it has passed: one report is to hold it all.
  if (isValid('managerUrl', 'allowHttp')) checkManagerTransport(settings, complaints);
  if (isValid('capacity', 'outbox.maxResults')) checkOutboxHoldsCapacity(settings, complaints);
  const warnings = unknownVariables(sources.environment);
  const enrolmentToken = isValid('enrolmentToken', 'enrolmentTokenFile')
    ? readEnrolmentToken(settings, complaints, warnings)
    : undefined;
  const stateKey = isValid('stateKey', 'stateKeyFile') ? readStateKey(settings, complaints) : undefined;
  const taskSigningKeys = isValid('taskSigningKeysFile')
    ? readTaskSigningKeys(settings.taskSigningKeysFile, complaints)
    : undefined;
  if (complaints.length > 0) throw new ConfigurationError(complaints);

  return {
    configuration: {
      ...taskConfigurationOf(settings),
      managerUrl: settings.managerUrl.replace(/\/+$/, ''),
      tags: settings.tags.map((tag) => tag.trim()),
      hostName: hostname(),
      capacity: settings.capacity,
      outbox: settings.outbox,
      shutdownGraceMs: settings.shutdownGraceSeconds * 1_000,
      httpHost: settings.http.host,
      httpPort: settings.http.port,
      taskSigningKeys,
      requireSignedTasks: settings.requireSignedTasks,
    },
    enrolmentToken,
    stateKey,
    warnings,
  };
}

/** For settings that the schema has passed. */
export function taskConfigurationOf(settings: Settings): TaskConfiguration {
  return {
    name: settings.name.trim() === '' ? hostname() : settings.name.trim(),
    stateDir: settings.stateDir,
    secretsDir: orUndefined(settings.secretsDir),
    secretNames: Object.fromEntries(settings.secretNames),
    writableSecrets: settings.writableSecrets,
    logLevel: settings.log.level,
    logFormat: settings.log.format,
    allowLoopback: settings.allowLoopback,
  };
}

/** What `run` would work with, secrets masked, as JSON for people. Throws what `loadConfiguration` throws. */
export function printableSettings(sources: Sources): { text: string; warnings: readonly string[] } {
  const { configuration, warnings } = loadConfiguration(sources);
  const { settings } = readSettings(sources);
  const shown = {
    ...settings,
    name: configuration.name,
    enrolmentToken: masked(settings.enrolmentToken),
    stateKey: masked(settings.stateKey),
    secretNames: Object.fromEntries(settings.secretNames),
  };
  return { text: JSON.stringify(shown, null, 2), warnings };
}

function checkManagerTransport({ managerUrl, allowHttp }: Settings, complaints: string[]): void {
  const url = new URL(managerUrl);
  const loopback = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/.test(url.hostname);
  if (url.protocol === 'http:' && !loopback && !allowHttp) {
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
