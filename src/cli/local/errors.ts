import { errorsOf, type ErrorKinds } from '../../kit/errors.ts';

/** The errors of commands that do without a manager. */
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
  'delegate-not-answering': {
    category: 'unavailable',
    retryable: true,
    means:
      'The command status asked the delegate of this machine how it is doing, and got no answer, or one that no delegate gives.',
    remedy:
      'See whether the delegate runs, and that DELEGATE_HTTP_HOST and DELEGATE_HTTP_PORT (or --url) say here what they say there.',
  },
  'support-bundle-unsafe': {
    category: 'internal',
    means:
      'A support bundle was made, and the search of it before it was written found something that should have been masked: a made-up secret of its self-test, or a real one. Or the secrets of this machine could not be looked up in time. Nothing was written.',
    remedy: 'Report it, without the bundle: it is a mistake in the redaction of this version.',
  },
  'support-bundle-not-written': {
    category: 'invalid-input',
    means: 'The file of a support bundle cannot be made: it is there already, or its folder takes no file.',
    remedy: 'Name another file with --output, or overwrite the one that is there with --force.',
  },
} as const satisfies ErrorKinds;

export const localError = errorsOf(LOCAL_ERRORS);
