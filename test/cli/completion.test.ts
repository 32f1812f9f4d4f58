import { execFile, spawnSync } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { bashScript } from '../../src/cli/completion/bash.ts';
import { fishScript } from '../../src/cli/completion/fish.ts';
import { completionTable } from '../../src/cli/completion/table.ts';
import { zshScript } from '../../src/cli/completion/zsh.ts';
import { PAGES } from '../../src/cli/pages/index.ts';
import { LOG_LEVELS } from '../../src/config/schema.ts';
import { leavesNothingOpen } from '../support/open-handles.ts';
import { tempDirs } from '../support/temp-dir.ts';

const run = promisify(execFile);
const table = completionTable();

/** Of Debian's packages `zsh` and `fish`, which .ci/run installs (2026-11-23); bash is everywhere. */
function isHere(shell: string): boolean {
  return spawnSync(shell, ['--version']).status === 0;
}

/** What stands behind the name of the program when TAB is hit, and what it may become. */
const CASES: readonly (readonly [typed: string, choices: readonly string[]])[] = [
  ['val', ['validate']],
  ['policy ', ['check', 'explain']],
  ['policy ex', ['explain']],
  ['policy check --js', ['--json']],
  ['audit show --si', ['--since=']],
  ['audit verify --si', []],
  ['check x --wai', ['--wait=']],
  ['run --log-level=', LOG_LEVELS],
  ['run --log-level ', LOG_LEVELS],
  ['run --log-level=deb', ['debug']],
  ['run --allow-http=', ['true', 'false']],
  ['run --capac', ['--capacity=']],
  ['status --ur', ['--url=']],
  ['status --capac', []],
  ['completion ', ['bash', 'zsh', 'fish']],
  ['completion f', ['fish']],
  ['validate some', ['some-file.yaml', 'some-folder/']],
  ['run --config=some-fi', ['some-file.yaml']],
  ['run --state-dir=some', ['some-folder/']],
];

function sortedWords(line: string): string[] {
  return line
    .split(' ')
    .filter((word) => word !== '')
    .toSorted();
}

describe('shell completion', function () {
  this.timeout(30_000);
  const directory = tempDirs();
  leavesNothingOpen();

  /** A folder with a file and a folder to complete, and the script. */
  async function folderWith(script: string): Promise<string> {
    const folder = await directory();
    await writeFile(join(folder, 'some-file.yaml'), '');
    await mkdir(join(folder, 'some-folder'));
    await writeFile(join(folder, 'script'), script);
    return folder;
  }

  it('knows every command, and its subcommands', () => {
    expect(table.commands.map(({ name }) => name)).to.deep.equal([...PAGES.keys(), 'help']);
    for (const [name, { subcommands }] of PAGES) {
      expect(table.subcommands.get(name)).to.deep.equal(subcommands && Object.keys(subcommands));
    }
  });

  it('never has two flags of one name that take different things', () => {
    const taken = new Map<string, string>();
    for (const { name, takes } of [...table.settings, ...table.completed.flatMap(({ flags }) => flags)]) {
      expect(taken.get(name) ?? String(takes), name).to.equal(String(takes));
      taken.set(name, String(takes));
    }
  });

  it('works in bash, which takes "=" for a word of its own', async () => {
    const cwd = await folderWith(bashScript(table));
    const asked = `
source ./script
while IFS= read -r typed; do
  IFS=' ' read -r -a COMP_WORDS <<< "servicenow-delegate \${typed/=/ = }"
  [[ $typed == *[\\ =] ]] && COMP_WORDS+=('')
  COMP_CWORD=$(( \${#COMP_WORDS[@]} - 1 ))
  _servicenow_delegate
  echo "\${COMPREPLY[*]}"
done <<< "$TYPED"`;
    const env = { ...process.env, TYPED: CASES.map(([typed]) => typed).join('\n') };
    const { stdout, stderr } = await run('bash', ['--norc', '-c', asked], { cwd, env });
    expect(stderr).to.equal('');
    const found = stdout.replace(/\n$/, '').split('\n').map(sortedWords);
    for (const [index, [typed, choices]] of CASES.entries()) {
      // bash itself puts the slash behind a folder.
      const expected = choices.map((choice) => choice.replace(/\/$/, ''));
      expect(found[index], typed).to.deep.equal(expected.toSorted());
    }
  });

  it('works in bash where "=" is part of a word', async () => {
    const cwd = await folderWith(bashScript(table));
    const asked =
      'source ./script; COMP_WORDS=(servicenow-delegate run --log-level=d); COMP_CWORD=2; _servicenow_delegate; echo "$COMPREPLY"';
    const { stdout } = await run('bash', ['--norc', '-c', asked], { cwd });
    expect(stdout).to.equal('--log-level=debug\n');
  });

  it('works in fish', async function () {
    if (!isHere('fish')) this.skip();
    const cwd = await folderWith(fishScript(table));
    const asked = `source ./script
for typed in ${CASES.map(([typed]) => `'${typed}'`).join(' ')}
    echo (complete -C "servicenow-delegate $typed" | string replace -r -- '\\t.*' '')
end`;
    const { stdout, stderr } = await run('fish', ['--no-config', '-c', asked], {
      cwd,
      env: { ...process.env, HOME: cwd },
    });
    expect(stderr).to.equal('');
    const found = stdout.replace(/\n$/, '').split('\n').map(sortedWords);
    for (const [index, [typed, choices]] of CASES.entries()) {
      // fish completes the whole word, and writes no "=" behind a flag.
      const [, before = ''] = /(\S+=)\S*$/.exec(typed) ?? [];
      const expected = choices.map((choice) => `${before}${choice}`.replace(/^(--.*)=$/, '$1'));
      expect(found[index], typed).to.deep.equal(expected.toSorted());
    }
  });

  it('works in zsh', async function () {
    if (!isHere('zsh')) this.skip();
    const cwd = await folderWith(zshScript(table));
    // A line is run as soon as it is completed: what has become of it is told by whom it calls.
    const asked = `zmodload zsh/zpty
zpty z zsh -f -i
say() { zpty -w -n z "$1"$'\\n' }
wait_for() { local line; while zpty -r z line; do [[ $line == *"$1"* ]] && { REPLY=\${line%%$'\\r'*}; return 0 }; done; return 1 }
say 'PROMPT= RPROMPT=; autoload -Uz compinit && compinit -u -D; source ./script; servicenow-delegate() { print -r -- "<""RAN $*>" }; print "<""READY>"'
wait_for '<READY>'
for line in "$@"; do say "servicenow-delegate $line"$'\\t'; wait_for '<RAN'; print -r -- "$REPLY"; done
zpty -d z`;
    await writeFile(join(cwd, 'asked'), asked);
    // Where there is a choice, zsh offers it and completes nothing.
    const certain = CASES.filter(([, choices]) => choices.length === 1);
    const env = { ...process.env, HOME: cwd, TERM: 'dumb' };
    const { stdout } = await run('zsh', ['-f', 'asked', ...certain.map(([typed]) => typed)], { cwd, env });
    const expected = certain.map(([typed, [choice = '']]) => {
      // The "=" behind a flag, and the slash behind a folder, go when nothing follows.
      const completed = typed.replace(/[^ =]*$/, choice).replace(/[=/]$/, '');
      return `<RAN ${completed}>`;
    });
    expect(stdout.trimEnd().split('\n')).to.deep.equal(expected);
  });
});
