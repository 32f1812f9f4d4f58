import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { HELP, helpOf } from '../../src/cli/help.ts';
import { settingsReference } from '../../src/config/load.ts';

const commands = [...HELP.matchAll(/^ {2}servicenow-delegate ([a-z][a-z-]*)/gm)].map(([, name = '']) => name);
const page = readFileSync(new URL('../../docs/local-use.md', import.meta.url), 'utf8');

function flagsIn(text: string): Set<string> {
  return new Set([...text.matchAll(/--[a-z][a-z-]*/g)].map(([flag]) => flag));
}

describe('the help', () => {
  it('lists the commands', () => {
    expect(commands).to.include.members(['run', 'config', 'validate', 'check', 'manager', 'demo', 'dev']);
  });

  for (const name of new Set(commands)) {
    it(`of ${name} says what it takes, and gives an example`, () => {
      const text = helpOf(name) ?? '';
      expect(text).to.match(new RegExp(`^servicenow-delegate ${name}\\b`));
      expect(text).to.match(new RegExp(`^ {2}.*servicenow-delegate ${name}\\b`, 'm'));
    });
  }

  it('has nothing to say of a name that is no command', () => {
    expect(helpOf('toString')).to.equal(undefined);
    expect(helpOf('dev-adfs')).to.equal(undefined);
  });

  for (const name of ['validate', 'check'] as const) {
    it(`of ${name} names the flags and exit codes that docs/local-use.md has`, () => {
      const text = helpOf(name) ?? '';
      const settings = new Set(settingsReference().map(({ flag }) => flag));
      const own = [...flagsIn(text)].filter((flag) => !settings.has(flag) && flag !== '--help');
      expect(own).to.include.members(['--json', '--timeout', '--verbose']);
      for (const flag of own) expect(page).to.contain(`\`${flag}`);
      const codes = text.slice(text.indexOf('Exit code:')).split('\n\n', 1)[0] ?? '';
      for (const [code] of codes.matchAll(/\b\d+\b/g))
        expect(page).to.match(new RegExp(`^\\| ${code}\\b`, 'm'));
    });
  }
});
