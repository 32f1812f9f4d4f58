import type { AccountSeed } from '../access/accounts.ts';
import type { OAuthClient } from '../access/oauth.ts';

/** Development passwords by user name. They open nothing but this fake. */
export const PASSWORDS = {
  admin: 'admin-of-the-fake',
  svc_deploy: 'deploy: a password',
  svc_deploy_ist: 'deploy-ist: pässwörd ✓',
  svc_read: 'read-password',
  svc_none: 'none-password',
  svc_nobasic: 'nobasic-password',
  svc_mfa: 'mfa-password',
  svc_locked: 'locked-password',
} as const;

const BASIC = 'snc_basic_auth_api_access';

function account(userName: keyof typeof PASSWORDS, ...roles: readonly string[]): AccountSeed {
  return { userName, password: PASSWORDS[userName], roles };
}

export const ACCOUNTS: readonly AccountSeed[] = [
  account('admin', 'admin', BASIC),
  account('svc_deploy', 'itil', BASIC),
  account('svc_deploy_ist', 'itil', BASIC),
  account('svc_read', 'sn_change_read', 'sn_incident_read', BASIC),
  account('svc_none', BASIC),
  account('svc_nobasic', 'itil'),
  { ...account('svc_mfa', 'itil', BASIC), mfa: true },
  account('svc_locked', 'itil', BASIC),
];

/** What an OAuth client of the fake is configured with; made-up values like the passwords. */
export const OAUTH = {
  clientId: '0f5a3d9b1c2e4f60718293a4b5c6d7e8',
  clientSecret: 'client-secret-of-the-fake',
  /** Of `svc_deploy`. */
  refreshToken: 'refresh-token-of-svc_deploy',
  /** A client without an application user: `client_credentials` is refused. */
  bareClientId: '1f5a3d9b1c2e4f60718293a4b5c6d7e8',
} as const;

export const OAUTH_CLIENTS: readonly OAuthClient[] = [
  { clientId: OAUTH.clientId, clientSecret: OAUTH.clientSecret, applicationUser: 'svc_deploy' },
  { clientId: OAUTH.bareClientId, clientSecret: OAUTH.clientSecret },
];

export const REFRESH_TOKENS = [
  { userName: 'svc_deploy', clientId: OAUTH.clientId, value: OAUTH.refreshToken },
] as const;
