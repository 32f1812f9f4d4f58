import { errorsOf, type ErrorKinds } from '../kit/errors.ts';

/** Why a secret can't be had, or can't be kept. */
export const SECRET_ERRORS = {
  'secret-reference-invalid': {
    category: 'secret',
    means:
      'A secret reference has no form that this delegate knows, or leads out of the folder that secrets are read from.',
    remedy:
      'Give env:NAME, file:relative/path, or a name mapped under secretNames. A value never belongs here.',
  },
  'secret-not-found': {
    category: 'secret',
    means: 'A secret reference leads to nothing on this delegate.',
    remedy: 'Put the secret there, or correct the reference.',
  },
  'secret-unreadable': {
    category: 'secret',
    means: 'The file of a secret is there and can not be read as text.',
    remedy: 'Give the user that the delegate runs as the right to read the file and its folders.',
  },
  'secret-empty': {
    category: 'secret',
    means: 'A secret reference leads to an empty value.',
    remedy: 'Put the value there; an empty one is never sent.',
  },
  'kept-secret-unreadable': {
    category: 'secret',
    retryable: true,
    means:
      'The delegate may have kept a newer secret in its state folder and can not read or decrypt it. It does not use the older one instead: a server that has replaced that could take it for stolen.',
    remedy:
      'Give the user that the delegate runs as the right to read its state folder (DELEGATE_STATE_DIR).',
  },
  'secret-not-kept': {
    category: 'secret',
    retryable: true,
    means: 'A secret could not be written to the state folder.',
    remedy: 'Make room, or give the delegate a state folder that it may write (DELEGATE_STATE_DIR).',
  },
} as const satisfies ErrorKinds;

export const secretError = errorsOf(SECRET_ERRORS);
