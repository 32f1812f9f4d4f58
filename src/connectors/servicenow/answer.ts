import { z } from 'zod';
import type { HttpResponse } from '../../kit/http-exchange.ts';
import { judge, unexpectedShape, type RequestFacts } from './errors.ts';

/** With `sysparm_display_value=all` a field is an object; older servers send null for an empty display value. */
const pairSchema = z.object({
  value: z.string().nullish(),
  display_value: z.string().nullish(),
});

/** No table has as many, with the fields that were added to it. */
const MAX_COLUMNS = 2_000;

export interface Cell {
  value: string;
  displayValue: string;
}

export type Row = Readonly<Record<string, Cell>>;

/** The rows of a list answer; throws the reason why there are none. More than `maxRows` are refused. */
export function readListAnswer(response: HttpResponse, request: RequestFacts, maxRows: number): Row[] {
  const judgement = judge({ response }, request);
  if ('error' in judgement) throw judgement.error;
  const { records } = judgement;
  const refuse = (problem: string): never => {
    throw unexpectedShape(response, problem, request);
  };
  if (records.length > maxRows) {
    refuse(`has ${records.length} rows where ${maxRows} at most were asked for`);
  }
  return records.map((record) => readRow(record, refuse));
}

/** Ends at the first thing that is wrong. */
function readRow(record: unknown, refuse: (problem: string) => never): Row {
  if (typeof record !== 'object' || record === null || Array.isArray(record)) {
    return refuse('has a row that is no record');
  }
  const columns = Object.entries(record);
  if (columns.length > MAX_COLUMNS) refuse(`has a row of ${columns.length} columns`);
  return Object.fromEntries(
    columns.map(([name, value]) => [name, cellOf(value) ?? refuse('has a field of an unknown shape')]),
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
