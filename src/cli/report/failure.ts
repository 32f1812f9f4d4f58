import type { WireError } from '../../kit/errors.ts';
import { hanging, type Terminal } from './layout.ts';

/** What a person is told of an error: what happened, what to do, and how to look it up. */
export type ShownError = Pick<WireError, 'code' | 'message' | 'hint' | 'status' | 'retryable'>;

/** An error as lines, the kind of it in front. */
export function errorLines(kind: 'Error' | 'Warning', error: ShownError, terminal: Terminal): string[] {
  const { width, paint } = terminal;
  const [first = '', ...more] = hanging(`${kind}: `, error.message, width);
  const tone = kind === 'Error' ? 'bad' : 'warning';
  const status = error.status === undefined ? '' : `, HTTP ${error.status}`;
  return [
    paint(tone, `${kind}:`) + first.slice(kind.length + 1),
    ...more,
    ...(error.hint === undefined ? [] : hanging('  → ', error.hint, width)),
    ...hanging('    ', `${error.code}${status}`, width).map((line) => paint('faint', line)),
  ];
}

/** A task that could not answer: why, what to do, and whether a script may try it again. */
export function failureReport(title: string, error: ShownError, terminal: Terminal): string {
  const { width, paint } = terminal;
  const again = error.retryable
    ? 'The same command may succeed later, with nothing changed.'
    : 'The same command will fail again, until something is changed.';
  return [
    ...hanging('✗ ', title, width).map((line) => paint('bad', line)),
    '',
    ...errorLines('Error', error, terminal),
    '',
    ...hanging('', again, width),
    '',
  ].join('\n');
}
