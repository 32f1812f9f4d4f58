import type { Clock } from '../../kit/time.ts';
import { TASK_SIGNATURE_SKEW_S } from '../../protocol/limits.ts';
import type { TaskAssign, TaskRef } from '../../protocol/messages.ts';
import { TakenSignatures, type SignatureMarks, type TakenMark } from '../journal/taken-signatures.ts';
import { judgeSignature, type SignatureRules, type SignatureVerdict } from './task-signature.ts';

/** Lets a signature through if it is right, and once. */
export class SignatureGate {
  readonly #rules: () => Promise<SignatureRules>;
  readonly #clock: Clock;
  #taken = new TakenSignatures();

  constructor(rules: () => Promise<SignatureRules>, clock: Clock) {
    this.#rules = rules;
    this.#clock = clock;
  }

  /** Takes up what the run before has left. */
  recall(marks: SignatureMarks): void {
    this.#taken = TakenSignatures.from(marks);
  }

  /** Whether it is right; whether it was used before is for `faultOf`. */
  async judge(assign: TaskAssign): Promise<SignatureVerdict> {
    const nowS = this.#taken.judgedAtS(this.#clock.now() / 1_000);
    return await judgeSignature(assign, await this.#rules(), nowS);
  }

  /** Why the task is not to be taken. Holds for this turn alone: another session may bring the same frame. */
  faultOf(ref: TaskRef, verdict: SignatureVerdict): string | undefined {
    if (verdict.is === 'fault') return verdict.why;
    return verdict.is === 'good' ? this.#taken.faultOf(ref, verdict.term.issuedAtS) : undefined;
  }

  /** From now on it was used. Gives what the journal is to keep of it; undefined of a task that need not be signed. */
  take(ref: TaskRef, verdict: SignatureVerdict): TakenMark | undefined {
    if (verdict.is !== 'good') return undefined;
    const mark = {
      untilS: verdict.term.expiresAtS + TASK_SIGNATURE_SKEW_S,
      takenAtS: this.#clock.now() / 1_000,
    };
    this.#taken.take(ref, mark);
    return mark;
  }
}
