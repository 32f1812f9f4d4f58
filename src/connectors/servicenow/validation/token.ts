import { jwtFacts, type JwtFacts } from '../../../oauth/jwt-facts.ts';
import type { Authentication } from '../auth/method.ts';
import type { CheckList } from './check-list.ts';

const TITLE = 'Token is issued';

/** The authentication again, if its token server gives it a token now; one from before would prove nothing. */
export async function checkToken(
  authentication: Authentication | undefined,
  scrub: (text: string) => string,
  list: CheckList,
): Promise<Authentication | undefined> {
  if (authentication === undefined) {
    list.skip('token', TITLE);
    return undefined;
  }
  return await list.run('token', TITLE, async ({ signal }) => {
    const { bearer } = await authentication.authorize(signal, { anew: true });
    return { value: authentication, detail: describe(bearer && jwtFacts(bearer, scrub)) };
  });
}

/** What the token says of itself: what a person compares with the OIDC entity when ServiceNow refuses it. */
function describe(facts: JwtFacts | undefined): string {
  if (facts === undefined) return 'opaque token';
  const claims = Object.entries(facts.userClaims).map(([name, value]) => `${name} ${value}`);
  return [
    `iss ${facts.issuer ?? 'none'}`,
    `aud ${facts.audience.join(' ') || 'none'}`,
    `exp ${facts.expiresAt ?? 'none'}`,
    ...claims,
  ].join(', ');
}
