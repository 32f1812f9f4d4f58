import type { z } from 'zod';
import type { approvalAnswerSchema } from '../../connectors/servicenow/tasks/approval-check.ts';
import { errorLines } from './failure.ts';
import { hanging, padded, printable, widthOf, wrapped, type Terminal, type Tone } from './layout.ts';

export type Approval = z.infer<typeof approvalAnswerSchema>;
type Criteria = Approval['approval'];
type Condition = Criteria['conditions'][number];

const DECISIONS: Readonly<Record<Approval['decision'], readonly [mark: string, tone: Tone]>> = {
  approved: ['✓', 'good'],
  rejected: ['✗', 'bad'],
  pending: ['…', 'warning'],
};

/** What was looked at, then the decision: it stands where people look last. */
export function approvalReport(look: Approval, terminal: Terminal): string {
  const { decision, reason, approval, rejection, window, ticket, warnings, checkedAt } = look;
  const { width, paint } = terminal;
  const [mark, tone] = DECISIONS[decision];
  return [
    ...wrapped(`${ticket.type} ${ticket.number}, changed ${ticket.updatedAt}`, width).map((line) =>
      paint('strong', line),
    ),
    ...wrapped(ticket.url, width),
    '',
    ...criteriaLines('Approval', approval, terminal),
    ...(rejection === null ? [] : criteriaLines('Rejection', rejection, terminal)),
    ...(window === null ? [] : windowLines(window, width)),
    ...warnings.flatMap((warning) => [...errorLines('Warning', warning, terminal), '']),
    // The reason begins with the decision: "approved: state is Implement".
    ...hanging(`${mark} `, reason, width).map((line) => paint(tone, line)),
    ...wrapped(`Checked ${checkedAt}`, width).map((line) => paint('faint', line)),
    '',
  ].join('\n');
}

function criteriaLines(name: string, { met, conditions }: Criteria, terminal: Terminal): string[] {
  return [
    ...wrapped(`${name} criteria are ${met ? 'met' : 'not met'}`, terminal.width),
    ...conditionLines(conditions, terminal),
    '',
  ];
}

const HEADINGS = ['field', 'operator', 'expected', 'value'] as const;
const MARK_WIDTH = 2;
const GAP_WIDTH = 2;

/** A table where it fits, else each condition as a sentence. */
function conditionLines(conditions: readonly Condition[], { width, paint }: Terminal): string[] {
  const rows = conditions.map((condition) => ({ condition, cells: cellsOf(condition) }));
  const widths = HEADINGS.map((heading, column) =>
    Math.max(widthOf(heading), ...rows.map(({ cells }) => widthOf(cells[column] ?? ''))),
  );
  const tableWidth = widths.reduce((sum, column) => sum + column + GAP_WIDTH, MARK_WIDTH - GAP_WIDTH);
  const markOf = ({ met }: Condition): string => (met ? paint('good', '✓') : paint('bad', '✗'));
  if (tableWidth > width) {
    return rows.flatMap(({ condition, cells: [key, operator, expected, value] }) => {
      const [first = '', ...more] = hanging('  ', `${key} ${operator} ${expected}: it is ${value}`, width);
      return [`${markOf(condition)} ${first.trimStart()}`, ...more];
    });
  }
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, column) => padded(cell, (widths[column] ?? 0) + GAP_WIDTH))
      .join('')
      .trimEnd();
  return [
    paint('faint', ' '.repeat(MARK_WIDTH) + line(HEADINGS)),
    ...rows.map(({ condition, cells }) => `${markOf(condition)} ${line(cells)}`),
  ];
}

type Cells = readonly [key: string, operator: string, expected: string, value: string];

function cellsOf({ key, operator, expected, value, displayValue }: Condition): Cells {
  const shown = value === displayValue ? orBlank(value) : `${orBlank(value)} (${printable(displayValue)})`;
  return [printable(key), printable(operator), orBlank(expected), shown];
}

function orBlank(text: string): string {
  const shown = printable(text);
  return shown === '' ? 'blank' : shown;
}

function windowLines({ start, end, now, inside }: NonNullable<Approval['window']>, width: number): string[] {
  const from = start === null ? '' : ` from ${start}`;
  const until = end === null ? '' : ` until ${end}`;
  return [
    ...wrapped(`${inside ? 'Inside' : 'Outside'} the change window${from}${until}; it is ${now}`, width),
    '',
  ];
}
