import { terminalWishes, type TerminalWishes } from '../../config/terminal.ts';
import { printable, terminalOf, widthOf, type OutputStream } from './layout.ts';

/** CSI 0 K (ECMA-48, 8.3.41): erases to the end of the line. */
const ERASE_LINE = '\r\u001B[K';

interface ProgressStream extends OutputStream {
  write(text: string): unknown;
}

/**
 * What is being done, for somebody who watches: one line on a terminal, rewritten, and gone at the end. Where nothing
 * can be rewritten (a pipe, a file, a dumb terminal) there is none of it: a script's log is better off without.
 *
 * To be made before standard error is guarded (outputs.ts): the guard takes whole lines, which this never is. So what is
 * shown here must be scrubbed.
 */
export class ProgressLine implements Disposable {
  readonly #write: (text: string) => void;
  readonly #stream: OutputStream;
  readonly #isShown: boolean;
  #isThere = false;

  constructor(
    stream: ProgressStream = process.stderr,
    { isDumb }: Pick<TerminalWishes, 'isDumb'> = terminalWishes(),
  ) {
    const write = stream.write.bind(stream);
    this.#write = (text) => void write(text);
    this.#stream = stream;
    this.#isShown = stream.isTTY === true && !isDumb;
  }

  /** Takes the place of what was shown before. */
  show(text: string): void {
    if (!this.#isShown) return;
    // One column less: a full line would move on to the next, which is not erased.
    const shown = fitting(`… ${printable(text)}`, terminalOf(this.#stream).width - 1);
    this.#write(`${ERASE_LINE}${shown}`);
    this.#isThere = true;
  }

  /** Makes room for a line of somebody else; the next text is shown below it. */
  clear(): void {
    if (!this.#isThere) return;
    this.#write(ERASE_LINE);
    this.#isThere = false;
  }

  [Symbol.dispose](): void {
    this.clear();
  }
}

function fitting(text: string, columns: number): string {
  if (widthOf(text) <= columns) return text;
  let kept = '';
  for (const character of text) {
    if (widthOf(kept + character) > columns - 1) break;
    kept += character;
  }
  return `${kept}…`;
}
