import convict, { type Config } from 'convict';
import { readSettingsFile } from './file.ts';
import { readFlags, type CommandFlags, type Flags } from './flags.ts';
import { addFormats } from './formats.ts';
import { labelOf, leaves } from './leaves.ts';
import { nearestWord } from './suggestion.ts';
import { CONFIG_FILE_VARIABLE, settingsSchema, type LogLevel, type Settings } from './schema.ts';

addFormats();

export interface Sources {
  /** Command line after the command's name. */
  args: readonly string[];
  environment: Readonly<Record<string, string | undefined>>;
}

/** A setting as it stands in the schema; a nested one has a dotted key. */
export type SettingKey = {
  [K in keyof Settings]: Settings[K] extends string | number | boolean | readonly unknown[]
    ? K
    : `${K}.${keyof Settings[K] & string}`;
}[keyof Settings];

export interface RawSettings {
  /** Of the types that they claim to have only where they are valid. */
  settings: Settings;
  /** Of files and variables, and of the values of flags. */
  complaints: string[];
  /** Of flags and arguments that are none. */
  commandLineComplaints: readonly string[];
  isValid: (...keys: SettingKey[]) => boolean;
  flags: Flags;
}

export interface ReadingOptions {
  /** What the command takes beside settings. */
  command?: CommandFlags;
  /** Settings that the command has no use for: what is wrong with them is no complaint. */
  unused?: readonly SettingKey[];
  /** Of this command; every source wins over it. */
  defaultLogLevel?: LogLevel;
}

/** Flags win over the environment, the environment over the file, the file over defaults. */
export function readSettings(sources: Sources, options: ReadingOptions = {}): RawSettings {
  const { command, unused = [], defaultLogLevel } = options;
  const complaints: string[] = [];
  const commandLineComplaints: string[] = [];
  const flags = readFlags(sources.args, commandLineComplaints, command);
  const file = flags.configFile ?? sources.environment[CONFIG_FILE_VARIABLE] ?? '';
  const config = convict(settingsSchema, { env: definedOnly(sources.environment), args: [] });
  // Loading a file applies the environment once more, on top of it.
  if (defaultLogLevel !== undefined) config.load({ log: { level: defaultLogLevel } });
  if (file !== '') config.load(readSettingsFile(file, complaints));
  for (const [key, value] of flags.settings) config.set(key, value);
  const invalid = invalidSettings(config);
  const ignored: ReadonlySet<string> = new Set(unused);
  for (const [key, complaint] of invalid) {
    if (!ignored.has(key)) complaints.push(`${labelOf(key)}: ${complaint}`);
  }
  return {
    settings: config.getProperties(),
    complaints,
    commandLineComplaints,
    isValid: (...keys) => !keys.some((key) => invalid.has(key)),
    flags,
  };
}

/** A misspelt variable would be ignored in silence. Only warned about: Kubernetes injects names of its own. */
export function unknownVariables(environment: Sources['environment']): string[] {
  const known = new Set([
    CONFIG_FILE_VARIABLE,
    ...Array.from(leaves().values()).flatMap(({ env }) => env ?? []),
  ]);
  return Object.keys(environment)
    .filter(
      (name) => name.startsWith('DELEGATE_') && !name.startsWith('DELEGATE_SECRET_') && !known.has(name),
    )
    .map((name) => {
      const nearest = nearestWord(name, known);
      const advice = nearest === undefined ? '' : ` Did you mean ${nearest}?`;
      return `${name} is not a setting of this delegate; it is ignored.${advice}`;
    });
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
