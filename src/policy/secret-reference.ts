import { RE2JS } from 're2js';

/** `env:NAME`, `file:path`; the name of the provider, and what it makes of the rest. */
const REFERENCE = /^[a-z][a-z0-9-]{0,31}:\S{1,512}$/;

/**
 * What may be printed of a reference that a task names. A password that was pasted in its place has no provider's
 * name before it, or characters that no reference needs.
 */
const PRINTABLE = /^[a-z][a-z0-9-]{0,31}:[\w./#@:+=-]{1,256}$/;

/** What stands for a `*`: a part of one segment, without any character that a provider could read as its end. */
const ANY_OF_SEGMENT = String.raw`[^/#?%\\\s\p{Z}\p{C}]+`;

/**
 * Segments by which one secret would have a second name: empty ones, `.`, and whatever begins with `..`, since
 * Kubernetes mounts each file a second time below a folder `..data`.
 */
const MOVING = /(?:^|[:/])(?:\.?(?:\/|$)|\.\.)/;

/**
 * A rule's reference as a test for the references of tasks. A `*` stands for one or more characters within a segment
 * of a path, never for a `/`: `file:servicenow/*` is every file of that folder, and none of a folder below it.
 *
 * By RE2: with four `*`, a reference that a manager has made for it would keep JavaScript's own engine for a minute.
 */
export function referenceMatcher(rule: string): (reference: string) => boolean {
  const whole = RE2JS.compile(
    rule
      .split('*')
      .map((text) => RE2JS.quote(text))
      .join(ANY_OF_SEGMENT),
  );
  return (reference) => whole.matches(reference) && !MOVING.test(reference);
}

export function isReference(text: string): boolean {
  return REFERENCE.test(text) && !MOVING.test(text);
}

/** The reference, or as much of it as is certain to be no secret. */
export function shownReference(reference: string): string {
  if (PRINTABLE.test(reference)) return reference;
  const [provider] = /^[a-z][a-z0-9-]{0,31}(?=:)/.exec(reference) ?? [];
  return provider === undefined ? '(no reference)' : `${provider}:…`;
}

/**
 * What the values behind two references may have in common. A name may be all that stands in either, so that two of one
 * name are told apart by what both of them say alone.
 */
interface Identity {
  /** With the name of the provider. More than one if the end of it can be read in two ways. */
  readonly names: readonly string[];
  /** Of Google, as it is called; undefined if it is not said, or by its number. */
  readonly project?: string | undefined;
  /** What stands behind `#`; undefined: the whole. */
  readonly member: string | undefined;
}

/** The names of these know no small and capital letters, or not on every system. */
const FOLDED = new Set(['azure', 'file', 'kubernetes']);

/** A number stands for a project of any name. */
const GCP = /^gcp:(?:projects\/(?:\d+|([^/]+))\/secrets\/)?([^/]+)/;

/** What AWS puts around the name of a secret: partition, region and account before it. */
const ARN = /^aws:arn:[^:]*:secretsmanager:[^:]*:[^:]*:secret:(.+)$/;
/** And behind it; left away it is understood as well. */
const ARN_END = /-[A-Za-z0-9]{6}$/;

/**
 * Whether two references may give the same value: by versions of one secret, by its longer name (ARN, project), by
 * letters that are the same to the provider, or since one is the whole that the other is a member of (`#name`).
 */
export function mayBeSameSecret(one: string, other: string): boolean {
  const [first, second] = [identityOf(one), identityOf(other)];
  return (
    first.names.some((name) => second.names.includes(name)) &&
    mayAgree(first.project, second.project) &&
    mayAgree(first.member, second.member)
  );
}

function mayAgree(one: string | undefined, other: string | undefined): boolean {
  return one === undefined || other === undefined || one === other;
}

function identityOf(reference: string): Identity {
  const [whole = '', ...members] = reference.split('#');
  const member = members.length === 0 ? undefined : members.join('#');
  const [provider = ''] = whole.split(':', 1);
  const [, project, gcpName] = GCP.exec(whole) ?? [];
  if (gcpName !== undefined) return { names: [`gcp:${gcpName}`], project, member };
  const [, arnName] = ARN.exec(whole) ?? [];
  if (arnName !== undefined) {
    return { names: [`aws:${arnName}`, `aws:${arnName.replace(ARN_END, '')}`], member };
  }
  const name = FOLDED.has(provider) ? whole.toLowerCase() : whole;
  // Behind the slash, Azure has the version.
  return { names: [provider === 'azure' ? name.replace(/\/.*$/, '') : name], member };
}
