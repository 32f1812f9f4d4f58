import { wrap, type DelegateError } from '../../kit/errors.ts';

export const STATUSES = ['PASS', 'WARN', 'FAIL', 'SKIP'] as const;
export type Status = (typeof STATUSES)[number];

interface Told {
  /** What was found, in one sentence. */
  readonly summary: string;
  /** More of it, a line each. */
  readonly details?: readonly string[];
  /** Of docs/errors.md, where an error led here. */
  readonly code?: string;
}

/** What one check has to say. Whatever is not in order comes with what to do about it. */
export type Finding = Told &
  (
    | { readonly status: 'PASS'; readonly action?: never }
    | { readonly status: Exclude<Status, 'PASS'>; readonly action: string }
  );

export type CheckResult = Finding & { readonly id: string; readonly durationMs: number };

/** Without a secret that a stranger's text may have held. Before it is laid out: a value with a line break in it hides. */
export function scrubbed(result: CheckResult, scrub: (text: string) => string): CheckResult {
  const { id, summary, details } = result;
  const texts = {
    id: scrub(id),
    summary: scrub(summary),
    ...(details === undefined ? {} : { details: details.map(scrub) }),
  };
  return result.status === 'PASS'
    ? { ...result, ...texts }
    : { ...result, ...texts, action: scrub(result.action) };
}

export function pass(summary: string, details: readonly string[] = []): Finding {
  return { status: 'PASS', summary, ...someOf(details) };
}

export function warn(summary: string, action: string, details: readonly string[] = []): Finding {
  return { status: 'WARN', summary, action, ...someOf(details) };
}

export function fail(summary: string, action: string, details: readonly string[] = []): Finding {
  return { status: 'FAIL', summary, action, ...someOf(details) };
}

export function skip(summary: string, action: string): Finding {
  return { status: 'SKIP', summary, action };
}

/** An error as a finding: its message is what happened, its hint is what to do. */
export function failure(
  thrown: unknown,
  more: { action?: string; details?: readonly string[] } = {},
): Finding {
  const { message, hint, code }: DelegateError = wrap(thrown);
  const action = more.action ?? hint ?? `docs/errors.md explains ${code}.`;
  return { ...fail(message, action, more.details), code };
}

/** As long as a check has nothing to look at; `because` is the check that says why. */
export function skipBecauseOf(because: string, what: string): Finding {
  return skip(`${what} was not looked at.`, `Mend what "${because}" says first.`);
}

function someOf(details: readonly string[]): { details?: readonly string[] } {
  return details.length === 0 ? {} : { details };
}
