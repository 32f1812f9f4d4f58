import { leaves, valuesOf } from '../../config/leaves.ts';
import { CONFIG_FILE_FLAG } from '../../config/schema.ts';
import { PAGES } from '../pages/index.ts';
import type { FlagPage, Operand, Page } from '../pages/page.ts';

/** What a flag takes: nothing, one of some words, a file, a folder, or a text that nobody can guess. */
export type Taken = 'nothing' | 'file' | 'folder' | 'text' | readonly string[];

export interface CompletedFlag {
  /** Without its dashes. */
  readonly name: string;
  readonly doc: string;
  readonly takes: Taken;
  /** Its value stands behind "=" or is left out: true or false. */
  readonly isSwitch: boolean;
}

/** What may follow a command, or a command and its subcommand. */
export interface CompletedCommand {
  /** `['policy', 'check']` */
  readonly path: readonly [string, ...string[]];
  readonly flags: readonly CompletedFlag[];
  /** Beside its flags, `CompletionTable.settings`. */
  readonly takesSettings: boolean;
  /** `undefined`: no argument, or one that nobody can guess. */
  readonly operand: Operand | undefined;
}

export interface CompletionTable {
  readonly commands: readonly CompletionChoice[];
  /** Of a command that is never called without. */
  readonly subcommands: ReadonlyMap<string, readonly string[]>;
  readonly completed: readonly CompletedCommand[];
  /** The flags of the delegate's settings. */
  readonly settings: readonly CompletedFlag[];
}

interface CompletionChoice {
  readonly name: string;
  readonly summary: string;
}

const HELP_FLAG: CompletedFlag = {
  name: 'help',
  doc: 'what the command does, takes and answers',
  takes: 'nothing',
  isSwitch: false,
};

/** All that can be completed, from what the commands' pages and the settings' schema say. */
export function completionTable(): CompletionTable {
  const pages = [...PAGES];
  const subcommandsOf = ({ subcommands = {} }: Page): string[] => Object.keys(subcommands);
  return {
    commands: [
      ...pages.map(([name, { summary }]) => ({ name, summary })),
      { name: 'help', summary: 'every command in a line' },
    ],
    subcommands: new Map(
      pages.flatMap(([name, page]) => {
        const names = subcommandsOf(page);
        return names.length === 0 ? [] : [[name, names] as const];
      }),
    ),
    completed: [
      ...pages.flatMap(([name, page]): CompletedCommand[] => {
        if (page.subcommands === undefined) {
          return [{ path: [name], ...flagsOf(page), operand: page.operand }];
        }
        return Object.entries(page.subcommands).map(([subcommand, { operand, takesSettings }]) => ({
          path: [name, subcommand],
          ...flagsOf(takesSettings === false ? { ...page, settings: 'listed' } : page, subcommand),
          operand,
        }));
      }),
      { path: ['help'], flags: [], takesSettings: false, operand: pages.map(([name]) => name) },
    ],
    settings: settingFlags(),
  };
}

function flagsOf(page: Page, subcommand?: string): Pick<CompletedCommand, 'flags' | 'takesSettings'> {
  const takesSettings = page.settings !== undefined && page.settings !== 'listed';
  const own = Object.entries(page.flags ?? {})
    .filter(([, { for: takers }]) => subcommand === undefined || takers?.includes(subcommand) !== false)
    // Where all settings are, those that have a line of their own are among them.
    .filter(([, { kind }]) => !takesSettings || kind !== 'setting')
    .map(([name, flag]) => ownFlag(name, flag));
  return { flags: [...own, HELP_FLAG], takesSettings };
}

function ownFlag(name: string, { kind, value, doc }: FlagPage): CompletedFlag {
  if (kind === 'switch') return { name, doc, takes: 'nothing', isSwitch: false };
  return {
    name,
    doc,
    takes: value === 'FILE' ? 'file' : value === 'FOLDER' ? 'folder' : 'text',
    isSwitch: false,
  };
}

function settingFlags(): CompletedFlag[] {
  const flags = Array.from(leaves().values()).flatMap((leaf): CompletedFlag[] => {
    const { arg: name, doc = '' } = leaf;
    if (name === undefined) return [];
    const takes = valuesOf(leaf) ?? pathOrText(name);
    return [{ name, doc: firstSentence(doc), takes, isSwitch: leaf.format === 'flag' }];
  });
  const file: CompletedFlag = {
    name: CONFIG_FILE_FLAG,
    doc: 'file with settings',
    takes: 'file',
    isSwitch: false,
  };
  return [...flags, file];
}

/** The names of the settings say what they hold. */
function pathOrText(flag: string): Taken {
  return flag.endsWith('-file') ? 'file' : flag.endsWith('-dir') ? 'folder' : 'text';
}

function firstSentence(text: string): string {
  return /^.*?\.(?= |$)/.exec(text)?.[0].slice(0, -1) ?? text;
}
