import type { IncomingHttpHeaders } from 'node:http';
import type { ReceivedRequest, Route } from './http/request.ts';

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
  /** Requests that were under way when this one came, itself included. */
  readonly inFlight: number;
}

/** What the requests amount to, for whoever asks how hard a client works an instance. */
export interface Traffic {
  readonly requests: number;
  /** Requests under way at once, at the worst moment. */
  readonly highestInFlight: number;
  /** Lists read, by table. */
  readonly lists: Readonly<Record<string, number>>;
  /** Single records read, by table. */
  readonly records: Readonly<Record<string, number>>;
  /** Requests for a token. */
  readonly tokens: number;
}

export type OpenEntry = { -readonly [K in keyof JournalEntry]: JournalEntry[K] };

/** Bound on the entries kept; the oldest go first. */
const MAX_ENTRIES = 10_000;

/** What clients have sent: the evidence that tests judge by. */
export class Journal {
  readonly #entries: { entry: OpenEntry; route: Route }[] = [];
  #lastId = 0;
  #inFlight = 0;

  open(request: ReceivedRequest, at: number): OpenEntry {
    this.#lastId += 1;
    this.#inFlight += 1;
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
      inFlight: this.#inFlight,
    };
    this.#entries.push({ entry, route: request.route });
    if (this.#entries.length > MAX_ENTRIES) this.#entries.shift();
    return entry;
  }

  /** To be called once for each entry, when its request is over. */
  close(entry: OpenEntry, durationMs: number): void {
    this.#inFlight -= 1;
    entry.durationMs = durationMs;
  }

  /** Oldest first. */
  read(): JournalEntry[] {
    return this.#entries.map(({ entry }) => ({ ...entry }));
  }

  traffic(): Traffic {
    const reads = this.#entries.flatMap(({ entry, route }) =>
      route.to === 'table' && entry.method === 'GET' ? [route] : [],
    );
    const tablesOf = (wanted: (route: { sysId: string | undefined }) => boolean): Record<string, number> => {
      const counts: Record<string, number> = {};
      for (const { table } of reads.filter(wanted)) counts[table] = (counts[table] ?? 0) + 1;
      return counts;
    };
    return {
      requests: this.#entries.length,
      highestInFlight: Math.max(0, ...this.#entries.map(({ entry }) => entry.inFlight)),
      lists: tablesOf(({ sysId }) => sysId === undefined),
      records: tablesOf(({ sysId }) => sysId !== undefined),
      tokens: this.#entries.filter(({ route }) => route.to === 'token').length,
    };
  }

  clear(): void {
    this.#entries.length = 0;
  }
}
