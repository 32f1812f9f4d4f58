import type { UserView } from '../access/accounts.ts';
import type { Profile } from '../profile.ts';
import type { Records, Row } from '../records/store.ts';

/** The rows of one answer before they are shaped, and the fields that nobody gets to see. A fault may change both. */
export interface Reading {
  readonly rows: readonly Row[];
  readonly hidden: ReadonlySet<string>;
}

/** What one request to the API is answered from. */
export interface ApiContext {
  readonly records: Records;
  readonly user: UserView;
  readonly profile: Profile;
  readonly origin: string;
  /** Counts requests; seeds the order in which unordered rows come. */
  readonly sequence: number;
  /** Milliseconds since the epoch. */
  readonly nowMs: number;
  readonly tamper: (reading: Reading) => Reading;
}
