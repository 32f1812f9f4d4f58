import { hash } from 'node:crypto';

/** Hex digits of 48 bits, the most that a number holds of a hash without rounding in whole bytes. */
const HEX_DIGITS = 12;

/**
 * The same number for the same text, in every process: whole, spread evenly over 0 to 2^48 - 1.
 */
export function spread(text: string): number {
  return Number.parseInt(hash('sha256', text, 'hex').slice(0, HEX_DIGITS), 16);
}

/**
 * Rendezvous hashing: the delegate with the highest score is the affinity's own, the next highest takes what it
 * has no room for. Nothing is remembered, so managers agree across restarts; and a delegate that joins or leaves
 * moves its own share alone, where a number modulo their count would move nearly all.
 */
export function affinityScore(affinity: string, delegateId: string): number {
  return spread(`${affinity}\n${delegateId}`);
}
