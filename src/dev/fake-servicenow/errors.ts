import { errorsOf, type ErrorKinds } from '../../kit/errors.ts';

/** Mistakes of whoever steers the fake, as opposed to the errors that the fake plays. */
export const FAKE_SERVICENOW_ERRORS = {
  'fake-servicenow.no-port': {
    category: 'internal',
    means: 'The fake instance listens, but not on a TCP port.',
    remedy: 'Report it: the fake is only ever told to listen on TCP.',
  },
  'fake-servicenow.body-too-large': {
    category: 'invalid-input',
    means: 'A request to the fake instance has a body longer than any that its tests need.',
    remedy: 'Send less: above the limit of the instance it would be refused anyway.',
  },
  'fake-servicenow.unknown-user': {
    category: 'invalid-input',
    means: 'A control of the fake instance names a user that it does not have.',
    remedy: 'Take a user of the README of the fake, or add one to sys_user first.',
  },
  'fake-servicenow.unknown-client': {
    category: 'invalid-input',
    means: 'A control of the fake instance names an OAuth client that it does not have.',
    remedy: 'Take OAUTH.clientId, or give the client to the fake when it starts.',
  },
  'fake-servicenow.unknown-record': {
    category: 'invalid-input',
    means: 'A control of the fake instance names a record that it does not have.',
    remedy: 'Take a record of SEED, or add one first.',
  },
  'fake-servicenow.unknown-field': {
    category: 'invalid-input',
    means: 'A control of the fake instance sets a field that its table does not have.',
    remedy: 'Take a field that the schema of the fake lists for the table.',
  },
  'fake-servicenow.unknown-state': {
    category: 'invalid-input',
    means: 'A control of the fake instance moves a ticket to a state that its table does not have.',
    remedy: 'Take one of the states that the message lists, by value or by label.',
  },
} as const satisfies ErrorKinds;

export const misuse = errorsOf(FAKE_SERVICENOW_ERRORS);
