import { z } from 'zod';
import type { DelegateError } from '../../../kit/errors.ts';
import { toTimestamp } from '../../../kit/time.ts';
import { approvalError } from './errors.ts';
import { clip, isBlank, MAX_QUOTED_CHARS, quoted } from './text.ts';
import { fieldNameSchema, fieldOf, shownOf, type TicketFields } from './ticket.ts';
import { DAY_MS, formatUtc, LAST_UTC_MS, parseUtc } from './utc.ts';

/** Decodes `changeWindow`: the fields that hold its two ends, and what to do when they don't help. */
export const changeWindowSchema = z.object({
  startField: fieldNameSchema,
  endField: fieldNameSchema,
  /** A blank end: fail, wait until it is filled in, or leave the window open on that side. */
  onMissing: z.enum(['fail', 'pending', 'ignore']).default('fail'),
  /** A window that is over: fail, or reject. */
  onPast: z.enum(['fail', 'reject']).default('fail'),
});

export type ChangeWindow = z.output<typeof changeWindowSchema>;

/** The window as it goes into the output; times are RFC 3339, null stands for a blank field. */
export interface WindowReport {
  start: string | null;
  /** Exclusive. */
  end: string | null;
  now: string;
  inside: boolean;
}

export interface WindowJudgement {
  readonly phase: 'inside' | 'before' | 'past' | 'undated';
  /** What a release manager should know, in a phrase that follows "the change window". */
  readonly phrase: string;
  readonly report: WindowReport;
}

/**
 * Where `now` lies: inside is strictly between start and end. Only stored values are read, never display values,
 * whose zone is the calling user's.
 *
 * @param now milliseconds since the epoch
 * @throws DelegateError `servicenow.field-missing`; `servicenow.change-window-invalid` if an end is blank (by
 * default) or no date, or the end is not after the start; `servicenow.change-window-past` (by default)
 */
export function judgeWindow(window: ChangeWindow, fields: TicketFields, now: number): WindowJudgement {
  const { startField, endField } = window;
  const startValue = fieldOf(fields, startField);
  const endValue = fieldOf(fields, endField);
  const written = {
    startField,
    start: clip(shownOf(startValue).value, MAX_QUOTED_CHARS),
    endField,
    end: clip(shownOf(endValue).value, MAX_QUOTED_CHARS),
  };
  const startMs = edgeOf(startValue.value, 'start', written);
  const endMs = edgeOf(endValue.value, 'end', written);
  if (startMs !== undefined && endMs !== undefined && endMs <= startMs) {
    throw invalid('ends before it begins', written);
  }

  const judged = (phase: WindowJudgement['phase'], phrase: string): WindowJudgement => ({
    phase,
    phrase,
    report: {
      start: startMs === undefined ? null : toTimestamp(startMs),
      end: endMs === undefined ? null : toTimestamp(endMs),
      now: toTimestamp(now),
      inside: phase === 'inside',
    },
  });

  const blank = startMs === undefined ? startField : endMs === undefined ? endField : undefined;
  if (blank !== undefined && window.onMissing === 'fail') {
    throw invalid(`is incomplete: ${blank} is blank`, written);
  }
  if (blank !== undefined && window.onMissing === 'pending') {
    return judged('undated', `has no ${blank === startField ? 'start' : 'end'} yet (${blank} is blank)`);
  }
  if (endMs !== undefined && now >= endMs) {
    if (window.onPast === 'fail') throw past(now, written);
    return judged('past', `ended at ${formatUtc(endMs)} UTC`);
  }
  if (startMs !== undefined && now <= startMs) return judged('before', `opens at ${formatUtc(startMs)} UTC`);
  return judged('inside', endMs === undefined ? 'is open' : `is open until ${formatUtc(endMs)} UTC`);
}

/** Both ends as the ticket has them, bounded, for messages: whoever repairs one needs to see the other. */
interface Written {
  readonly startField: string;
  readonly start: string;
  readonly endField: string;
  readonly end: string;
}

/** Milliseconds since the epoch; undefined if blank. A day given as the end is included whole. */
function edgeOf(text: string, edge: 'start' | 'end', written: Written): number | undefined {
  if (isBlank(text)) return undefined;
  const instant = parseUtc(text);
  if (instant === undefined) {
    throw invalid(`has no UTC date of the form yyyy-MM-dd HH:mm:ss as its ${edge}`, written);
  }
  const wholeDay = edge === 'end' && instant.precision === 'day';
  return wholeDay ? Math.min(instant.epochMs + DAY_MS, LAST_UTC_MS) : instant.epochMs;
}

function invalid(problem: string, written: Written): DelegateError {
  const message = `The change window ${problem}: ${described(written)}.`;
  return approvalError('servicenow.change-window-invalid', message, { details: { ...written } });
}

function past(now: number, written: Written): DelegateError {
  const message = `The change window is over: ${described(written)}, and it is ${formatUtc(now)} UTC.`;
  return approvalError('servicenow.change-window-past', message, { details: { ...written } });
}

function described({ startField, start, endField, end }: Written): string {
  return `${startField} is ${quoted(start)}, ${endField} is ${quoted(end)}`;
}
