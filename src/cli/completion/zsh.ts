import type { CompletedCommand, CompletedFlag, CompletionTable } from './table.ts';

/** To be sourced, or to be a file `_servicenow-delegate` in a folder of `fpath`. */
export function zshScript({ commands, subcommands, completed, settings }: CompletionTable): string {
  return `#compdef servicenow-delegate
# zsh completion for servicenow-delegate. Load it with: source <(servicenow-delegate completion zsh)
_servicenow_delegate() {
  local -a choices settings
  settings=(
${settings.map((flag) => `    ${quoted(flagSpec(flag))}`).join('\n')}
  )
  local at=$words[2]
  if (( CURRENT == 2 )); then
    choices=(
${commands.map(({ name, summary }) => `      ${quoted(`${name}:${summary.replaceAll(':', String.raw`\:`)}`)}`).join('\n')}
    )
    _describe command choices
    return
  fi
  case $at in
${[...subcommands].map(([name, below]) => subcommandCase(name, below)).join('\n')}
  esac
  shift words
  (( CURRENT-- ))
  case $at in
${completed.map(commandCase).join('\n')}
  esac
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
  _servicenow_delegate "$@"
else
  compdef _servicenow_delegate servicenow-delegate
fi
`;
}

function subcommandCase(name: string, below: readonly string[]): string {
  return `    ${name})
      if (( CURRENT == 3 )); then
        choices=(${below.join(' ')})
        _describe subcommand choices
        return
      fi
      at="$at $words[3]"
      shift words
      (( CURRENT-- ))
      ;;`;
}

function commandCase({ path, flags, takesSettings, operand }: CompletedCommand): string {
  const argument =
    operand === undefined ? [] : [operand === 'file' ? '*:file:_files' : `1:what:(${operand.join(' ')})`];
  const specs = [...flags.map(flagSpec), ...argument].map(quoted);
  return `    ${quoted(path.join(' '))})
      _arguments ${[...specs, ...(takesSettings ? ['$settings'] : [])].join(' \\\n        ')}
      ;;`;
}

/** A specification of `_arguments`. */
function flagSpec({ name, doc, takes, isSwitch }: CompletedFlag): string {
  const explained = `[${doc.replaceAll(/[[\]\\]/g, String.raw`\$&`)}]`;
  if (takes === 'nothing') return `--${name}${explained}`;
  const value =
    takes === 'file'
      ? '_files'
      : takes === 'folder'
        ? '_files -/'
        : takes === 'text'
          ? ' '
          : `(${takes.join(' ')})`;
  // "=-": the value stands behind "=" alone; two colons: it may be left out.
  return `--${name}=${isSwitch ? '-' : ''}${explained}${isSwitch ? '::' : ':'}value:${value}`;
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
