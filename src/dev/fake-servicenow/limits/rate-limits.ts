import { z } from 'zod';
import type { UserView } from '../access/accounts.ts';
import type { Reply } from '../http/reply.ts';
import { sysIdFor } from '../records/store.ts';

const HOUR_MS = 3_600_000;

/** How often one user may call the Table API in an hour. With neither `user` nor `role` it holds for everybody. */
export const rateLimitRuleSchema = z.strictObject({
  user: z.string().optional(),
  role: z.string().optional(),
  requestsPerHour: z.number().int().min(0),
});

export type RateLimitRule = z.infer<typeof rateLimitRuleSchema>;

/** A request that falls under a rule. */
export interface Verdict {
  readonly exceeded: boolean;
  readonly requestsPerHour: number;
  /** On every answer; there is none that tells how many requests are left. */
  readonly headers: Reply['headers'];
  readonly retryAfterS: number;
}

/** Rate-limit rules and what has been counted under them since the hour began. */
export class RateLimits {
  #rules: readonly RateLimitRule[] = [];
  /** Requests by rule and user, in the hour that `#hour` numbers. */
  readonly #counts = new Map<string, number>();
  #hour = 0;

  /** Replaces all rules, and counts anew. */
  set(rules: readonly RateLimitRule[]): void {
    this.#rules = rules;
    this.#counts.clear();
  }

  list(): readonly RateLimitRule[] {
    return this.#rules;
  }

  /** Counts one request of this user; undefined if no rule holds for them. */
  count(user: UserView, nowMs: number): Verdict | undefined {
    const rule = this.#ruleFor(user);
    if (rule === undefined) return undefined;
    const hour = Math.floor(nowMs / HOUR_MS);
    if (hour !== this.#hour) this.#counts.clear();
    this.#hour = hour;

    const ruleId = sysIdFor('sys_rate_limit_rules', JSON.stringify(rule));
    const key = `${ruleId} ${user.userName}`;
    const count = (this.#counts.get(key) ?? 0) + 1;
    this.#counts.set(key, count);
    const resetS = ((hour + 1) * HOUR_MS) / 1_000;
    return {
      exceeded: count > rule.requestsPerHour,
      requestsPerHour: rule.requestsPerHour,
      headers: [
        ['X-RateLimit-Limit', String(rule.requestsPerHour)],
        ['X-RateLimit-Reset', String(resetS)],
        ['X-RateLimit-Rule', ruleId],
      ],
      retryAfterS: Math.ceil(resetS - nowMs / 1_000),
    };
  }

  /** One user's rule goes before a role's, a role's before everybody's; of several roles the lowest limit holds. */
  #ruleFor(user: UserView): RateLimitRule | undefined {
    const own = this.#rules.filter((rule) => rule.user === user.userName);
    const ofRoles = this.#rules.filter(({ role }) => role !== undefined && user.roles.includes(role));
    const ofAll = this.#rules.filter((rule) => rule.user === undefined && rule.role === undefined);
    const closest = [own, ofRoles, ofAll].find((rules) => rules.length > 0);
    return closest?.toSorted((a, b) => a.requestsPerHour - b.requestsPerHour)[0];
  }
}
