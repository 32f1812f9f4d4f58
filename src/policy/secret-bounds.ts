import type { HttpRequest } from '../kit/http-exchange.ts';
import type { Redactor } from '../kit/secret.ts';
import { policyError } from './errors.ts';
import type { Policy } from './policy.ts';

/** The same policy, with every request held to the bounds of the secrets in it. */
export function withSecretBounds(policy: Policy, redactor: Redactor): Policy {
  return {
    ...policy,
    assertRequest(exchange) {
      policy.assertRequest(exchange);
      assertSecretsStay(exchange, redactor);
    },
  };
}

/**
 * Stops a request that holds a secret which may not go to this origin, whatever code asked for it: in path, query,
 * header or body, and in any form that the redactor knows (Basic and base64, form, JSON, hex). A secret and the hosts
 * that it may go to are one thing; this looks at the bytes that would leave, and at nobody's intentions.
 */
export function assertSecretsStay({ url, headers, body }: HttpRequest, redactor: Redactor): void {
  const texts = [url.pathname, url.search, ...Object.entries(headers).flat(), body ?? ''];
  if (!texts.some((text) => redactor.isBoundElsewhere(text, url.origin))) return;
  throw policyError(
    'policy.secret-elsewhere',
    `A request to ${url.host} would have carried a secret that may not go there; it was not sent.`,
    { details: { rule: 'secret-elsewhere', host: url.host } },
  );
}
