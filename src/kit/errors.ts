/**
 * Errors answer questions: what happened (`code`, `message`), what kind of remedy it needs (`category`,
 * `retryable`), what the reader can do (`hint`). Nothing in the project decides on message text.
 */

/** The closed list of categories that travels on the wire (PROTOCOL.md, section 3.3). */
export const ERROR_CATEGORIES = [
  'credentials',
  'permission',
  'not-found',
  'invalid-input',
  'refused',
  'throttled',
  'unavailable',
  'not-servicenow',
  'bad-response',
  'ambiguous',
  'policy',
  'secret',
  'timeout',
  'cancelled',
  'internal',
] as const;

export type ErrorCategory = (typeof ERROR_CATEGORIES)[number];

/** Facts that may be printed and sent: plain JSON, never a secret. */
export type ErrorDetails = Readonly<Record<string, string | number | boolean | null | readonly string[]>>;

/** The form in which an error crosses the wire, is logged and is stored. */
export interface WireError {
  /** Stable kebab-case code, optionally with a dotted owner: `timeout`, `servicenow.field-missing`. */
  code: string;
  /** What happened, in one sentence. */
  message: string;
  /** What the reader can do about it. */
  hint?: string | undefined;
  category: ErrorCategory;
  /** Whether the same attempt may succeed later with nothing changed. */
  retryable: boolean;
  /** HTTP status that led here, if one did. */
  status?: number | undefined;
  details?: ErrorDetails | undefined;
}

export interface DelegateErrorOptions {
  category: ErrorCategory;
  retryable?: boolean;
  hint?: string | undefined;
  status?: number | undefined;
  details?: ErrorDetails | undefined;
  cause?: unknown;
}

export class DelegateError extends Error {
  override readonly name = 'DelegateError';
  readonly code: string;
  readonly category: ErrorCategory;
  readonly retryable: boolean;
  readonly hint: string | undefined;
  readonly status: number | undefined;
  readonly details: ErrorDetails | undefined;

  constructor(code: string, message: string, options: DelegateErrorOptions) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.category = options.category;
    this.retryable = options.retryable ?? false;
    this.hint = options.hint;
    this.status = options.status;
    this.details = options.details;
  }

  /** The error without stack and cause, whose text may come from strangers. */
  toWire(): WireError {
    return {
      code: this.code,
      message: this.message,
      ...(this.hint === undefined ? {} : { hint: this.hint }),
      category: this.category,
      retryable: this.retryable,
      ...(this.status === undefined ? {} : { status: this.status }),
      ...(this.details === undefined ? {} : { details: this.details }),
    };
  }
}

/**
 * Anything thrown, as a `DelegateError`. A foreign error becomes `internal`: its text stays in `cause`, for the
 * log (scrubbed) alone, because nobody vouches for what a library writes into a message.
 */
export function wrap(thrown: unknown): DelegateError {
  if (thrown instanceof DelegateError) return thrown;
  const kind = thrown instanceof Error ? thrown.name : typeof thrown;
  return new DelegateError('internal', `The delegate met an unexpected ${kind}.`, {
    category: 'internal',
    hint: 'The delegate log has the details under this task; report it if it happens again.',
    cause: thrown,
  });
}

/** The `code` of a Node system error (`ECONNREFUSED`, `ENOSPC`), looked up through nested causes. */
export function systemCode(thrown: unknown): string | undefined {
  for (let error = thrown, depth = 0; error instanceof Error && depth < 8; error = error.cause, depth += 1) {
    const code: unknown = 'code' in error ? error.code : undefined;
    if (typeof code === 'string' && !(error instanceof DelegateError)) return code;
  }
  return undefined;
}

/** What went wrong in the fewest words, for whoever runs the delegate: a stack tells them nothing of their disk. */
export function reasonOf(thrown: unknown): string {
  return systemCode(thrown) ?? (thrown instanceof Error ? thrown.message : String(thrown));
}
