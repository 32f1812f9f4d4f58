import { z } from 'zod';
import { DelegateError } from '../../kit/errors.ts';
import type { HttpResponse } from '../../kit/http-exchange.ts';
import { jsonOrUndefined, judgeAnswer, serverTextOf, type RequestFacts } from './errors.ts';

/** With `sysparm_display_value=all` a field is an object; older servers send null for an empty display value. */
const pairSchema = z.object({
  value: z.string().nullish(),
  display_value: z.string().nullish(),
});

const cellSchema = z.union([
  z.string().transform((text) => ({ value: text, displayValue: text })),
  pairSchema.transform((pair) => ({ value: pair.value ?? '', displayValue: pair.display_value ?? '' })),
  z.null().transform(() => ({ value: '', displayValue: '' })),
  // The Table API sends text only; numbers and booleans come from relatives of it.
  z.union([z.number(), z.boolean()]).transform((raw) => ({ value: String(raw), displayValue: String(raw) })),
]);

const listSchema = z.object({ result: z.array(z.record(z.string(), cellSchema)) });

export interface Cell {
  value: string;
  displayValue: string;
}

export type Row = Readonly<Record<string, Cell>>;

/**
 * The rows of a list answer, or the reason why there are none. A 404 in ServiceNow's own envelope is an empty
 * list: version 1 of the Table API answers so when nothing matches.
 */
export function readListAnswer(response: HttpResponse, request: RequestFacts): Row[] {
  if (response.status === 404 && serverTextOf(response) !== undefined) return [];
  const judged = judgeAnswer(response, request);
  if (judged !== undefined) throw judged;
  const json = jsonOrUndefined(response.body);
  if (json === undefined) throw brokenAnswer(request);
  if (isFailure(json)) throw cancelledAnswer(response, request);
  const parsed = listSchema.safeParse(json);
  if (!parsed.success) throw foreignAnswer(request);
  return parsed.data.result;
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

function cancelledAnswer(response: HttpResponse, request: RequestFacts): DelegateError {
  const serverText = serverTextOf(response);
  return new DelegateError(
    'servicenow.transaction-cancelled',
    `${request.target}: ServiceNow cancelled the request halfway.`,
    {
      category: 'unavailable',
      retryable: true,
      hint: 'The usual cause is its time limit for REST requests: the table is slow to read for this user.',
      status: response.status,
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

function foreignAnswer(request: RequestFacts): DelegateError {
  return new DelegateError(
    'servicenow.unexpected-shape',
    `${request.target}: the answer is JSON, but not of the Table API.`,
    {
      category: 'not-servicenow',
      hint: 'Check serviceNowUrl, and what stands between the delegate and ServiceNow.',
    },
  );
}
