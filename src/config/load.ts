import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { parseArgs, type ParseArgsConfig } from 'node:util';
import convict, { type Config } from 'convict';
import { parse as parseYaml } from 'yaml';
import { z } from 'zod';
import { DelegateError, systemCode } from '../kit/errors.ts';
import { MASK, Secret } from '../kit/secret.ts';
import { ed25519PublicJwkSchema, type Ed25519PublicJwk } from '../protocol/enrolment.ts';
import { addFormats } from './formats.ts';
import {
  CONFIG_FILE_FLAG,
  CONFIG_FILE_VARIABLE,
  settingsSchema,
  type LogFormat,
  type LogLevel,
  type Settings,
} from './schema.ts';

addFormats();

/** Everything that `run` needs to know, checked; no field is optional, and no secret is among them. */
export interface Configuration {
  /** Without a trailing slash. */
  managerUrl: string;
  name: string;
  tags: readonly string[];
  hostName: string;
  stateDir: string;
  capacity: number;
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

  constructor(complaints: readonly string[]) {
    super(
      'configuration-invalid',
      `The configuration is not valid:\n${complaints.map((c) => `  - ${c}`).join('\n')}`,
      {
        category: 'invalid-input',
        hint: 'servicenow-delegate config --help lists every setting.',
      },
    );
    this.complaints = complaints;
  }
}

/** Flags win over the environment, the environment over the file, the file over defaults. */
export function loadConfiguration(sources: Sources): LoadedConfiguration {
  const { config, complaints } = readSettings(sources);
  const settings = config.getProperties();
  if (complaints.length > 0) throw new ConfigurationError(complaints);

  const managerUrl = settings.managerUrl.replace(/\/+$/, '');
  checkManagerTransport(managerUrl, settings.allowHttp, complaints);
  const enrolmentToken = readEnrolmentToken(settings, complaints);
  const taskSigningKeys = readTaskSigningKeys(settings.taskSigningKeysFile, complaints);
  if (complaints.length > 0) throw new ConfigurationError(complaints);

  const hostName = hostname();
  return {
    configuration: {
      managerUrl,
      name: settings.name.trim() === '' ? hostName : settings.name.trim(),
      tags: settings.tags.map((tag) => tag.trim()),
      hostName,
      stateDir: settings.stateDir,
      capacity: settings.capacity,
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
    warnings: unknownVariables(sources.environment),
  };
}

/** The effective settings for people, secrets masked, as text of nested `key: value` JSON. */
export function printableSettings(sources: Sources): string {
  const { config, complaints } = readSettings(sources);
  if (complaints.length > 0) throw new ConfigurationError(complaints);
  const settings = config.getProperties();
  const shown = {
    ...settings,
    enrolmentToken: settings.enrolmentToken === '' ? '' : MASK,
    secretNames: Object.fromEntries(settings.secretNames),
  };
  return JSON.stringify(shown, null, 2);
}

/** One line for each setting: key, variable, flag, default, meaning. */
export function settingsReference(): {
  key: string;
  env: string;
  flag: string;
  fallback: string;
  doc: string;
}[] {
  return leaves().map(([key, leaf]) => ({
    key,
    env: leaf.env ?? '',
    flag: leaf.arg === undefined ? '' : `--${leaf.arg}`,
    fallback: JSON.stringify(leaf.default),
    doc: leaf.doc ?? '',
  }));
}

function readSettings(sources: Sources): { config: Config<Settings>; complaints: string[] } {
  const complaints: string[] = [];
  const flags = readFlags(sources.args, complaints);
  const config = convict(settingsSchema, {
    env: definedOnly(sources.environment),
    args: flags.args,
  });
  const file = flags.configFile ?? sources.environment[CONFIG_FILE_VARIABLE];
  if (file !== undefined && file !== '') {
    const contents = readFile(file, complaints);
    if (contents !== undefined) config.load(contents);
  }
  try {
    config.validate({ allowed: 'strict' });
  } catch (invalid) {
    complaints.push(...readable(invalid instanceof Error ? invalid.message : String(invalid)));
  }
  return { config, complaints };
}

/** Strict about flags before convict sees them: it ignores those that it doesn't know. */
function readFlags(
  args: readonly string[],
  complaints: string[],
): { args: string[]; configFile: string | undefined } {
  const options: NonNullable<ParseArgsConfig['options']> = { [CONFIG_FILE_FLAG]: { type: 'string' } };
  for (const [, leaf] of leaves()) {
    if (leaf.arg !== undefined) options[leaf.arg] = { type: leaf.format === 'flag' ? 'boolean' : 'string' };
  }
  try {
    const { values } = parseArgs({ args: [...args], options, strict: true, allowPositionals: false });
    const { [CONFIG_FILE_FLAG]: configFile, ...rest } = values;
    return {
      // Always --flag=value, so that a value beginning with a dash stays a value.
      args: Object.entries(rest).map(([flag, value]) => `--${flag}=${String(value)}`),
      configFile: typeof configFile === 'string' ? configFile : undefined,
    };
  } catch (invalid) {
    complaints.push(invalid instanceof Error ? (invalid.message.split('. ')[0] ?? 'flags') : 'flags');
    return { args: [], configFile: undefined };
  }
}

function readFile(path: string, complaints: string[]): Record<string, unknown> | undefined {
  try {
    const contents: unknown = parseYaml(readFileSync(path, 'utf8'));
    const parsed = z.record(z.string(), z.unknown()).nullable().safeParse(contents);
    if (!parsed.success) {
      complaints.push(`${path}: must be a mapping of settings`);
      return undefined;
    }
    const { secretNames, ...rest } = parsed.data ?? {};
    if (secretNames === undefined) return rest;
    const isMapping = typeof secretNames === 'object' && secretNames !== null && !Array.isArray(secretNames);
    return { ...rest, secretNames: isMapping ? Object.entries(secretNames) : secretNames };
  } catch (thrown) {
    const code = systemCode(thrown);
    complaints.push(
      code === 'ENOENT'
        ? `${path}: the configuration file does not exist`
        : `${path}: cannot be read as YAML or JSON (${code ?? 'syntax error'})`,
    );
    return undefined;
  }
}

function checkManagerTransport(managerUrl: string, allowHttp: boolean, complaints: string[]): void {
  const url = new URL(managerUrl);
  const loopback = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/.test(url.hostname);
  if (url.protocol === 'http:' && !loopback && !allowHttp) {
    complaints.push(
      'managerUrl (DELEGATE_MANAGER_URL): plain http is refused beyond loopback; use https, or accept the risk with DELEGATE_ALLOW_HTTP=true',
    );
  }
}

function readEnrolmentToken(settings: Settings, complaints: string[]): Secret | undefined {
  if (settings.enrolmentTokenFile === '') {
    const token = settings.enrolmentToken.trim();
    return token === '' ? undefined : new Secret(token);
  }
  if (settings.enrolmentToken !== '') {
    complaints.push(
      'enrolmentToken: give DELEGATE_ENROLMENT_TOKEN or DELEGATE_ENROLMENT_TOKEN_FILE, not both',
    );
    return undefined;
  }
  const token = readSmallFile(settings.enrolmentTokenFile, 'enrolmentTokenFile', complaints)?.trim();
  if (token === '') complaints.push(`enrolmentTokenFile: ${settings.enrolmentTokenFile} is empty`);
  return token === undefined || token === '' ? undefined : new Secret(token);
}

const jwkSetSchema = z.object({ keys: z.array(ed25519PublicJwkSchema).min(1).max(16) });

function readTaskSigningKeys(path: string, complaints: string[]): readonly Ed25519PublicJwk[] | undefined {
  if (path === '') return undefined;
  const text = readSmallFile(path, 'taskSigningKeysFile', complaints);
  if (text === undefined) return undefined;
  try {
    return jwkSetSchema.parse(JSON.parse(text)).keys;
  } catch {
    complaints.push(`taskSigningKeysFile: ${path} is not a JWK set of public Ed25519 keys`);
    return undefined;
  }
}

function readSmallFile(path: string, setting: string, complaints: string[]): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (thrown) {
    complaints.push(`${setting}: ${path} cannot be read (${systemCode(thrown) ?? 'unknown'})`);
    return undefined;
  }
}

/** A misspelt variable would be ignored in silence. Only warned about: Kubernetes injects names of its own. */
function unknownVariables(environment: Sources['environment']): string[] {
  const known = new Set([CONFIG_FILE_VARIABLE, ...leaves().map(([, leaf]) => leaf.env)]);
  return Object.keys(environment)
    .filter(
      (name) => name.startsWith('DELEGATE_') && !name.startsWith('DELEGATE_SECRET_') && !known.has(name),
    )
    .map((name) => `${name} is not a setting of this delegate; it is ignored.`);
}

interface Leaf {
  doc?: string;
  env?: string;
  arg?: string;
  format?: unknown;
  default: unknown;
}

function leaves(): [key: string, leaf: Leaf][] {
  return Object.entries(settingsSchema).flatMap(([key, node]) =>
    isLeaf(node)
      ? [[key, node] satisfies [string, Leaf]]
      : Object.entries(node).flatMap(([inner, leaf]: [string, unknown]) =>
          isLeaf(leaf) ? [[`${key}.${inner}`, leaf] satisfies [string, Leaf]] : [],
        ),
  );
}

function isLeaf(node: unknown): node is Leaf {
  return typeof node === 'object' && node !== null && 'default' in node;
}

/** convict's report, with the variable's name beside the key that its reader may never have seen. */
function readable(report: string): string[] {
  const variables = new Map(leaves().map(([key, leaf]) => [key, leaf.env]));
  return report.split('\n').map((line) => {
    const undeclared = /^configuration param '(.+)' not declared in the schema$/.exec(line);
    if (undeclared !== null) return `${undeclared[1]}: there is no such setting`;
    const [, key = '', rest = ''] = /^([\w.]+): (.*)$/.exec(line) ?? [];
    const variable = variables.get(key);
    return variable === undefined ? line : `${key} (${variable}): ${rest}`;
  });
}

function definedOnly(environment: Sources['environment']): Record<string, string> {
  return Object.fromEntries(
    Object.entries(environment).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}

function orUndefined(text: string): string | undefined {
  return text === '' ? undefined : text;
}
