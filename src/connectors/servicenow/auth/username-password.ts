import { errorsOf, type ErrorKinds } from '../../../kit/errors.ts';
import { Secret } from '../../../kit/secret.ts';
import { tokenKey } from '../../../oauth/token-source.ts';
import { fieldsOf, required, type AuthMethod, type SecretReceivers } from './method.ts';

export const USERNAME_ERRORS = {
  'servicenow.username-has-colon': {
    category: 'invalid-input',
    means:
      'The user name of the connector has a colon. ServiceNow would take what stands before it for the name, and count a failed log-in of that user.',
    remedy: 'Enter the user name alone; the password has a secret of its own.',
  },
} as const satisfies ErrorKinds;

const usernameError = errorsOf(USERNAME_ERRORS);

const RECEIVERS: SecretReceivers<'UsernamePassword'> = {
  usernameRef: ['resource-server'],
  passwordRef: ['resource-server'],
};

/**
 * HTTP Basic (RFC 7617) in UTF-8. The password may be an API key. A refusal is final: ServiceNow locks an account
 * after five failures, so there is no second try anywhere.
 */
export const usernamePassword: AuthMethod<'UsernamePassword'> = {
  secretFields: (auth) => fieldsOf(auth.spec, RECEIVERS),
  tokenEndpoint: () => undefined,
  signsWithKey: false,
  open(auth, secrets, { protect, connector }) {
    const user = auth.spec.username ?? required(secrets, 'usernameRef').reveal();
    const password = required(secrets, 'passwordRef').reveal();
    const encoded = Buffer.from(`${user}:${password}`, 'utf8').toString('base64');
    const header = new Secret(`Basic ${protect(encoded, 'resource-server').reveal()}`);
    return {
      user: auth.spec.username,
      identity: tokenKey([connector, 'basic', header]),
      keyMaterial: undefined,
      // RFC 7617, section 2: the first colon ends the user name.
      authorize: () =>
        user.includes(':')
          ? Promise.reject(usernameError('servicenow.username-has-colon', 'The user name has a colon.'))
          : Promise.resolve({ header, bearer: undefined, accessToken: undefined }),
      refused: () => false,
      warnings: () => [],
    };
  },
};
