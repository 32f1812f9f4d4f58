import { DelegateError } from '../../kit/errors.ts';
import type { AfterClose } from '../../protocol/close-codes.ts';

export interface ManagerRefusalOptions {
  status: number;
  next: AfterClose;
  hint: string;
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

  constructor(code: string, message: string, options: ManagerRefusalOptions) {
    super(code, message, {
      category: 'unavailable',
      retryable: true,
      hint: options.hint,
      status: options.status,
    });
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
    hint: 'Ask the owner of the manager; to come back as a new delegate, empty the state folder and use a new token.',
  });
}
