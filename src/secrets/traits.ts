/** Shorter values can't be told from other words in a text, and so not be scrubbed from all of it. */
const SHORT_BELOW_CHARS = 8;
const MEDIUM_BELOW_CHARS = 16;
const LONG_BELOW_CHARS = 64;

const PLACEHOLDER =
  /^(?:change[-_ ]?(?:me|it)|todo|tbd|xxx+|\*+|\.{3,}|\u2026|placeholder|example|dummy|test|secret|password|passwort|your[-_ ].*|<.*>|\$\{.*\}|\{\{.*\}\})$/i;

/** What may be said of a value without saying it. */
export interface SecretTraits {
  /** Not the length itself: it would help whoever guesses. */
  readonly lengthClass: '1–7' | '8–15' | '16–63' | '64 or more';
  readonly isShort: boolean;
  /** What is probably a mistake. */
  readonly warnings: readonly string[];
}

export function traitsOf(value: string): SecretTraits {
  const isShort = value.length < SHORT_BELOW_CHARS;
  const warnings: readonly [boolean, string][] = [
    [isShort, 'too short to be scrubbed safely: it may be a part of other words'],
    [/[\r\n]$/.test(value), 'ends in a line break, which is sent with it'],
    [/^\s|[^\S\r\n]$/.test(value), 'begins or ends with white space, which is sent with it'],
    // PEM is ASCII, and so are nearly all secrets; another letter is often one from a word processor.
    [/[^\x20-\x7E\r\n\t]/.test(value), 'has characters beyond ASCII, which servers may read differently'],
    [PLACEHOLDER.test(value.trim()), 'looks like a placeholder'],
  ];
  return {
    lengthClass: lengthClassOf(value.length),
    isShort,
    warnings: warnings.filter(([applies]) => applies).map(([, warning]) => warning),
  };
}

function lengthClassOf(length: number): SecretTraits['lengthClass'] {
  if (length < SHORT_BELOW_CHARS) return '1–7';
  if (length < MEDIUM_BELOW_CHARS) return '8–15';
  return length < LONG_BELOW_CHARS ? '16–63' : '64 or more';
}
