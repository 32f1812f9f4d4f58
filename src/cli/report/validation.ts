import type { z } from 'zod';
import type { validationAnswerSchema } from '../../connectors/servicenow/tasks/validate.ts';
import { errorLines } from './failure.ts';
import { hanging, marked, padded, printable, widthOf, wrapped, type Terminal, type Tone } from './layout.ts';

export type Validation = z.infer<typeof validationAnswerSchema>;
type Check = Validation['checks'][number];

const MARKS: Readonly<Record<Check['status'], readonly [mark: string, tone: Tone]>> = {
  passed: ['✓', 'good'],
  failed: ['✗', 'bad'],
  warned: ['!', 'warning'],
  skipped: ['–', 'faint'],
};

/** Below it, details go under their check instead of beside it. */
const MIN_WIDTH_OF_COLUMNS = 72;
const DURATION_WIDTH = 9;
const MARK_WIDTH = 2;

/** The checks, then every warning and error with its remedy, then the one sentence: it stands where people look last. */
export function validationReport(validation: Validation, terminal: Terminal): string {
  const { status, errorSummary, errors, warnings, checks, testedAt, delegate } = validation;
  const { width, paint } = terminal;
  const works = status === 'SUCCESS';
  const sentence = works
    ? `The connector works${warnings.length === 0 ? '' : ', with warnings'}.`
    : (errorSummary ?? 'The connector does not work.');
  const [first = '', ...more] = hanging(`${status}: `, sentence, width);
  return [
    ...checkLines(validation, terminal, Math.max(0, ...checks.map(({ title }) => widthOf(printable(title))))),
    '',
    ...warnings.flatMap((warning) => [...errorLines('Warning', warning, terminal), '']),
    ...errors.flatMap((error) => [...errorLines('Error', error, terminal), '']),
    paint(works ? 'good' : 'bad', status) + first.slice(status.length),
    ...more,
    ...wrapped(`Tested ${testedAt} by ${delegate.name}, version ${delegate.version}`, width).map((line) =>
      paint('faint', line),
    ),
    '',
  ].join('\n');
}

function checkLines(
  { checks, errors, warnings }: Validation,
  { width, paint }: Terminal,
  titleWidth: number,
): string[] {
  const told = new Set([...errors, ...warnings].map(({ message }) => message));
  return checks.flatMap((check) => {
    const [mark, tone] = MARKS[check.status];
    const duration = check.status === 'skipped' ? '' : `${check.durationMs} ms`;
    // What an error says is said below, with its remedy.
    const detail = check.detail === undefined || told.has(check.detail) ? '' : check.detail;
    const title = printable(check.title);
    const head = `${padded(title, titleWidth)}${duration.padStart(DURATION_WIDTH)}`;
    if (width < MIN_WIDTH_OF_COLUMNS || widthOf(head) > width / 2) {
      const below = detail === '' ? [] : hanging('  ', detail, width);
      const line = `${paint(tone, mark)} ${head}`.trimEnd();
      const isShort = widthOf(head) + MARK_WIDTH <= width;
      return [...(isShort ? [line] : marked(paint(tone, mark), `${title} ${duration}`, width)), ...below];
    }
    const [first = '', ...more] = hanging(`${mark} ${head}  `, detail, width);
    return [paint(tone, mark) + first.slice(mark.length), ...more];
  });
}
