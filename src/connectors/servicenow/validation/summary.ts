import type { ErrorCategory, WireError } from '../../../kit/errors.ts';

/** Together with what stands between them they stay under 500 characters. */
const MAX_MESSAGE_CHARS = 260;
const MAX_REMEDY_CHARS = 180;

/** What it was, in a word: where the code says it more exactly than its category. The first that fits counts. */
const SUBJECTS_BY_CODE: readonly (readonly [prefix: string, subject: string])[] = [
  ['servicenow.hibernating', 'Hibernation'],
  ['servicenow.sign-on-page', 'Sign-on page'],
  ['servicenow.waking', 'Hibernation'],
  ['key-material.certificate', 'Certificate'],
  ['key-material.', 'Private key'],
  ['tls.handshake', 'Network'],
  ['tls.', 'Certificate'],
  ['network.', 'Network'],
  ['http.', 'Network'],
  ['token.redirected', 'Token URL'],
  ['token.not-json', 'Token URL'],
  ['token.not-found', 'Token URL'],
];

const SUBJECTS: Readonly<Record<ErrorCategory, string>> = {
  credentials: 'Credentials',
  permission: 'Permission',
  'not-found': 'URL',
  'invalid-input': 'Settings',
  refused: 'Refused',
  throttled: 'Throttling',
  unavailable: 'Unavailable',
  'not-servicenow': 'URL',
  'bad-response': 'Broken answer',
  ambiguous: 'Unknown outcome',
  policy: 'Policy',
  secret: 'Secret',
  timeout: 'Timeout',
  cancelled: 'Cancelled',
  internal: 'Defect',
};

/**
 * One sentence for whoever saves a connector: what it was, what happened, and the first thing to do. Everything
 * else stands apart in the errors.
 *
 * @param errors at least one, in the order in which they were met; the others follow from the first, or come after it
 * @param suspicion what the first error most likely comes from, if that is not in its own text
 */
export function summaryOf(
  errors: readonly [WireError, ...WireError[]],
  scrub: (text: string) => string,
  suspicion?: Suspicion,
): string {
  const [first, ...others] = errors;
  const happened = bounded(first.message, MAX_MESSAGE_CHARS, scrub);
  const remedy = bounded(suspicion?.remedy ?? firstSentence(first.hint ?? ''), MAX_REMEDY_CHARS, scrub);
  const summary = [
    `${suspicion?.subject ?? subjectOf(first)}: ${happened}`,
    ...(suspicion === undefined ? [] : [`, most likely because ${suspicion.because}`]),
    ...(remedy === '' ? [] : [`; ${uncapitalised(remedy)}`]),
    ...(others.length === 0 ? [] : [` (and ${others.length} more)`]),
  ].join('');
  return summary.endsWith('…') ? summary : `${summary}.`;
}

export interface Suspicion {
  subject: string;
  /** A clause without its full stop. */
  because: string;
  remedy: string;
}

function subjectOf({ code, category }: WireError): string {
  return SUBJECTS_BY_CODE.find(([prefix]) => code.startsWith(prefix))?.[1] ?? SUBJECTS[category];
}

/** Without its full stop. Scrubbed before it is cut: half a secret is not found any more. */
function bounded(text: string, maxChars: number, scrub: (text: string) => string): string {
  const clean = scrub(text)
    .replace(/[\p{C}\p{Z}]+/gu, ' ')
    .trim()
    .replace(/[.;:]+$/, '');
  if (clean.length <= maxChars) return clean;
  const cut = clean.slice(0, maxChars - 1);
  const lastSpace = cut.lastIndexOf(' ');
  // Between words, unless one of them is an address that would leave nothing over.
  return `${lastSpace > maxChars / 2 ? cut.slice(0, lastSpace) : cut.toWellFormed()}…`;
}

/** A full stop inside an address or a file's name is followed by no space. */
function firstSentence(text: string): string {
  return text.split(/(?<=\.)\s+(?=[A-Z])/, 1)[0] ?? '';
}

/** Not so before a name ("AD FS", "Entra ID", "ServiceNow"), which a plain word doesn't follow, or isn't one. */
function uncapitalised(text: string): string {
  return /^[A-Z][a-z]*[:,]? [a-z]/.test(text) ? text.charAt(0).toLowerCase() + text.slice(1) : text;
}
