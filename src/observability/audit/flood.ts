import type { AuditEvent } from './events.ts';

/** How many of one kind are told in full within one window; the others are counted. */
export const TOLD_IN_FULL = 20;
export const WINDOW_MS = 60_000;
/** Kinds that are told apart within one window. */
const MAX_KINDS = 200;

/** Events that cost a stranger nothing, so that a flood of them could drive the older records out of the log. */
const CHEAP: ReadonlySet<AuditEvent['event']> = new Set([
  'refused',
  'policy-denied',
  'connected',
  'disconnected',
  'revoked',
  'secret-replaced',
]);

interface Kind {
  readonly of: string;
  readonly code: string | null;
  readonly rule: string | null;
  told: number;
  kept: { count: number; readonly from: string; to: string } | undefined;
}

/** Lets the first events of each kind through and counts the rest, window by window. A kind is event, code and rule. */
export class FloodGate {
  #kinds = new Map<string, Kind>();

  /** Whether somebody has to end the window. */
  get isCounting(): boolean {
    return this.#kinds.size > 0;
  }

  /**
   * Whether the event is to be told in full.
   *
   * @param time RFC 3339
   */
  admits(event: AuditEvent, time: string): boolean {
    if (!CHEAP.has(event.event)) return true;
    const kind = this.#kindOf(event);
    if (kind.told < TOLD_IN_FULL) {
      kind.told += 1;
      return true;
    }
    kind.kept ??= { count: 0, from: time, to: time };
    kind.kept.count += 1;
    kind.kept.to = time;
    return false;
  }

  /** Ends the window: a record for each kind of which events were kept back. */
  endWindow(): AuditEvent[] {
    const kinds = [...this.#kinds.values()];
    this.#kinds = new Map();
    return kinds.flatMap(({ of, code, rule, kept }) =>
      kept === undefined ? [] : [{ event: 'repeated' as const, of, code, rule, ...kept }],
    );
  }

  #kindOf(event: AuditEvent): Kind {
    const of = event.event;
    const code = 'code' in event && event.code !== null ? String(event.code) : null;
    const rule = 'rule' in event ? event.rule : null;
    const key = JSON.stringify([of, code, rule]);
    const known = this.#kinds.get(key);
    if (known !== undefined) return known;
    const isFull = this.#kinds.size >= MAX_KINDS;
    const shared = isFull ? this.#kinds.get(OTHERS) : undefined;
    const kind = shared ?? { of: isFull ? OTHERS : of, code, rule, told: 0, kept: undefined };
    this.#kinds.set(isFull ? OTHERS : key, kind);
    return kind;
  }
}

/** What stands for all kinds beyond the bound. */
const OTHERS = 'others';
