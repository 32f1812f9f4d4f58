/** What the user says of colours and of the terminal, by the variables that all programs share. */
export interface TerminalWishes {
  /** Undefined: whatever the terminal can do. */
  readonly colours: 'always' | 'never' | undefined;
  /** It can neither rewrite a line nor show colours. */
  readonly isDumb: boolean;
}

/**
 * FORCE_COLOR (force-color.org; 0 and false forbid, as Node has it) wins over NO_COLOR (no-color.org), as in Node. An
 * empty variable is none.
 */
export function terminalWishes(
  environment: Readonly<Record<string, string | undefined>> = process.env,
): TerminalWishes {
  const { FORCE_COLOR: force = '', NO_COLOR: no = '', TERM: term } = environment;
  const isDumb = term === 'dumb';
  if (force !== '') return { colours: force === '0' || force === 'false' ? 'never' : 'always', isDumb };
  return { colours: no === '' ? undefined : 'never', isDumb };
}
