import { z } from 'zod';
import type { UserChanges, UserView } from './access/accounts.ts';
import type { TrustedIssuer } from './access/trusted-issuers.ts';
import { misuse } from './errors.ts';
import type { ActiveFault, FaultSpec } from './faults/faults.ts';
import type { Instance } from './instance.ts';
import type { RateLimitRule } from './limits/rate-limits.ts';
import type { Profile } from './profile.ts';
import { fieldOf } from './records/schema.ts';

/** Stored values by field name. */
export const fieldValuesSchema = z.record(z.string(), z.string());

export type FieldValues = Readonly<Record<string, string>>;

/** Records as the fake stores them, whoever may read them. */
export interface TicketControls {
  /** `key` is a sys_id, a number, a user name or a name. Throws an `invalid-input` error if there is no such record. */
  get(table: string, key: string): FieldValues;
  /** Changes stored values; a journal field (`work_notes`) gets one more note. */
  patch(table: string, key: string, changes: FieldValues): FieldValues;
  /** Sets the state, given as its value (`-1`) or its label (`Implement`). */
  move(table: string, key: string, state: string): FieldValues;
  /** Adds a record; its sys_id is made of its table and number unless given. */
  add(table: string, values: FieldValues): FieldValues;
}

export interface FaultControls {
  /** Returns the id by which the fault can be removed. */
  add(spec: FaultSpec): number;
  remove(id: number): void;
  clear(): void;
  list(): readonly ActiveFault[];
}

export interface UserControls {
  list(): readonly UserView[];
  get(userName: string): UserView;
  update(userName: string, changes: UserChanges): UserView;
}

/** Limits on requests to the Table API. */
export interface RateLimitControls {
  /** Replaces all rules, and counts anew. */
  set(rules: readonly RateLimitRule[]): void;
  list(): readonly RateLimitRule[];
}

export interface TokenControls {
  /** A refresh token as an authorization-code login would have given it; made up unless given. */
  issueRefreshToken(userName: string, clientId: string, value?: string): string;
  /** Ends a token of either kind. */
  revoke(token: string): void;
  revokeAccessTokens(): void;
}

/** What a test, or a person on the admin plane, can do to a running fake. */
export interface Controls {
  readonly tickets: TicketControls;
  readonly faults: FaultControls;
  readonly users: UserControls;
  readonly tokens: TokenControls;
  readonly rateLimits: RateLimitControls;
  readonly issuers: { trust(issuer: TrustedIssuer): void };
  readonly profile: { get(): Profile; update(changes: Partial<Profile>): Profile };
}

export function controlsOf(instance: Instance): Controls {
  const { records, accounts, faults, oauth, issuers, rateLimits } = instance;
  const patch = (table: string, key: string, changes: FieldValues): FieldValues => {
    const row = records.require(table, key);
    records.update(row, changes, 'admin');
    return records.snapshot(row);
  };
  return {
    tickets: {
      get: (table, key) => records.snapshot(records.require(table, key)),
      patch,
      move: (table, key, state) =>
        patch(table, key, { state: stateValue(records.require(table, key).table, state) }),
      add: (table, values) => records.snapshot(records.insert(table, values)),
    },
    faults,
    users: accounts,
    tokens: oauth,
    rateLimits,
    issuers,
    profile: {
      get: () => instance.profile,
      update: (changes) => (instance.profile = { ...instance.profile, ...changes }),
    },
  };
}

function stateValue(table: string, state: string): string {
  const choices = fieldOf(table, 'state')?.choices ?? {};
  const named = Object.entries(choices).find(([value, label]) => value === state || label === state);
  if (named !== undefined) return named[0];
  const known = Object.entries(choices).map(([value, label]) => `${value} ${label}`);
  throw misuse(
    'fake-servicenow.unknown-state',
    `Table ${table} has no state ${state}; it has ${known.join(', ')}.`,
  );
}
