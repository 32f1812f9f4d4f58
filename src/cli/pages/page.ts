import type { FlagKind } from '../../config/flags.ts';

/**
 * What a command is, takes and answers. Help, shell completion and the command itself read it from here, so that none of
 * them knows a flag that another does not.
 */
export interface Page {
  /** In the list of commands: what it is for, in a few words. */
  readonly summary: string;
  /** Each way to call it, without the name of the program. */
  readonly usage: readonly [string, ...string[]];
  /** Paragraphs. */
  readonly about: readonly string[];
  /** Its own, by name; left out, it has none. */
  readonly flags?: Readonly<Record<string, FlagPage>>;
  /**
   * Which settings of the delegate it takes as flags, too: all, and its help lists them; all; those that no delegate in
   * service needs; or those that stand among `flags`. Left out, none.
   */
  readonly settings?: 'explained' | 'all' | 'local' | 'listed';
  readonly exitCodes?: readonly ExitCode[];
  /** Lines to type. A test reads each with the parser of the command. */
  readonly examples: readonly [string, ...string[]];
  /** Where there is more, from the folder of the product. */
  readonly readOn: readonly string[];
  /** What the argument is that belongs to no flag, for completion; words are those that it may be. */
  readonly operand?: Operand;
  /** By name; a command that has some is never called without. */
  readonly subcommands?: Readonly<Record<string, SubcommandPage>>;
}

export interface SubcommandPage {
  readonly operand?: Operand;
  /** Left out, it takes those of its command. */
  readonly takesSettings?: false;
}

export type Operand = 'file' | readonly string[];

type ExitCode = readonly [code: number, means: string];

export interface FlagPage {
  /** A setting is one of the delegate's own that is worth a line here. */
  readonly kind: FlagKind | 'setting';
  /** What stands for its value; FILE and FOLDER are completed. */
  readonly value?: string;
  readonly doc: string;
  /** The subcommands that take it; left out, all do. */
  readonly for?: readonly string[];
}

/** The command's own flags as its parser takes them, or those of one of its subcommands. */
export function flagKinds({ flags = {} }: Page, subcommand?: string): Readonly<Record<string, FlagKind>> {
  return Object.fromEntries(
    Object.entries(flags).flatMap(([name, flag]): [string, FlagKind][] => {
      const isTaken = subcommand === undefined || flag.for === undefined || flag.for.includes(subcommand);
      return flag.kind === 'setting' || !isTaken ? [] : [[name, flag.kind]];
    }),
  );
}

/** The last line of a complaint about what was typed. */
export function hintOf(command: string): string {
  return `servicenow-delegate ${command} --help shows what it takes, with examples.`;
}
