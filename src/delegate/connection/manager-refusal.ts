import { DelegateError } from '../../kit/errors.ts';
import type { AfterClose } from '../../protocol/close-codes.ts';
import { refusalSchema, REVOKED } from '../../protocol/refusal.ts';
import { MANAGER_REFUSAL_ERRORS } from '../errors.ts';

export interface ManagerRefusalOptions {
  status: number;
  next: AfterClose;
  /** Where the usual remedy of the code is not exact enough. */
  hint?: string;
  retryAfterMs?: number | undefined;
  managerDateMs?: number | undefined;
}

/**
 * Why the manager did not let the delegate in, and what to do next. The status alone does not say that: 401 asks
 * for another token when it answers a connect, and for a person when it answers an enrolment.
 */
export class ManagerRefusal extends DelegateError {
  readonly next: AfterClose;
  /** Milliseconds that the manager asked to wait; undefined if it named none. */
  readonly retryAfterMs: number | undefined;
  /**
   * What the manager's clock said when it refused a connect token, milliseconds since the epoch; undefined if it
   * did not say, or refused for another reason. Tokens expire by that clock.
   */
  readonly managerDateMs: number | undefined;

  constructor(code: keyof typeof MANAGER_REFUSAL_ERRORS, message: string, options: ManagerRefusalOptions) {
    const { category, retryable, remedy } = MANAGER_REFUSAL_ERRORS[code];
    super(code, message, { category, retryable, hint: options.hint ?? remedy, status: options.status });
    this.next = options.next;
    this.retryAfterMs = options.retryAfterMs;
    this.managerDateMs = options.managerDateMs;
  }
}

/**
 * HTTP 403. A manager that revokes says so in the body: the work that runs is ended for that, and for nothing that a
 * firewall between may answer on a whim. Both are asked again at the slowest pace.
 *
 * @param body as far as it was read
 */
export function forbidden(body: string): ManagerRefusal {
  const refusal = refusalSchema.safeParse(parseOrUndefined(body));
  const isRevoked = refusal.success && refusal.data.error.code === REVOKED;
  const status = { status: 403, next: 'slowest-pace' } as const;
  return isRevoked
    ? new ManagerRefusal('revoked', 'The manager has revoked this delegate.', status)
    : new ManagerRefusal('forbidden', 'HTTP 403, and not in the words of a manager.', status);
}

/** The JSON of a body; undefined for what is none. */
export function parseOrUndefined(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
