import { expect } from 'chai';
import { DelegateError } from '../../src/kit/errors.ts';

/** Whatever the work rejects with; the test fails if it doesn't. */
export async function rejectionOf(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => expect.fail('was fulfilled'),
    (reason: unknown) => reason,
  );
}

/** The coded error that the work rejects with; the test fails if it does anything else. */
export async function failureOf(work: Promise<unknown>): Promise<DelegateError> {
  const outcome: unknown = await work.catch((error: unknown) => error);
  if (outcome instanceof DelegateError) return outcome;
  throw new Error('there was no coded failure', { cause: outcome });
}
