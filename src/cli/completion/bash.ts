import type { CompletedCommand, CompletedFlag, CompletionTable, Taken } from './table.ts';

/**
 * For bash 3.2, which macOS has, and later; it needs nothing of the package bash-completion. What a flag takes is looked
 * up by its name alone: no two commands have a flag of the same name that takes something else.
 */
export function bashScript(table: CompletionTable): string {
  const { commands, subcommands, completed, settings } = table;
  return `# bash completion for servicenow-delegate. Load it with: source <(servicenow-delegate completion bash)
_servicenow_delegate() {
  local word=\${COMP_WORDS[COMP_CWORD]} flag=\${COMP_WORDS[COMP_CWORD-1]}
  local prefix= inline= kind= words= flags= at=\${COMP_WORDS[1]} reply= line
  local settings='${settings.map(flagWord).join(' ')}'
  COMPREPLY=()
  # bash takes "=" for a word of its own, unless COMP_WORDBREAKS says otherwise.
  if [[ $word == "=" ]]; then
    word= inline=yes
  elif [[ $flag == "=" ]]; then
    flag=\${COMP_WORDS[COMP_CWORD-2]} inline=yes
  elif [[ $word == --*=* ]]; then
    flag=\${word%%=*} prefix=$flag= word=\${word#*=} inline=yes
  fi
  case $flag in
${flagCases(table)}
  esac
  if [[ ! $kind ]]; then
    case $at in
      ${[...subcommands.keys()].join(' | ')}) (( COMP_CWORD > 2 )) && at="$at \${COMP_WORDS[2]}" ;;
    esac
    (( COMP_CWORD == 1 )) && at=
    case $at in
      '') kind=words words='${commands.map(({ name }) => name).join(' ')}' flags='--help --version' ;;
${[...subcommands].map(([name, below]) => `      ${name}) kind=words words='${below.join(' ')}' flags='--help' ;;`).join('\n')}
${completed.map(commandCase).join('\n')}
    esac
    [[ $word == -* || ! $kind ]] && kind=words words=$flags
  fi
  case $kind in
    words) reply=$(compgen -P "$prefix" -W "$words" -- "$word") ;;
    files) reply=$(compgen -P "$prefix" -f -- "$word") ;;
    folders) reply=$(compgen -P "$prefix" -d -- "$word") ;;
  esac
  while IFS= read -r line; do
    [[ $line ]] && COMPREPLY+=("$line")
  done <<< "$reply"
  # bash 3.2 has no compopt, and goes without these.
  [[ $kind == files || $kind == folders ]] && compopt -o filenames 2> /dev/null
  [[ \${#COMPREPLY[@]} == 1 && \${COMPREPLY[0]} == *= ]] && compopt -o nospace 2> /dev/null
  return 0
}
complete -F _servicenow_delegate servicenow-delegate
`;
}

/** What may follow a flag. */
function flagCases({ completed, settings }: CompletionTable): string {
  const all = [...settings, ...completed.flatMap(({ flags }) => flags)];
  const flags = [...new Map(all.map((flag) => [flag.name, flag])).values()];
  const line = (wanted: readonly CompletedFlag[], consequence: string): string =>
    `    ${wanted.map(({ name }) => `--${name}`).join(' | ')}) ${consequence} ;;`;
  const taking = (takes: Taken): CompletedFlag[] => flags.filter((flag) => flag.takes === takes);
  const listed = flags.flatMap((flag) => {
    if (typeof flag.takes === 'string') return [];
    const words = `kind=words words='${flag.takes.join(' ')}'`;
    return [line([flag], flag.isSwitch ? `[[ $inline ]] && ${words}` : words)];
  });
  return [
    ...listed,
    line(taking('file'), 'kind=files'),
    line(taking('folder'), 'kind=folders'),
    line(taking('text'), 'kind=none'),
  ].join('\n');
}

/** What may follow a command: its argument, or its flags. */
function commandCase({ path, flags, takesSettings, operand }: CompletedCommand): string {
  const words = `"${flags.map(flagWord).join(' ')}${takesSettings ? ' $settings' : ''}"`;
  const argument =
    operand === undefined
      ? ''
      : operand === 'file'
        ? 'kind=files '
        : `kind=words words='${operand.join(' ')}' `;
  return `      '${path.join(' ')}') ${argument}flags=${words} ;;`;
}

function flagWord({ name, takes, isSwitch }: CompletedFlag): string {
  return takes === 'nothing' || isSwitch ? `--${name}` : `--${name}=`;
}
