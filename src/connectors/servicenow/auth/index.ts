import type { AuthSettings, AuthType } from '../schema.ts';
import { adfs } from './adfs.ts';
import type { AuthDeps, Authentication, AuthMethod, ResolvedSecrets, SecretField } from './method.ts';
import { refreshToken } from './refresh-token.ts';
import { usernamePassword } from './username-password.ts';

/** The authentications: one file and one line each. */
const methods: { readonly [T in AuthType]: AuthMethod<T> } = {
  UsernamePassword: usernamePassword,
  AdfsClientCredentialsWithCertificate: adfs,
  RefreshTokenGrantType: refreshToken,
};

export const AUTH_CAPABILITIES: readonly string[] = Object.keys(methods).map(
  (type) => `servicenow.auth.${type}`,
);

export interface BoundAuth {
  secretFields: readonly SecretField[];
  tokenEndpoint: URL | undefined;
  signsWithKey: boolean;
  open(secrets: ResolvedSecrets, deps: AuthDeps): Authentication;
}

/** The method of these settings, with the settings in it. */
export function authMethod(auth: AuthSettings): BoundAuth {
  switch (auth.type) {
    case 'UsernamePassword':
      return bind(methods[auth.type], auth);
    case 'AdfsClientCredentialsWithCertificate':
      return bind(methods[auth.type], auth);
    case 'RefreshTokenGrantType':
      return bind(methods[auth.type], auth);
  }
}

function bind<T extends AuthType>(
  method: AuthMethod<T>,
  auth: Parameters<AuthMethod<T>['open']>[0],
): BoundAuth {
  return {
    secretFields: method.secretFields(auth),
    tokenEndpoint: method.tokenEndpoint(auth),
    signsWithKey: method.signsWithKey,
    open: (secrets, deps) => method.open(auth, secrets, deps),
  };
}
