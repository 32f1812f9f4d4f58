import { forgetOldest } from '../../kit/bounds.ts';
import { untilEpochMs, type HttpResponse } from '../../kit/http-exchange.ts';

/** Rules of one instance that are remembered; an integration user seldom falls under more than one. */
const MAX_RULES = 50;

interface Window {
  /** As the server wrote it: another value is another window. */
  readonly reset: string;
  used: number;
}

/**
 * Own account of what ServiceNow's rate limit rules leave. Every answer under a rule names the rule, its limit and
 * the end of its window, but never what remains, and the server itself counts in steps of half a minute: whoever
 * waits for its 429 has already taken from the hour what others need.
 */
export class RateRules {
  readonly #windows = new Map<string, Window>();

  /**
   * Counts one answer.
   *
   * @param nowMs wall time, to measure from if the server sent no `Date`
   * @returns milliseconds until the window ends, if this delegate has used up the limit itself; undefined otherwise
   */
  exhaustedForMs({ headers }: Pick<HttpResponse, 'headers'>, nowMs: number): number | undefined {
    const { 'x-ratelimit-limit': limit = '', 'x-ratelimit-reset': reset = '' } = headers;
    const leftMs = untilEpochMs(headers, 'x-ratelimit-reset', nowMs);
    if (!/^\d{1,12}$/.test(limit) || leftMs === undefined) return undefined;
    const rule = headers['x-ratelimit-rule'] ?? '';
    const known = this.#windows.get(rule);
    const window = known?.reset === reset ? known : { reset, used: 0 };
    window.used += 1;
    this.#windows.delete(rule);
    this.#windows.set(rule, window);
    forgetOldest(this.#windows, MAX_RULES);
    return window.used >= Number(limit) && leftMs > 0 ? leftMs : undefined;
  }
}
