import { z } from 'zod';

const shaped = z.union([z.string(), z.record(z.string(), z.string())]);
const rowSchema = z.record(z.string(), shaped);

export type Row = z.infer<typeof rowSchema>;

/** What a client hands over as a list of records. Throws if it is anything else. */
export function rowsIn(outcome: unknown): Row[] {
  return z.array(rowSchema).parse(outcome);
}

export function rowIn(outcome: unknown): Row {
  return rowSchema.parse(outcome);
}
