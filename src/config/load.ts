import { existsSync, readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import convict, { type Config } from 'convict';
import { z } from 'zod';
import { DelegateError, systemCode } from '../kit/errors.ts';
import { MASK, Secret } from '../kit/secret.ts';
import { ed25519PublicJwkSchema, type Ed25519PublicJwk } from '../protocol/enrolment.ts';
import { readSettingsFile } from './file.ts';
import { readFlags } from './flags.ts';
import { addFormats } from './formats.ts';
import { labelOf, leaves } from './leaves.ts';
import {
  CONFIG_FILE_VARIABLE,
  settingsSchema,
  type LogFormat,
  type LogLevel,
  type Settings,
} from './schema.ts';

addFormats();

export { settingsReference } from './leaves.ts';

/** Everything that `run` needs to know, checked; no field is optional, and no secret is among them. */
export interface Configuration {
  /** Without a trailing slash. */
  managerUrl: string;
  name: string;
  tags: readonly string[];
  hostName: string;
  stateDir: string;
  capacity: number;
  outbox: { readonly maxResults: number; readonly maxBytes: number };
  shutdownGraceMs: number;
  httpHost: string;
  httpPort: number;
  secretsDir: string | undefined;
  secretNames: Readonly<Record<string, string>>;
  logLevel: LogLevel;
  logFormat: LogFormat;
  allowLoopback: boolean;
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

export interface Sources {
  /** Command line after the command's name. */
  args: readonly string[];
  environment: Readonly<Record<string, string | undefined>>;
}

/** Every complaint in one report, each naming the setting. Exit code 2 belongs to it. */
export class ConfigurationError extends DelegateError {
  readonly complaints: readonly string[];

  /** @param hint where its reader finds what is accepted */
  constructor(
    complaints: readonly string[],
    hint: string = 'servicenow-delegate config --help lists every setting.',
  ) {
    const distinct = [...new Set(complaints)];
    super(
      'configuration-invalid',
      `The configuration is not valid:\n${distinct.map((complaint) => `  - ${complaint}`).join('\n')}`,
      { category: 'invalid-input', hint },
    );
    this.complaints = distinct;
  }
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

  const hostName = hostname();
  return {
    configuration: {
      managerUrl: settings.managerUrl.replace(/\/+$/, ''),
      name: settings.name.trim() === '' ? hostName : settings.name.trim(),
      tags: settings.tags.map((tag) => tag.trim()),
      hostName,
      stateDir: settings.stateDir,
      capacity: settings.capacity,
      outbox: settings.outbox,
      shutdownGraceMs: settings.shutdownGraceSeconds * 1_000,
      httpHost: settings.http.host,
      httpPort: settings.http.port,
      secretsDir: orUndefined(settings.secretsDir),
      secretNames: Object.fromEntries(settings.secretNames),
      logLevel: settings.log.level,
      logFormat: settings.log.format,
      allowLoopback: settings.allowLoopback,
      taskSigningKeys,
      requireSignedTasks: settings.requireSignedTasks,
    },
    enrolmentToken,
    stateKey,
    warnings,
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

/** A nested setting has a dotted key. */
type LeafKey = keyof Settings | 'outbox.maxResults';

interface RawSettings {
  /** Of the types that they claim to have only where they are valid. */
  settings: Settings;
  complaints: string[];
  isValid: (...keys: LeafKey[]) => boolean;
}

function readSettings(sources: Sources): RawSettings {
  const complaints: string[] = [];
  const flags = readFlags(sources.args, complaints);
  const file = flags.configFile ?? sources.environment[CONFIG_FILE_VARIABLE] ?? '';
  const config = convict(settingsSchema, { env: definedOnly(sources.environment), args: [] });
  // Loading a file applies the environment once more, on top of it.
  if (file !== '') config.load(readSettingsFile(file, complaints));
  for (const [key, value] of flags.settings) config.set(key, value);
  const invalid = invalidSettings(config);
  for (const [key, complaint] of invalid) complaints.push(`${labelOf(key)}: ${complaint}`);
  return {
    settings: config.getProperties(),
    complaints,
    isValid: (...keys) => !keys.some((key) => invalid.has(key)),
  };
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

const STATE_KEY_BYTES = 32;

/** Unlike an enrolment token, it is needed at each start: a file that is gone is a mistake. */
function readStateKey(settings: Settings, complaints: string[]): Secret | undefined {
  const { stateKey, stateKeyFile } = settings;
  if (stateKey !== '' && stateKeyFile !== '') {
    complaints.push('stateKey: give either DELEGATE_STATE_KEY or DELEGATE_STATE_KEY_FILE, not both');
    return undefined;
  }
  if (stateKey === '' && stateKeyFile === '') return undefined;
  const setting = stateKeyFile === '' ? 'stateKey' : 'stateKeyFile';
  const text = stateKeyFile === '' ? stateKey : readText('stateKeyFile', stateKeyFile, complaints);
  if (text === undefined) return undefined;
  const bytes = keyBytes(text.trim());
  if (bytes !== undefined) return new Secret(bytes.toString('base64'));
  complaints.push(
    `${labelOf(setting)}: must be ${STATE_KEY_BYTES} random bytes in base64 or hex, for example from openssl rand -base64 ${STATE_KEY_BYTES}`,
  );
  return undefined;
}

/** Undefined unless it is the right number of bytes in one of the usual spellings. */
function keyBytes(text: string): Buffer | undefined {
  const bytes = /^[0-9a-f]{64}$/i.test(text)
    ? Buffer.from(text, 'hex')
    : /^[A-Za-z0-9+/_-]{43}=?$/.test(text)
      ? Buffer.from(text, 'base64')
      : undefined;
  return bytes?.length === STATE_KEY_BYTES ? bytes : undefined;
}

function masked(value: string): string {
  return value === '' ? '' : MASK;
}

/** A file that is gone is only worth a warning: operators remove the token once the delegate has enrolled. */
function readEnrolmentToken(
  settings: Settings,
  complaints: string[],
  warnings: string[],
): Secret | undefined {
  if (settings.enrolmentTokenFile === '') {
    const token = settings.enrolmentToken.trim();
    return token === '' ? undefined : new Secret(token);
  }
  if (settings.enrolmentToken !== '') {
    complaints.push(
      'enrolmentToken: give either DELEGATE_ENROLMENT_TOKEN or DELEGATE_ENROLMENT_TOKEN_FILE, not both',
    );
    return undefined;
  }
  if (!existsSync(settings.enrolmentTokenFile)) {
    warnings.push(
      `${labelOf('enrolmentTokenFile')}: there is no such file; without it the delegate can't enrol.`,
    );
    return undefined;
  }
  const token = readText('enrolmentTokenFile', settings.enrolmentTokenFile, complaints)?.trim();
  if (token === '') complaints.push(`${labelOf('enrolmentTokenFile')}: the file is empty`);
  return token === undefined || token === '' ? undefined : new Secret(token);
}

const jwkSetSchema = z.object({ keys: z.array(ed25519PublicJwkSchema).min(1).max(16) });

function readTaskSigningKeys(path: string, complaints: string[]): readonly Ed25519PublicJwk[] | undefined {
  if (path === '') return undefined;
  const text = readText('taskSigningKeysFile', path, complaints);
  if (text === undefined) return undefined;
  try {
    return jwkSetSchema.parse(JSON.parse(text)).keys;
  } catch {
    complaints.push(`${labelOf('taskSigningKeysFile')}: the file is not a JWK set of public Ed25519 keys`);
    return undefined;
  }
}

/** The path is not quoted: a token given where its file belongs would be. */
function readText(setting: keyof Settings, path: string, complaints: string[]): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (thrown) {
    complaints.push(`${labelOf(setting)}: the file cannot be read (${systemCode(thrown) ?? 'unknown'})`);
    return undefined;
  }
}

/** A misspelt variable would be ignored in silence. Only warned about: Kubernetes injects names of its own. */
function unknownVariables(environment: Sources['environment']): string[] {
  const known = new Set([CONFIG_FILE_VARIABLE, ...Array.from(leaves().values(), (leaf) => leaf.env)]);
  return Object.keys(environment)
    .filter(
      (name) => name.startsWith('DELEGATE_') && !name.startsWith('DELEGATE_SECRET_') && !known.has(name),
    )
    .map((name) => `${name} is not a setting of this delegate; it is ignored.`);
}

/**
 * convict's complaints by their keys, without the values that convict adds: what is wrong with one may be that it
 * is a secret in the wrong place.
 */
function invalidSettings(config: Config<Settings>): ReadonlyMap<string, string> {
  try {
    config.validate({ allowed: 'strict' });
    return new Map();
  } catch (thrown) {
    if (!(thrown instanceof Error)) throw thrown;
    return new Map(
      thrown.message.split('\n').map((line) => {
        const [, key = 'settings', complaint = 'are not valid'] =
          /^([\w.]+): (.*?)(?:: value was .*)?$/s.exec(line) ?? [];
        return [key, complaint];
      }),
    );
  }
}

function definedOnly(environment: Sources['environment']): Record<string, string> {
  return Object.fromEntries(
    Object.entries(environment).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}

function orUndefined(text: string): string | undefined {
  return text === '' ? undefined : text;
}
