import { terminalOf, type Terminal } from '../../src/cli/report/layout.ts';

/** Whatever the environment says that the tests run in. */
const NO_WISHES = { colours: undefined };

export function plainTerminal(width: number): Terminal {
  return terminalOf({ isTTY: true, columns: width }, NO_WISHES);
}

export function colourTerminal(width: number): Terminal {
  return terminalOf({ isTTY: true, columns: width, hasColors: () => true }, NO_WISHES);
}

const ESCAPE = '\u001B';

/** Colours by name, so that a test can be read: `<bad>✗</bad>`. */
export function namedColours(text: string): string {
  const names: Readonly<Record<string, string>> = {
    '[32m': '<good>',
    '[31m': '<bad>',
    '[33m': '<warning>',
    '[2m': '<faint>',
    '[1m': '<strong>',
    '[39m': '</>',
    '[22m': '</>',
  };
  return text
    .split(ESCAPE)
    .map((part, index) => {
      const code = /^\[\d+m/.exec(part)?.[0] ?? '';
      return index === 0 ? part : `${names[code] ?? '<?>'}${part.slice(code.length)}`;
    })
    .join('');
}

/** The text as a terminal without colours has it; every other escape is left where it stands. */
export function withoutColours(text: string): string {
  return text
    .split(ESCAPE)
    .map((part, index) => {
      if (index === 0) return part;
      const plain = part.replace(/^\[\d+m/, '');
      return plain === part ? ESCAPE + part : plain;
    })
    .join('');
}
