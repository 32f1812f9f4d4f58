import { errorsOf, type ErrorKinds } from '../../src/kit/errors.ts';

/** Why the desk did not do what it was asked for. */
export const DESK_ERRORS = {
  'desk.token-refused': {
    category: 'credentials',
    means: 'The desk does not accept the token of the connector.',
    remedy: 'Put a token that is valid into the secret store; the next task reads it again.',
  },
  'desk.ticket-not-found': {
    category: 'not-found',
    means: 'The desk has no such ticket, or does not show it to the owner of the token.',
    remedy: 'Check the id, and what the owner of the token may see.',
  },
  'desk.busy': {
    category: 'throttled',
    retryable: true,
    means: 'The desk answered that it takes no more requests now. It has done nothing.',
    remedy: 'Ask again later.',
  },
  'desk.unavailable': {
    category: 'unavailable',
    retryable: true,
    means: 'The desk answered with an error of its own.',
    remedy: 'Ask again later; if it stays, the people who run the desk have the details in its log.',
  },
  'desk.bad-response': {
    category: 'bad-response',
    means: 'Something answered that is not the API of the desk, or not in the form that it has.',
    remedy: 'Check the url of the connector. A page in place of JSON mostly comes from a proxy or a sign-in.',
  },
  'desk.write-unknown': {
    category: 'ambiguous',
    means: 'A change was sent to the desk, and no answer says whether it was made.',
    remedy: 'Look at the ticket before doing it again.',
  },
} as const satisfies ErrorKinds;

export const deskError = errorsOf(DESK_ERRORS);
