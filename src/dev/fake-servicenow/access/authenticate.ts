import { notAuthenticated } from '../http/failures.ts';
import type { Reply } from '../http/reply.ts';
import type { Profile } from '../profile.ts';
import type { Accounts, UserView } from './accounts.ts';
import { readBasic, readBearer } from './basic.ts';
import type { OAuthServer } from './oauth.ts';
import type { Sessions } from './sessions.ts';
import type { TrustedIssuers } from './trusted-issuers.ts';

/** The role without which basic authentication is refused where it is restricted. */
const BASIC_AUTH_ROLE = 'snc_basic_auth_api_access';

export interface Credentials {
  readonly authorization: string | undefined;
  readonly sessionId: string | undefined;
}

export interface Doors {
  readonly accounts: Accounts;
  readonly sessions: Sessions;
  readonly oauth: OAuthServer;
  readonly issuers: TrustedIssuers;
  readonly profile: () => Profile;
}

export type Authentication =
  { readonly user: UserView; readonly refusal?: never } | { readonly user?: never; readonly refusal: Reply };

/** Who is asking: by session cookie first, then by what the request shows. */
export async function authenticate(credentials: Credentials, doors: Doors): Promise<Authentication> {
  const inSession = doors.sessions.userOf(credentials.sessionId);
  const user = inSession === undefined ? undefined : doors.accounts.find(inSession);
  if (user !== undefined) return { user };

  const basic = readBasic(credentials.authorization);
  if (basic !== undefined) return byPassword(basic, doors);
  const token = readBearer(credentials.authorization);
  return token === undefined ? { refusal: notAuthenticated() } : byToken(token, doors);
}

function byPassword(basic: { user: string; password: string }, doors: Doors): Authentication {
  const user = doors.accounts.logIn(basic.user, basic.password);
  if (user === undefined) return { refusal: notAuthenticated() };
  if (doors.profile().basicAuthRestriction === 'enforced' && !user.roles.includes(BASIC_AUTH_ROLE)) {
    return { refusal: notAuthenticated() };
  }
  return user.mfa ? { refusal: notAuthenticated([['X-MFA_TOKEN', 'invalid']]) } : { user };
}

async function byToken(token: string, doors: Doors): Promise<Authentication> {
  const user = doors.oauth.userOf(token) ?? (await doors.issuers.userOf(token));
  const mayEnter = user !== undefined && user.active && !user.lockedOut;
  return mayEnter ? { user } : { refusal: notAuthenticated() };
}

/** Whom a request claims to be, unchecked: faults are aimed by it. */
export function claimedUser(credentials: Credentials, doors: Doors): string | undefined {
  const token = readBearer(credentials.authorization);
  return (
    doors.sessions.userOf(credentials.sessionId) ??
    readBasic(credentials.authorization)?.user ??
    (token === undefined ? undefined : doors.oauth.userOf(token)?.userName)
  );
}
