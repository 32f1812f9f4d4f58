import { errorsOf, type ErrorKinds } from '../../kit/errors.ts';

/** The errors of commands that run a task without a manager. */
export const LOCAL_ERRORS = {
  'input-file-unusable': {
    category: 'invalid-input',
    means:
      'The file that was given to validate, check, policy explain or secrets check could not be read, or does not hold what the command takes. Nothing was sent to ServiceNow.',
    remedy: 'docs/local-use.md says what each command takes, and the folder examples has a file for each.',
  },
  'refresh-token-in-use': {
    category: 'refused',
    means:
      'A connector with a refresh token was to be tested on the state folder of a delegate that runs. If the token server replaces the token with each use, that delegate alone holds the newest one, and a second user would end the grant. The token was not used.',
    remedy: 'Test this connector through its manager, or stop the delegate first.',
  },
  'refresh-token-not-keepable': {
    category: 'refused',
    means:
      'A connector with a refresh token was to be tested where a new refresh token, if the token server gave one in its place, could not be kept: the grant would be lost. The token was not used.',
    remedy:
      'Name the state folder of this delegate while it is stopped (DELEGATE_STATE_DIR). Where there is none yet, name a folder of your own and give a state key (DELEGATE_STATE_KEY, for example from openssl rand -base64 32), and keep both for the next time.',
  },
} as const satisfies ErrorKinds;

export const localError = errorsOf(LOCAL_ERRORS);
