import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { PAGES } from '../../src/cli/pages/index.ts';
import { flagKinds } from '../../src/cli/pages/page.ts';
import { readFlags } from '../../src/config/flags.ts';
import { leaves } from '../../src/config/leaves.ts';
import { CONFIG_FILE_VARIABLE } from '../../src/config/schema.ts';
import { pages, ROOT } from './commands/statements.ts';

/** Everything between single backticks, with its page. */
const spans = pages().flatMap(({ name, text }) =>
  Array.from(
    text.replaceAll(/^[ \t]*```[\s\S]*?^[ \t]*```$/gm, '').matchAll(/`([^`\n]+)`/g),
    ([, span = '']) => ({
      name,
      span,
    }),
  ),
);

/** Folders of this repository that pages speak of by their names. */
const IN_THE_REPOSITORY = /^(?:src|docs|config|examples|deploy|scripts|test)\/[\w./-]*$/;
/** Where the reader of docs/writing-a-connector.md is to put their own. */
const YET_TO_BE = /^(?:src|test)\/connectors\/desk\//;
/** Variables that are no settings: of secrets by their names, and of files in `deploy/`. */
const NO_SETTING = /^DELEGATE_(?:SECRET_|IMAGE$)/;

describe('what the documents name', () => {
  it('are settings that there are', () => {
    const settings = new Set([
      CONFIG_FILE_VARIABLE,
      ...[...leaves().values()].flatMap(({ env }) => env ?? []),
    ]);
    const managerSettings = readFileSync(join(ROOT, 'src/config/manager-settings.ts'), 'utf8');
    const unknown = pages().flatMap(({ name, text }) =>
      Array.from(text.matchAll(/\b(?:DELEGATE|MANAGER)_[A-Z0-9_]*[A-Z0-9]\b/g), ([variable]) => variable)
        .filter((variable) => !NO_SETTING.test(variable) && !settings.has(variable))
        .filter((variable) => !managerSettings.includes(`  ${variable}: `))
        .map((variable) => `${name}: ${variable}`),
    );
    expect(unknown).to.deep.equal([]);
  });

  it('are files that there are', () => {
    const named = spans.filter(({ span }) => IN_THE_REPOSITORY.test(span) && !YET_TO_BE.test(span));
    expect(named).to.not.equal([]);
    const missing = named.filter(({ span }) => !existsAnywhere(span));
    expect(missing.map(({ name, span }) => `${name}: ${span}`)).to.deep.equal([]);
  });

  it('are commands and flags that there are', () => {
    const wrong = spans.flatMap(({ name, span }) => {
      const [, words] = /^servicenow-delegate ([a-z].*)$/.exec(span) ?? [];
      return words === undefined
        ? []
        : complaintsOf(words.split(/\s+/)).map((why) => `${name}: ${span}: ${why}`);
    });
    expect(wrong).to.deep.equal([]);
  });
});

/** From the root, or from `src/`, as the picture of the floors has it. */
function existsAnywhere(path: string): boolean {
  return existsSync(join(ROOT, path)) || existsSync(join(ROOT, 'src', path));
}

function complaintsOf([command = '', ...args]: readonly string[]): string[] {
  const page = PAGES.get(command);
  if (page === undefined) return ['there is no such command'];
  const subcommand = Object.keys(page.subcommands ?? {}).find((name) => name === args[0]);
  const complaints: string[] = [];
  const flags = args.filter((word) => /^--(?!help$)/.test(word)).map((flag) => flag.replace(/=?…$/, '=1'));
  readFlags(flags, complaints, { flags: flagKinds(page, subcommand) });
  // A flag that stands alone in a sentence has no value, and needs none there.
  return complaints.filter((complaint) => complaint.includes('there is no such flag'));
}
