import { randomBytes } from 'node:crypto';
import { formsOf } from '../../kit/secret-forms.ts';
import type { Redactor } from '../../kit/secret.ts';

/** Values that were made up for this one text, and that must not be in it. */
export interface Canaries {
  readonly values: readonly string[];
  /** They themselves, in the forms in which secrets are seen: to stand in the text that is to be scrubbed. */
  readonly lines: readonly string[];
}

/**
 * One of each kind that secrets have: a token, a password with what JSON, URLs and shells change, one beyond ASCII, and
 * a key in lines. Made anew each time, so that nobody can have written a rule for them.
 */
export function plantCanaries(redactor: Pick<Redactor, 'register'>): Canaries {
  const random = (bytes: number): string => randomBytes(bytes).toString('base64url');
  const values = [
    `canary-${random(18)}`,
    `Canary "${random(9)}" & \\${random(9)}/%+`,
    `Känarie-${random(12)}-ß`,
    [
      '-----BEGIN CANARY KEY-----',
      randomBytes(48).toString('base64'),
      randomBytes(48).toString('base64'),
      '-----END CANARY KEY-----',
    ].join('\n'),
  ];
  for (const value of values) redactor.register(value);
  return {
    values,
    lines: values.flatMap((value) => [...spellingsOf(value)].map((form) => form.replaceAll('\n', '\\n'))),
  };
}

/** What the redactor looks for, and what it undoes while it looks. */
function spellingsOf(value: string): Set<string> {
  return new Set([
    ...formsOf(value).keys(),
    JSON.stringify(value),
    encodeURIComponent(value),
    new URLSearchParams({ v: value }).toString(),
    `Basic ${Buffer.from(`canary:${value}`).toString('base64')}`,
  ]);
}
