import { Secret } from '../../../kit/secret.ts';
import { tokenKey } from '../../../oauth/token-source.ts';
import { fieldsOf, required, type AuthMethod } from './method.ts';

/**
 * HTTP Basic (RFC 7617) in UTF-8. The password may be an API key. A refusal is final: ServiceNow locks an account
 * after five failures, so there is no second try anywhere.
 */
export const usernamePassword: AuthMethod<'UsernamePassword'> = {
  secretFields: (auth) => fieldsOf(auth.spec),
  tokenEndpoint: () => undefined,
  signsWithKey: false,
  open(auth, secrets, { protect, connector }) {
    const user = auth.spec.username ?? required(secrets, 'usernameRef').reveal();
    const password = required(secrets, 'passwordRef').reveal();
    const encoded = Buffer.from(`${user}:${password}`, 'utf8').toString('base64');
    const header = new Secret(`Basic ${protect(encoded).reveal()}`);
    return {
      user: auth.spec.username,
      identity: tokenKey([connector, 'basic', header]),
      keyMaterial: undefined,
      authorize: () => Promise.resolve({ header, bearer: undefined, accessToken: undefined }),
      refused: () => false,
      warnings: () => [],
    };
  },
};
