import { DelegateError } from '../kit/errors.ts';
import type { Policy } from './policy.ts';

/**
 * The same policy, of whose denials somebody is told: each as it is thrown, once, wherever it ends up. A denial below
 * a task may be retried, summed up or masked by what is above it, and the operator is to see it all the same.
 */
export function tellingDenials(policy: Policy, tell: (denial: DelegateError) => void): Policy {
  const told = <A extends readonly unknown[], R>(decide: (...asked: A) => R): ((...asked: A) => R) => {
    return (...asked) => {
      try {
        return decide(...asked);
      } catch (thrown) {
        tellOf(thrown, tell);
        throw thrown;
      }
    };
  };
  const toldLater = <A extends readonly unknown[], R>(
    decide: (...asked: A) => Promise<R>,
  ): ((...asked: A) => Promise<R>) => {
    return async (...asked) => {
      try {
        return await decide(...asked);
      } catch (thrown) {
        tellOf(thrown, tell);
        throw thrown;
      }
    };
  };
  return {
    ...policy,
    authorize: told((ask) => policy.authorize(ask)),
    assertUrl: told((url) => policy.assertUrl(url)),
    assertRequest: told((exchange) => policy.assertRequest(exchange)),
    assertAddress: told((address) => policy.assertAddress(address)),
    admitSecret: toldLater((name, origins, signal) => policy.admitSecret(name, origins, signal)),
    pinSecret: toldLater((name, origins, signal) => policy.pinSecret(name, origins, signal)),
  };
}

function tellOf(thrown: unknown, tell: (denial: DelegateError) => void): void {
  if (thrown instanceof DelegateError && thrown.category === 'policy') tell(thrown);
}
