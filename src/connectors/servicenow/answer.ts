import { z } from 'zod';
import { DelegateError } from '../../kit/errors.ts';
import type { HttpResponse } from '../../kit/http-exchange.ts';
import { envelopeText, jsonOrUndefined, judgeAnswer, serverTextOf, type RequestFacts } from './errors.ts';

/** With `sysparm_display_value=all` a field is an object; older servers send null for an empty display value. */
const pairSchema = z.object({
  value: z.string().nullish(),
  display_value: z.string().nullish(),
});

/** Its items are decoded one by one: a schema over all would collect every complaint about a hostile list. */
const listSchema = z.object({ result: z.custom<readonly unknown[]>(Array.isArray) });

/** No table has as many, with the fields that were added to it. */
const MAX_COLUMNS = 2_000;

export interface Cell {
  value: string;
  displayValue: string;
}

export type Row = Readonly<Record<string, Cell>>;

/**
 * The rows of a list answer, or the reason why there are none; more than `maxRows` are refused. A 404 in
 * ServiceNow's own envelope is an empty list: version 1 of the Table API answers so when nothing matches.
 */
export function readListAnswer(response: HttpResponse, request: RequestFacts, maxRows: number): Row[] {
  if (response.status === 404 && serverTextOf(response, request.scrub) !== undefined) return [];
  const judged = judgeAnswer(response, request);
  if (judged !== undefined) throw judged;
  const json = jsonOrUndefined(response.body);
  if (json === undefined) throw brokenAnswer(request);
  if (isFailure(json)) throw cancelledAnswer(response.status, json, request);
  const parsed = listSchema.safeParse(json);
  if (!parsed.success) throw foreignAnswer(request, 'is JSON, but not of the Table API');
  const { result } = parsed.data;
  if (result.length > maxRows) {
    throw foreignAnswer(request, `has ${result.length} rows where ${maxRows} at most were asked for`);
  }
  return result.map((raw) => readRow(raw, request));
}

/** Ends at the first thing that is wrong. */
function readRow(raw: unknown, request: RequestFacts): Row {
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) {
    throw foreignAnswer(request, 'has a row that is no record');
  }
  const columns = Object.entries(raw);
  if (columns.length > MAX_COLUMNS) throw foreignAnswer(request, `has a row of ${columns.length} columns`);
  return Object.fromEntries(
    columns.map(([name, value]) => {
      const cell = cellOf(value);
      if (cell === undefined) throw foreignAnswer(request, 'has a field of an unknown shape');
      return [name, cell];
    }),
  );
}

function cellOf(raw: unknown): Cell | undefined {
  if (raw === null) return { value: '', displayValue: '' };
  // The Table API sends text only; numbers and booleans come from relatives of it.
  if (typeof raw === 'string' || typeof raw === 'number' || typeof raw === 'boolean') {
    return { value: String(raw), displayValue: String(raw) };
  }
  const pair = pairSchema.safeParse(raw).data;
  return pair && { value: pair.value ?? '', displayValue: pair.display_value ?? '' };
}

/** Status 200 with an error beside the rows: the transaction was cancelled halfway, and its rows mean nothing. */
function isFailure(json: unknown): boolean {
  return z
    .union([
      z.object({ error: z.unknown().refine((v) => v !== undefined) }),
      z.object({ status: z.literal('failure') }),
    ])
    .safeParse(json).success;
}

function cancelledAnswer(status: number, json: unknown, request: RequestFacts): DelegateError {
  const serverText = envelopeText(json, request.scrub);
  return new DelegateError(
    'servicenow.transaction-cancelled',
    `${request.target}: ServiceNow cancelled the request halfway.`,
    {
      category: 'unavailable',
      retryable: true,
      hint: 'The usual cause is its time limit for REST requests: the table is slow to read for this user.',
      status,
      ...(serverText === undefined ? {} : { details: { serverText } }),
    },
  );
}

function brokenAnswer(request: RequestFacts): DelegateError {
  return new DelegateError('servicenow.broken-answer', `${request.target}: the answer is not whole JSON.`, {
    category: 'bad-response',
    retryable: true,
    hint: 'The answer was cut on its way or by the instance; usually it passes.',
  });
}

function foreignAnswer(request: RequestFacts, problem: string): DelegateError {
  return new DelegateError('servicenow.unexpected-shape', `${request.target}: the answer ${problem}.`, {
    category: 'not-servicenow',
    hint: 'Check serviceNowUrl, and what stands between the delegate and ServiceNow.',
  });
}
