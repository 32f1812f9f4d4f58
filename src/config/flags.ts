import { parseArgs, type ParseArgsConfig } from 'node:util';
import { leaves } from './leaves.ts';
import { CONFIG_FILE_FLAG } from './schema.ts';
import { meant } from './suggestion.ts';

export interface Flags {
  /** Setting and its text, in the order of the command line; the last of two wins. */
  settings: readonly (readonly [key: string, value: string])[];
  configFile: string | undefined;
  /** The command's own flags that were given, each with a value of its kind; 'true' of a switch. */
  own: ReadonlyMap<string, string>;
  /** Undefined only with a complaint, or for a command that takes none. */
  operand: string | undefined;
  /** Every one that was given: more than one only for a command that takes several. */
  operands: readonly string[];
}

/** A whole number of seconds has a range. */
export type FlagKind = 'switch' | 'text' | { readonly leastSeconds: number; readonly mostSeconds: number };

/** What one command takes beside settings. */
export interface CommandFlags {
  readonly flags: Readonly<Record<string, FlagKind>>;
  /** What the one argument is that belongs to no flag, for complaints; left out, there is none. */
  readonly operand?: string;
  /** Default: that one argument, no more and no less. */
  readonly operands?: 'any';
}

/**
 * The flags, read here rather than by convict: its parser ignores a flag that nobody knows, strips quotes, and
 * makes `1000` of a name that reads `1e3`. Values are not quoted in a complaint, since one may be a secret.
 */
export function readFlags(args: readonly string[], complaints: string[], command?: CommandFlags): Flags {
  const known = knownFlags(command);
  const options: NonNullable<ParseArgsConfig['options']> = Object.fromEntries(
    Array.from(
      known,
      ([flag, { kind }]) => [flag, { type: kind === 'switch' ? 'boolean' : 'string' }] as const,
    ),
  );
  // Not strict: it would stop at the first mistake, and the report is to have them all.
  const { tokens } = parseArgs({ args: [...args], options, strict: false, tokens: true });

  const settings: [key: string, value: string][] = [];
  const own = new Map<string, string>();
  const operands: string[] = [];
  let configFile: string | undefined;
  for (const token of tokens) {
    if (token.kind === 'positional') operands.push(token.value);
    if (token.kind !== 'option') continue;
    const flag = known.get(token.name);
    const value = token.value ?? (flag?.kind === 'switch' ? 'true' : undefined);
    if (flag === undefined) {
      complaints.push(`${token.rawName}: there is no such flag${adviceFor(token.name, known)}`);
    } else if (value === undefined) {
      complaints.push(`${token.rawName}: needs a value`);
    } else if (token.inlineValue === false && value.startsWith('-')) {
      complaints.push(
        `${token.rawName}: needs a value; write ${token.rawName}=… for one that begins with "-"`,
      );
    } else if (flag.sets === 'setting') {
      settings.push([flag.key, value]);
    } else if (flag.sets === 'file') {
      configFile = value;
    } else {
      const complaint = wrongValue(value, flag.kind);
      if (complaint === undefined) own.set(token.name, value);
      else complaints.push(`${token.rawName}: ${complaint}`);
    }
  }
  checkOperands(operands, complaints, command);
  return { settings, configFile, own, operand: operands[0], operands };
}

function adviceFor(name: string, known: ReadonlyMap<string, KnownFlag>): string {
  const switchedOff = name.startsWith('no-') ? name.slice('no-'.length) : '';
  const { sets, kind } = known.get(switchedOff) ?? {};
  if (sets === 'setting' && kind === 'switch') return `; write --${switchedOff}=false`;
  return meant(name, known.keys(), '--');
}

type KnownFlag = { readonly kind: FlagKind } & (
  { readonly sets: 'own' | 'file' } | { readonly sets: 'setting'; readonly key: string }
);

function knownFlags(command: CommandFlags | undefined): ReadonlyMap<string, KnownFlag> {
  const known = new Map<string, KnownFlag>([[CONFIG_FILE_FLAG, { kind: 'text', sets: 'file' }]]);
  for (const [key, { arg, format }] of leaves()) {
    if (arg !== undefined)
      known.set(arg, { kind: format === 'flag' ? 'switch' : 'text', sets: 'setting', key });
  }
  for (const [flag, kind] of Object.entries(command?.flags ?? {})) known.set(flag, { kind, sets: 'own' });
  return known;
}

function wrongValue(value: string, kind: FlagKind): string | undefined {
  if (kind === 'switch') return value === 'true' ? undefined : 'takes no value';
  if (kind === 'text') return value === '' ? 'must not be empty' : undefined;
  const { leastSeconds, mostSeconds } = kind;
  const seconds = /^\d{1,9}$/.test(value) ? Number(value) : Number.NaN;
  if (seconds >= leastSeconds && seconds <= mostSeconds) return undefined;
  return `must be a whole number of seconds from ${leastSeconds} to ${mostSeconds}`;
}

function checkOperands(operands: readonly string[], complaints: string[], command?: CommandFlags): void {
  // What follows a flag that nobody knows is most likely its value.
  if (complaints.length > 0 || command?.operands === 'any') return;
  if (command?.operand === undefined) {
    if (operands.length > 0) {
      complaints.push('There is an argument that belongs to no flag; write --flag=value.');
    }
  } else if (operands.length === 0) {
    complaints.push(`${command.operand} is missing`);
  } else if (operands.length > 1) {
    complaints.push(`There is one argument too many beside ${command.operand}; write --flag=value.`);
  }
}
