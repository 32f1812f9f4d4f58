import { z } from 'zod';
import type { ReceivedRequest } from '../http/request.ts';
import { FAULT_KINDS, type FaultKind, type FaultName } from './kinds.ts';

const faultName = z.custom<FaultName>(
  (name) => typeof name === 'string' && Object.hasOwn(FAULT_KINDS, name),
  {
    error: `is not one of ${Object.keys(FAULT_KINDS).join(', ')}`,
  },
);

/** A fault to come: what, for whom, how often, and its parameters. */
export const faultSpecSchema = z.strictObject({
  fault: faultName,
  /** Every condition that is given has to hold. */
  match: z
    .strictObject({
      route: z.enum(['table', 'stats', 'token', 'revoke', 'page', 'unknown-api']).optional(),
      table: z.string().optional(),
      user: z.string().optional(),
      /** Found anywhere in path and query as sent. */
      target: z.string().optional(),
    })
    .optional(),
  /** How many requests it strikes; without it, all until it is removed. */
  times: z.number().int().min(1).optional(),
  /** How many matching requests it lets pass first. */
  skip: z.number().int().min(0).optional(),
  ms: z.number().optional(),
  seconds: z.number().int().optional(),
  atByte: z.number().int().min(0).optional(),
  field: z.string().optional(),
  number: z.string().optional(),
});

export type FaultSpec = z.infer<typeof faultSpecSchema>;

export interface ActiveFault {
  readonly id: number;
  readonly spec: FaultSpec;
  /** Requests it has struck. */
  readonly hits: number;
}

interface Entry {
  readonly id: number;
  readonly spec: FaultSpec;
  passed: number;
  hits: number;
}

/** A fault that strikes the request at hand. */
export interface Strike {
  readonly spec: FaultSpec;
  readonly kind: FaultKind;
}

/** The faults that lie in wait. */
export class Faults {
  readonly #entries = new Map<number, Entry>();
  #lastId = 0;

  /** Returns the id to remove it by. */
  add(spec: FaultSpec): number {
    this.#lastId += 1;
    this.#entries.set(this.#lastId, { id: this.#lastId, spec, passed: 0, hits: 0 });
    return this.#lastId;
  }

  remove(id: number): void {
    this.#entries.delete(id);
  }

  clear(): void {
    this.#entries.clear();
  }

  /** Spent faults stay listed until they are cleared, so that a test can see that they struck. */
  list(): ActiveFault[] {
    return [...this.#entries.values()].map(({ id, spec, hits }) => ({ id, spec, hits }));
  }

  /** The faults that strike this request, counted as having struck. */
  take(request: ReceivedRequest, user: string | undefined): Strike[] {
    const strikes: Strike[] = [];
    for (const entry of this.#entries.values()) {
      const { spec } = entry;
      const kind: FaultKind = FAULT_KINDS[spec.fault];
      if (!reaches(kind, request) || !aimedAt(spec.match, request, user)) continue;
      if (entry.passed < (spec.skip ?? 0)) {
        entry.passed += 1;
        continue;
      }
      if (spec.times !== undefined && entry.hits >= spec.times) continue;
      entry.hits += 1;
      strikes.push({ spec, kind });
    }
    return strikes;
  }
}

function reaches(kind: FaultKind, { route }: ReceivedRequest): boolean {
  if (kind.read !== undefined || kind.api !== undefined) return route.to === 'table';
  return kind.token === undefined || route.to === 'token';
}

function aimedAt(
  match: FaultSpec['match'],
  { route, target }: ReceivedRequest,
  user: string | undefined,
): boolean {
  if (match === undefined) return true;
  return (
    (match.route === undefined || match.route === route.to) &&
    (match.table === undefined || (route.to === 'table' && route.table === match.table)) &&
    (match.user === undefined || match.user === user) &&
    (match.target === undefined || target.includes(match.target))
  );
}
