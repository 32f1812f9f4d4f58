import { TASK_SIGNATURE_SKEW_S } from '../../protocol/limits.ts';
import type { TaskRef } from '../../protocol/messages.ts';

/** Signed attempts that are remembered at once: at 24 h for each, one every two seconds, at 5 min 160 a second. */
export const MAX_TAKEN_SIGNATURES = 50_000;

/** What a signed attempt leaves behind when it is taken. Seconds since the epoch. */
export interface TakenMark {
  /** Until when the signature would be taken again if nobody remembered it. */
  readonly untilS: number;
  /** What this machine's clock said. */
  readonly takenAtS: number;
}

/** What must outlive the journal's segments, whatever is in them. Seconds since the epoch. */
export interface SignatureMarks {
  readonly taken: readonly { readonly ref: TaskRef; readonly untilS: number }[];
  /** See `latestS`. */
  readonly latestS: number;
  /** See `lostUntilS`. */
  readonly lostUntilS: number;
}

/**
 * Of each signed task the highest attempt that this delegate has taken, until its signature has expired. A manager can
 * send a signature as often as it likes; it is worth one run, and none once a later attempt has come. Nothing is
 * forgotten early: when there is no room, nothing is taken. A signature is spent also if the disk then refuses the task.
 *
 * Time here is the highest that was seen when a signature was taken, and that one a signing key had vouched for. So a
 * clock that is set back makes nothing valid again, a clock that was far ahead for an hour does not make tomorrow's
 * signatures look expired, and a manager without the key can move nothing.
 */
export class TakenSignatures {
  /** By task id. */
  readonly #taken = new Map<string, { attempt: number; untilS: number }>();
  #latestS = 0;
  #lostUntilS = 0;

  static from({ taken, latestS, lostUntilS }: SignatureMarks): TakenSignatures {
    const restored = new TakenSignatures();
    for (const { ref, untilS } of taken) restored.take(ref, { untilS, takenAtS: 0 });
    restored.recall({ latestS, lostUntilS });
    return restored;
  }

  /** The instant by which a signature is judged, seconds since the epoch. */
  judgedAtS(clockS: number): number {
    return Math.max(clockS, this.#latestS);
  }

  /** Why the attempt is not to be taken, though its signature is good; undefined if it may be. */
  faultOf(ref: TaskRef, issuedAtS: number): string | undefined {
    const known = this.#taken.get(ref.taskId);
    if (known !== undefined && ref.attempt <= known.attempt) {
      return 'The signature was used before, or is of an attempt before one that was.';
    }
    if (issuedAtS <= this.#lostUntilS) {
      return 'The signature is older than a loss of the journal: whether it was used before is not known.';
    }
    if (known !== undefined || this.#hasRoom()) return undefined;
    return `${MAX_TAKEN_SIGNATURES} signatures are remembered until they expire; there is no room for another.`;
  }

  take(ref: TaskRef, { untilS, takenAtS }: TakenMark): void {
    const known = this.#taken.get(ref.taskId);
    this.#taken.set(ref.taskId, {
      attempt: Math.max(ref.attempt, known?.attempt ?? 0),
      untilS: Math.max(untilS, known?.untilS ?? 0),
    });
    this.#latestS = Math.max(this.#latestS, takenAtS);
  }

  /** To be said when records may be missing: signatures made until now may have been used. */
  doubt(clockS: number): void {
    this.#lostUntilS = Math.max(this.#lostUntilS, this.judgedAtS(clockS) + TASK_SIGNATURE_SKEW_S);
  }

  /** What an earlier run has left. */
  recall(marks: Pick<SignatureMarks, 'latestS' | 'lostUntilS'>): void {
    this.#latestS = Math.max(this.#latestS, marks.latestS);
    this.#lostUntilS = Math.max(this.#lostUntilS, marks.lostUntilS);
  }

  marks(): SignatureMarks {
    this.#forgetExpired();
    const taken = Array.from(this.#taken, ([taskId, { attempt, untilS }]) => ({
      ref: { taskId, attempt },
      untilS,
    }));
    return { taken, latestS: this.#latestS, lostUntilS: this.#lostUntilS };
  }

  #hasRoom(): boolean {
    if (this.#taken.size >= MAX_TAKEN_SIGNATURES) this.#forgetExpired();
    return this.#taken.size < MAX_TAKEN_SIGNATURES;
  }

  #forgetExpired(): void {
    for (const [taskId, { untilS }] of this.#taken) if (untilS < this.#latestS) this.#taken.delete(taskId);
  }
}
