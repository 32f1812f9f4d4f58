import { hanging, padded, printable, widthOf, type Terminal, type Tone } from '../report/layout.ts';
import type { CheckResult, Status } from './finding.ts';

const TONES: Readonly<Record<Status, Tone>> = { PASS: 'good', WARN: 'warning', FAIL: 'bad', SKIP: 'faint' };

/** Below it, what was found goes under its check instead of beside it. */
const MIN_WIDTH_OF_COLUMNS = 72;
/** A longer id, such as one with the path of a file, has a line of its own. */
const MAX_ID_WIDTH = 24;
const STATUS_WIDTH = 6;

/** Each check with what to do, then the counts: they stand where people look last. */
export function doctorReport(results: readonly CheckResult[], terminal: Terminal): string {
  const ids = results.map(({ id }) => widthOf(id));
  const idWidth = Math.max(0, ...ids.filter((width) => width <= MAX_ID_WIDTH)) + 2;
  return [
    ...results.flatMap((result) => checkLines(result, idWidth, terminal)),
    '',
    ...hanging('', sentence(results), terminal.width).map((line) =>
      terminal.paint(TONES[worstOf(results)], line),
    ),
  ]
    .map((line) => `${line}\n`)
    .join('');
}

function checkLines(result: CheckResult, idWidth: number, { width, paint }: Terminal): string[] {
  const { status, summary, action, details = [], code } = result;
  // A file's name may be part of it.
  const id = printable(result.id);
  const isNarrow = width < MIN_WIDTH_OF_COLUMNS || widthOf(id) + 2 > idWidth;
  const head = padded(status, STATUS_WIDTH);
  const indent = ' '.repeat(isNarrow ? 2 : STATUS_WIDTH + idWidth);
  const [first = '', ...more] = isNarrow
    ? [...hanging(head, id, width), ...hanging(indent, summary, width)]
    : hanging(`${head}${padded(id, idWidth)}`, summary, width);
  return [
    paint(TONES[status], status) + first.slice(status.length),
    ...more,
    ...details.flatMap((detail) => hanging(`${indent}- `, detail, width)),
    ...(action === undefined ? [] : hanging(`${indent}→ `, action, width)),
    ...(code === undefined ? [] : hanging(`${indent}  `, code, width).map((line) => paint('faint', line))),
  ];
}

function sentence(results: readonly CheckResult[]): string {
  const count = (status: Status): number => results.filter((one) => one.status === status).length;
  const parts = [
    `${count('PASS')} passed`,
    `${count('WARN')} with a warning`,
    `${count('FAIL')} failed`,
    `${count('SKIP')} not looked at`,
  ];
  return `${parts.join(', ')}.`;
}

/** PASS, WARN or FAIL: what was not looked at counts for nothing. */
export function worstOf(results: readonly CheckResult[]): 'PASS' | 'WARN' | 'FAIL' {
  const has = (status: Status): boolean => results.some((one) => one.status === status);
  if (has('FAIL')) return 'FAIL';
  return has('WARN') ? 'WARN' : 'PASS';
}
