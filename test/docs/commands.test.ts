import { existsSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { expect } from 'chai';
import { PAGES_IN_ORDER, PROOFS, type Proof } from './commands/registry.ts';
import { Sandbox } from './commands/sandbox.ts';
import { expectShown } from './commands/shown.ts';
import { blocksOf, pages, ROOT, SHELLS, statementsOf, type Statement } from './commands/statements.ts';

const statements = pages().flatMap(statementsOf);
/** `NAME=value` alone: a setting, and no command. */
const SETTING = /^[A-Z][A-Z0-9_]*=\S*$/;
const commands = statements.filter(({ text }) => !SETTING.test(text));
const isCommand =
  /^(?:\$ |(?:servicenow-delegate|npm|npx|node|docker|kubectl|curl|systemctl) |[A-Z_]+=\S+ ?)/;

describe('the commands of the documents', () => {
  it('stand in blocks that say so', () => {
    const hidden = pages()
      .flatMap(blocksOf)
      .filter(({ language }) => !SHELLS.has(language) && language !== 'console' && language !== 'dockerfile')
      .filter(({ language, lines }) => language === '' && lines.some((line) => isCommand.test(line)));
    expect(hidden.map(({ place }) => place)).to.deep.equal([]);
  });

  it('have a proof each', () => {
    const bare = commands.filter((one) => !isInOrder(one) && !Object.hasOwn(PROOFS, one.text));
    expect(bare.map(({ place, text }) => `${place} ${text}`)).to.deep.equal([]);
  });

  it('are there for each proof', () => {
    const named = new Set(commands.map(({ text }) => text));
    expect(Object.keys(PROOFS).filter((text) => !named.has(text))).to.deep.equal([]);
  });

  describe('that another test runs', () => {
    for (const [page, file] of Object.entries(PAGES_IN_ORDER)) {
      it(`all of ${page}`, () => {
        expect(readFileSync(join(ROOT, file), 'utf8')).to.contain(`const NAME = '${page}';`);
      });
    }

    for (const [text, proof] of proofsBy('test')) {
      it(title(text), () => {
        expect(readFileSync(join(ROOT, proof.file), 'utf8')).to.contain(proof.holds);
      });
    }

    it('servicenow-delegate is what the package puts on the PATH', () => {
      const { bin } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
      expect(Object.keys(bin)).to.deep.equal(['servicenow-delegate']);
      expect(existsSync(join(ROOT, bin['servicenow-delegate']))).to.equal(true);
    });
  });

  describe('that can not be run where tests run', () => {
    for (const [text, { why, since, looks }] of proofsBy('stand-in')) {
      it(`${title(text)} (${since}: ${why})`, () => {
        expect(looks).to.not.equal([]);
        for (const [file, holds] of looks)
          expect(readFileSync(join(ROOT, file), 'utf8'), file).to.match(holds);
      });
    }
  });

  describe('run in a sandbox', function () {
    this.timeout(60_000);
    let sandbox: Sandbox;

    before(async () => {
      sandbox = await Sandbox.open();
    });
    after(async () => {
      await sandbox[Symbol.asyncDispose]();
    });

    for (const [text, proof] of proofsBy('running')) {
      const { needs } = proof;
      const reason = needs === undefined ? '' : ` (2026-11-24: skipped where there is no ${needs})`;
      it(`${title(text)}${reason}`, async function () {
        if (needs !== undefined && !isOnPath(needs)) this.skip();
        const command = (await proof.with?.(text, sandbox)) ?? text;
        const { code, output } = await sandbox.run(command, proof);
        expect(code, output).to.equal(proof.exit ?? 0);
        if (proof.says !== undefined) expect(output).to.match(proof.says);
        for (const shown of commands.filter((one) => one.text === text)) expectShown(shown, output, sandbox);
      });
    }

    for (const [place, settings] of settingsByBlock()) {
      it(`${place}: settings that the delegate takes`, async () => {
        const env = Object.fromEntries(
          settings.map(({ text }) => {
            const at = text.indexOf('=');
            return [text.slice(0, at), sandbox.here(text.slice(at + 1))];
          }),
        );
        const { code, output } = await sandbox.run('servicenow-delegate config', { env });
        expect(code, output).to.equal(0);
      });
    }
  });
});

function isInOrder({ place, text }: Statement): boolean {
  return !text.startsWith('npm ') && Object.keys(PAGES_IN_ORDER).some((page) => place.startsWith(`${page}:`));
}

/** In their order in the registry: what a command leaves behind is there for the next. */
function proofsBy<B extends Proof['by']>(by: B): [string, Extract<Proof, { by: B }>][] {
  return Object.entries(PROOFS).flatMap(([text, proof]) => (isBy(proof, by) ? [[text, proof]] : []));
}

function isBy<B extends Proof['by']>(proof: Proof, by: B): proof is Extract<Proof, { by: B }> {
  return proof.by === by;
}

function isOnPath(tool: string): boolean {
  return (process.env['PATH'] ?? '').split(delimiter).some((folder) => existsSync(join(folder, tool)));
}

function title(text: string): string {
  return text.replaceAll(/\s+/g, ' ').slice(0, 140);
}

function settingsByBlock(): Map<string, Statement[]> {
  const found = new Map<string, Statement[]>();
  for (const statement of statements.filter(({ text }) => SETTING.test(text))) {
    found.set(statement.place, [...(found.get(statement.place) ?? []), statement]);
  }
  return found;
}
