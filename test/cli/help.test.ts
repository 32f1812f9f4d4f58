import { existsSync, readFileSync } from 'node:fs';
import { expect } from 'chai';
import { generalHelp, helpOf } from '../../src/cli/help.ts';
import { CHAPTERS, PAGES } from '../../src/cli/pages/index.ts';
import { flagKinds, type Page } from '../../src/cli/pages/page.ts';
import { widthOf } from '../../src/cli/report/layout.ts';
import { readFlags } from '../../src/config/flags.ts';
import { leaves } from '../../src/config/leaves.ts';
import { settingsReference } from '../../src/config/load.ts';
import { colourTerminal, plainTerminal } from './support.ts';

const ROOT = new URL('../../', import.meta.url);
const localUse = readFileSync(new URL('docs/local-use.md', ROOT), 'utf8');
const WIDE = plainTerminal(120);

/** What the shell would hand to the program, of a line that may have variables, a pipe and a redirection. */
function argumentsIn(line: string): string[] {
  const [, text = ''] = /(?:^|[ (])servicenow-delegate ([^|<>&)]*)/.exec(line) ?? [];
  return text.trim().split(/\s+/);
}

/** The complaints of the parser that the command itself uses. */
function complaintsOf(name: string, page: Page, args: readonly string[]): string[] {
  const { subcommands = {} } = page;
  const [first = ''] = args;
  const subcommand = Object.hasOwn(subcommands, first) ? first : undefined;
  if (page.subcommands !== undefined && subcommand === undefined) return [`${name} needs a subcommand`];
  const complaints: string[] = [];
  readFlags(
    args.slice(subcommand === undefined ? 0 : 1).filter((word) => /^-./.test(word)),
    complaints,
    { flags: flagKinds(page, subcommand) },
  );
  return complaints;
}

describe('the help', () => {
  it('lists the commands in the order in which they are needed', () => {
    const listed = [...generalHelp(WIDE).matchAll(/^ {2}([a-z][a-z-]*) {2,}/gm)].map(([, name]) => name);
    expect(listed).to.deep.equal([...PAGES.keys()]);
    expect(CHAPTERS.map(({ title }) => title.split(' ', 1)[0])).to.deep.equal([
      'Try',
      'Install',
      'Check',
      'Operate',
    ]);
    expect(listed).to.include.members(['run', 'config', 'validate', 'check', 'status', 'completion', 'demo']);
  });

  for (const [name, page] of PAGES) {
    describe(`of ${name}`, () => {
      const text = helpOf(name, WIDE) ?? '';

      it('says how to call it, what it takes, and what it ends with', () => {
        expect(text).to.match(new RegExp(`^servicenow-delegate ${name}\\b`));
        for (const flag of Object.keys(page.flags ?? {})) expect(text).to.contain(`  --${flag}`);
        for (const [code] of page.exitCodes ?? []) expect(text).to.match(new RegExp(`^ {2}${code} `, 'm'));
      });

      it('gives examples whose flags its own parser takes', () => {
        for (const line of page.examples) {
          const [command, ...args] = argumentsIn(line);
          expect(command, line).to.equal(name);
          expect(complaintsOf(name, page, args), line).to.deep.equal([]);
          expect(text).to.contain(`\n  ${line}\n`);
        }
      });

      it('names files that are there', () => {
        const named = page.examples.flatMap((line) => line.match(/(?:examples|config)\/[\w./-]+/g) ?? []);
        for (const path of [...page.readOn, ...named].filter((one) => !one.startsWith('config/fish'))) {
          expect(existsSync(new URL(path, ROOT)), path).to.equal(true);
        }
      });

      it('offers no setting as its own that the schema does not have', () => {
        const settings = new Set([...leaves().values()].map(({ arg }) => arg));
        for (const [flag, { kind }] of Object.entries(page.flags ?? {})) {
          expect(settings.has(flag), flag).to.equal(kind === 'setting');
        }
      });
    });
  }

  it('has nothing to say of a name that is no command', () => {
    expect(helpOf('toString', WIDE)).to.equal(undefined);
    expect(helpOf('dev-adfs', WIDE)).to.equal(undefined);
  });

  for (const width of [40, 80, 200]) {
    it(`fits ${width} columns, but for what is to be copied, and has colours only where they are shown`, () => {
      const plain = plainTerminal(width);
      const coloured = colourTerminal(width);
      for (const text of [
        generalHelp(plain),
        ...[...PAGES.keys()].map((name) => helpOf(name, plain) ?? ''),
      ]) {
        const long = text
          .split('\n')
          .filter((line) => widthOf(line) > plain.width && !/^ {2}.*servicenow-delegate /.test(line));
        expect(long.filter((line) => !/^ {2,}\S+$/.test(line))).to.deep.equal([]);
        expect(text).to.not.contain('\u001B');
      }
      expect(generalHelp(coloured)).to.contain('\u001B[1mInstall\u001B[22m');
    });
  }

  for (const name of ['config', 'run']) {
    it(`of ${name} lists every setting`, () => {
      const text = helpOf(name, WIDE) ?? '';
      for (const { key, env, flag } of settingsReference()) {
        expect(text).to.contain(`file: ${key}`).and.contain(env).and.contain(flag);
      }
    });
  }

  for (const name of ['validate', 'check'] as const) {
    it(`of ${name} names the flags and exit codes that docs/local-use.md has`, () => {
      const { flags = {}, exitCodes = [] } = PAGES.get(name) ?? {};
      expect(Object.keys(flags)).to.include.members(['json', 'timeout', 'verbose']);
      for (const flag of Object.keys(flags)) expect(localUse).to.contain(`\`--${flag}`);
      for (const [code] of exitCodes) expect(localUse).to.match(new RegExp(`^\\| ${code}\\b`, 'm'));
    });
  }
});
