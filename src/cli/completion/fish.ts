import type { CompletedCommand, CompletedFlag, CompletionTable, Taken } from './table.ts';

/** To be sourced, or to be a file of fish's folder of completions. */
export function fishScript({ commands, subcommands, completed, settings }: CompletionTable): string {
  const settled = completed.filter(({ takesSettings }) => takesSettings);
  return `# fish completion for servicenow-delegate. Load it with: servicenow-delegate completion fish | source
# Whether the words so far begin with these; -x: and are no more.
function __servicenow_delegate_at
    set -l words (commandline -opc)[2..]
    if test "$argv[1]" = -x
        set -e argv[1]
        test (count $words) -eq (count $argv); or return 1
    end
    string match -q -- "$argv *" "$words "
end
complete -c servicenow-delegate -f
${commands.map(({ name, summary }) => line('-x', [], `-a ${name} -d ${quoted(summary)}`)).join('\n')}
${line('-x', [], `-l help -d ${quoted('every command in a line')}`)}
${line('-x', [], `-l version -d ${quoted('the version of this build')}`)}
${[...subcommands].map(([name, below]) => line('-x', [name], `-a ${quoted(below.join(' '))}`)).join('\n')}
${completed.flatMap(commandLines).join('\n')}
for words in ${settled.map(({ path }) => quoted(path.join(' '))).join(' ')}
${settings.map((flag) => `    complete -c servicenow-delegate -n "__servicenow_delegate_at $words" ${flagOptions(flag)}`).join('\n')}
end
`;
}

function commandLines({ path, flags, operand }: CompletedCommand): string[] {
  const words = operand === undefined ? [] : [operand === 'file' ? '-F' : `-a ${quoted(operand.join(' '))}`];
  return [
    ...words.map((what) => line('', path, what)),
    ...flags.map((flag) => line('', path, flagOptions(flag))),
  ];
}

function flagOptions({ name, doc, takes, isSwitch }: CompletedFlag): string {
  // Without -x, a value may stand behind "=", and none is asked for.
  const values = isSwitch ? valueOptions(takes).replace(' -x', '') : valueOptions(takes);
  return `-l ${name}${values} -d ${quoted(doc)}`;
}

function valueOptions(takes: Taken): string {
  switch (takes) {
    case 'nothing':
      return '';
    case 'file':
      return ' -r -F';
    case 'folder':
      return " -x -a '(__fish_complete_directories)'";
    case 'text':
      return ' -x';
    default:
      return ` -x -a ${quoted(takes.join(' '))}`;
  }
}

function line(exactly: '-x' | '', path: readonly string[], what: string): string {
  const condition = ['__servicenow_delegate_at', ...(exactly === '' ? [] : [exactly]), ...path].join(' ');
  return `complete -c servicenow-delegate -n ${quoted(condition)} ${what}`;
}

function quoted(text: string): string {
  return `'${text.replaceAll(/['\\]/g, String.raw`\$&`)}'`;
}
