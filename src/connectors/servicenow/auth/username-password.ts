import { Secret } from '../../../kit/secret.ts';
import { fieldsOf, required, type AuthMethod } from './method.ts';

/**
 * HTTP Basic (RFC 7617) in UTF-8. The password may be an API key. A refusal is final: ServiceNow locks an account
 * after five failures, so there is no second try anywhere.
 */
export const usernamePassword: AuthMethod<'UsernamePassword'> = {
  secretFields: (auth) => fieldsOf(auth.spec),
  tokenEndpoint: () => undefined,
  signsWithKey: false,
  open(auth, secrets, { protect }) {
    const user = auth.spec.username ?? required(secrets, 'usernameRef').reveal();
    const password = required(secrets, 'passwordRef').reveal();
    const encoded = Buffer.from(`${user}:${password}`, 'utf8').toString('base64');
    const header = new Secret(`Basic ${protect(encoded).reveal()}`);
    return {
      user: auth.spec.username,
      keyMaterial: undefined,
      authorize: () => Promise.resolve({ header, bearer: undefined, accessToken: undefined }),
      refused: () => false,
      warnings: () => [],
    };
  },
};
