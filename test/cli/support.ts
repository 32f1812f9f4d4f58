import { terminalOf, type Terminal } from '../../src/cli/report/layout.ts';

export function plainTerminal(width: number): Terminal {
  return terminalOf({ isTTY: true, columns: width });
}

export function colourTerminal(width: number): Terminal {
  return terminalOf({ isTTY: true, columns: width, hasColors: () => true });
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
