import type { IncomingHttpHeaders } from 'node:http';
import type { ReceivedRequest } from './http/request.ts';

/** One request as it arrived, and what became of it. */
export interface JournalEntry {
  /** From 1, in order of arrival. */
  readonly id: number;
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly method: string;
  readonly path: string;
  /** Path and query as sent. */
  readonly target: string;
  /** Decoded; of a repeated parameter the last. */
  readonly query: Readonly<Record<string, string>>;
  readonly headers: Readonly<IncomingHttpHeaders>;
  readonly cookies: Readonly<Record<string, string>>;
  readonly body: string;
  /** Whom the request was answered as; null if nobody. */
  readonly user: string | null;
  /** Null while there is no answer, and if there never was one. */
  readonly status: number | null;
  /** Names of the faults that struck. */
  readonly faults: readonly string[];
  /** Until the last byte was handed over or the connection was gone; null while it is under way. */
  readonly durationMs: number | null;
}

export type OpenEntry = { -readonly [K in keyof JournalEntry]: JournalEntry[K] };

/** Bound on the entries kept; the oldest go first. */
const MAX_ENTRIES = 10_000;

/** What clients have sent: the evidence that tests judge by. */
export class Journal {
  readonly #entries: OpenEntry[] = [];
  #lastId = 0;

  open(request: ReceivedRequest, at: number): OpenEntry {
    this.#lastId += 1;
    const entry: OpenEntry = {
      id: this.#lastId,
      at,
      method: request.method,
      path: request.path,
      target: request.target,
      query: Object.fromEntries(request.search),
      headers: request.headers,
      cookies: request.cookies,
      body: request.body,
      user: null,
      status: null,
      faults: [],
      durationMs: null,
    };
    this.#entries.push(entry);
    if (this.#entries.length > MAX_ENTRIES) this.#entries.shift();
    return entry;
  }

  /** Oldest first. */
  read(): JournalEntry[] {
    return this.#entries.map((entry) => ({ ...entry }));
  }

  clear(): void {
    this.#entries.length = 0;
  }
}
