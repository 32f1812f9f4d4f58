import { hanging, printable, terminalOf, type OutputStream, type Terminal } from './report/layout.ts';

/** What went wrong, and what to do about it. */
interface Complaint {
  readonly message: string;
  readonly hint?: string | undefined;
}

/** Tells a person on standard error why a command did not do what it was to do. */
export function complain(
  complaint: Complaint,
  stream: OutputStream & NodeJS.WritableStream = process.stderr,
): void {
  stream.write(complaintText(complaint, stream.isTTY === true ? terminalOf(stream) : undefined));
}

/**
 * The message line by line, then the hint. What was typed, and what a server said, may be in it.
 *
 * @param terminal whose width the lines keep; without it they are left whole, for those who search in a log
 */
export function complaintText({ message, hint }: Complaint, terminal?: Terminal): string {
  const lines = [message, ...(hint === undefined ? [] : [hint])].flatMap((text) => text.split('\n'));
  return lines
    .flatMap((line) => {
      const bullet = /^ *(?:- )?/.exec(line)?.[0] ?? '';
      const rest = line.slice(bullet.length);
      return terminal === undefined ? [bullet + printable(rest)] : hanging(bullet, rest, terminal.width);
    })
    .map((line) => `${line}\n`)
    .join('');
}
