import { parseArgs, type ParseArgsConfig } from 'node:util';
import { leaves } from './leaves.ts';
import { CONFIG_FILE_FLAG } from './schema.ts';

export interface Flags {
  /** Setting and its text, in the order of the command line; the last of two wins. */
  settings: readonly (readonly [key: string, value: string])[];
  configFile: string | undefined;
}

/**
 * The flags, read here rather than by convict: its parser ignores a flag that nobody knows, strips quotes, and
 * makes `1000` of a name that reads `1e3`. Values are not quoted in a complaint, since one may be a secret.
 */
export function readFlags(args: readonly string[], complaints: string[]): Flags {
  const keys = new Map<string, { key: string | undefined; isSwitch: boolean }>([
    [CONFIG_FILE_FLAG, { key: undefined, isSwitch: false }],
  ]);
  for (const [key, { arg, format }] of leaves()) {
    if (arg !== undefined) keys.set(arg, { key, isSwitch: format === 'flag' });
  }
  const options: NonNullable<ParseArgsConfig['options']> = Object.fromEntries(
    Array.from(keys, ([flag, { isSwitch }]) => [flag, { type: isSwitch ? 'boolean' : 'string' }] as const),
  );
  // Not strict: it would stop at the first mistake, and the report is to have them all.
  const { tokens } = parseArgs({ args: [...args], options, strict: false, tokens: true });

  const settings: [key: string, value: string][] = [];
  let configFile: string | undefined;
  for (const token of tokens) {
    // What follows a flag that nobody knows is most likely its value.
    if (token.kind === 'positional' && complaints.length === 0) {
      complaints.push('There is an argument that belongs to no flag; write --flag=value.');
    }
    if (token.kind !== 'option') continue;
    const known = keys.get(token.name);
    const value = token.value ?? (known?.isSwitch === true ? 'true' : undefined);
    if (known === undefined) {
      complaints.push(`${token.rawName}: there is no such flag`);
    } else if (value === undefined) {
      complaints.push(`${token.rawName}: needs a value`);
    } else if (token.inlineValue === false && value.startsWith('-')) {
      complaints.push(
        `${token.rawName}: needs a value; write ${token.rawName}=… for one that begins with "-"`,
      );
    } else if (known.key === undefined) {
      configFile = value;
    } else {
      settings.push([known.key, value]);
    }
  }
  return { settings, configFile };
}
