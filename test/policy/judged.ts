import type { Judgement } from '../../src/policy/judgement.ts';

/** A judgement in short. */
export type Judged = [subject: Judgement['subject'], asked: string, allowed: boolean];

export function asked(judgement: Judgement): Judged {
  return [judgement.subject, judgement.asked, judgement.allowed];
}
