import { DelegateError } from '../../kit/errors.ts';
import type { AfterClose } from '../../protocol/close-codes.ts';
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

/** HTTP 403 to enrolment or connect, and close code 4403. */
export function revoked(): ManagerRefusal {
  return new ManagerRefusal('revoked', 'The manager has revoked this delegate.', {
    status: 403,
    next: 'slowest-pace',
  });
}
