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

  /**
   * The same error for somebody who knows less, or needs to know more: what is given takes the place of what was said,
   * details are added. The error itself is the cause.
   */
  retold(words: { message?: string; hint?: string; details?: ErrorDetails }): DelegateError {
    return new DelegateError(this.code, words.message ?? this.message, {
      category: this.category,
      retryable: this.retryable,
      hint: words.hint ?? this.hint,
      status: this.status,
      details: words.details === undefined ? this.details : { ...this.details, ...words.details },
      cause: this,
    });
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

/** What is the same of every error of one code, and how docs/errors.md explains it. */
export interface ErrorKind {
  readonly category: ErrorCategory;
  /** Default: false. */
  readonly retryable?: boolean;
  /** What happened, for whoever looks the code up: one or two sentences that hold for every case. */
  readonly means: string;
  /** What to do about it. The `hint` too, wherever the place that fails has nothing more exact to say. */
  readonly remedy: string;
}

/** The codes of one room, by code. */
export type ErrorKinds = Readonly<Record<string, ErrorKind>>;

/** What only the place that fails can tell; category and retryable where they differ from the kind's usual ones. */
export type ErrorFacts = Partial<DelegateErrorOptions>;

/** Makes the errors of one room: a code that its table does not explain does not compile. */
export function errorsOf<K extends ErrorKinds>(
  kinds: K,
): (code: keyof K & string, message: string, facts?: ErrorFacts) => DelegateError {
  return (code, message, facts = {}) => {
    const kind: ErrorKind | undefined = kinds[code];
    if (kind === undefined) throw new TypeError(`${code} is not among the errors of this room`);
    const { category, retryable = false, remedy } = kind;
    return new DelegateError(code, message, { category, retryable, ...facts, hint: facts.hint ?? remedy });
  };
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
