import { DelegateError } from '../kit/errors.ts';

/** Why the manager did not let the delegate in, and how soon to ask again. */
export class ManagerRefusal extends DelegateError {
  /** Milliseconds that the manager asked to wait; undefined if it named none. */
  readonly retryAfterMs: number | undefined;

  constructor(
    code: string,
    message: string,
    options: { status: number; hint: string; retryAfterMs?: number | undefined },
  ) {
    super(code, message, {
      category: 'unavailable',
      retryable: true,
      hint: options.hint,
      status: options.status,
    });
    this.retryAfterMs = options.retryAfterMs;
  }
}

/** HTTP 403 to enrolment or connect, and close code 4403. */
export function revoked(): ManagerRefusal {
  return new ManagerRefusal('revoked', 'The manager has revoked this delegate.', {
    status: 403,
    hint: 'Ask the owner of the manager; to come back as a new delegate, empty the state folder and use a new token.',
  });
}
