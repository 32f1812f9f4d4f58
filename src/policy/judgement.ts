import { DelegateError } from '../kit/errors.ts';

/** What a task wants, as a policy speaks of it. */
export type Subject = 'instance' | 'task' | 'table' | 'token server' | 'secret';

/** What the policy says of one thing that a task wants: the rule that allows it, or why it is denied. */
export type Judgement = { readonly subject: Subject; readonly asked: string } & (
  | { readonly allowed: true; readonly rule: string }
  | { readonly allowed: false; readonly denial: DelegateError }
);

/**
 * @param decide answers the rule that allows it, or throws a `policy` error
 */
export function judge(subject: Subject, asked: string, decide: () => string): Judgement {
  try {
    return { subject, asked, allowed: true, rule: decide() };
  } catch (thrown) {
    if (!(thrown instanceof DelegateError)) throw thrown;
    return { subject, asked, allowed: false, denial: thrown };
  }
}

/** The rules of judgements that all allow; throws the first denial. */
export function rulesOf(judgements: readonly Judgement[]): readonly string[] {
  return judgements.map((judgement) => {
    if (!judgement.allowed) throw judgement.denial;
    return judgement.rule;
  });
}
