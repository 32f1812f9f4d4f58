import { errorsOf, type ErrorKinds } from '../kit/errors.ts';

/** Why a secret can't be had, or can't be kept. */
export const SECRET_ERRORS = {
  'secret-reference-invalid': {
    category: 'secret',
    means:
      'A secret reference has no form that this delegate knows, leads out of the folder that secrets are read from, or to what the delegate needs for itself.',
    remedy:
      'Give a reference such as env:NAME or file:relative/path (docs/secrets.md has them all), or a name mapped under secretNames. A value never belongs here.',
  },
  'secret-not-found': {
    category: 'secret',
    means: 'A secret reference leads to nothing, on this delegate or in the store that it names.',
    remedy: 'Put the secret there, or correct the reference.',
  },
  'secret-unreadable': {
    category: 'secret',
    means:
      'What a secret reference leads to is there and is no secret that can be used: it can not be read, is no UTF-8 text, or is too large.',
    remedy:
      'Give the user that the delegate runs as the right to read it (a file and its folders); store a binary key store as base64.',
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
  'secret-store-off': {
    category: 'secret',
    means: 'A secret reference asks for a kind of store that this delegate is not set up for.',
    remedy: 'Set the store up on the delegate (docs/secrets.md), or use another reference.',
  },
  'secret-provider-missing': {
    category: 'secret',
    means:
      'A secret is kept in a cloud whose client library is not installed with this delegate: those are optional packages.',
    remedy:
      'Install the package that the message names beside the delegate, or use an image that was built with the optional packages.',
  },
  'secret-store-unreachable': {
    category: 'secret',
    retryable: true,
    means: 'A secret store could not be connected to, or did not answer in time.',
    remedy:
      'Look whether the address of the store is right, whether it runs, and what stands between it and the delegate: name resolution, firewall, proxy, certificates.',
  },
  'secret-store-unavailable': {
    category: 'secret',
    retryable: true,
    means: 'A secret store answered that it can not serve now: sealed, on standby, overloaded or failing.',
    remedy: 'Look at the health of the store; the delegate asks again with the next task.',
  },
  'secret-store-login-refused': {
    category: 'secret',
    means: 'A secret store does not take the credentials that the delegate has for it.',
    remedy: 'Give the delegate credentials that the store knows and that have not expired.',
  },
  'secret-store-denied': {
    category: 'secret',
    means: 'A secret store knows the delegate, and does not let it read or write this secret.',
    remedy: 'Grant the delegate the right that the message names, on this secret alone.',
  },
  'secret-store-bad-answer': {
    category: 'secret',
    means:
      'What stands at the address of a secret store answered with something that no such store answers: a web page, a redirect, a body of another form.',
    remedy:
      'Give the address of the store itself, without a page for signing in or a load balancer of another service.',
  },
  'secret-store-elsewhere': {
    category: 'secret',
    means:
      'A request for a secret would have gone to an address that the settings do not name. It was not sent.',
    remedy: 'Name the store in the settings of the delegate (docs/secrets.md).',
  },
  'exec-secrets-file-refused': {
    category: 'secret',
    means:
      'The file that defines the commands of exec references, or the program of one, could have been written by somebody else, or is not such a file. No command was run.',
    remedy:
      'Let root or the user of the delegate own file, folder and program, and nobody else write them; docs/secrets.md shows the form of the file.',
  },
  'exec-secret-failed': {
    category: 'secret',
    means: 'The command behind an exec reference could not be run, failed, or wrote too much.',
    remedy:
      'Run it by hand as the user of the delegate, with no other variables than its definition names; what it writes to standard error is seen only there.',
  },
  'exec-secret-timeout': {
    category: 'secret',
    retryable: true,
    means:
      'The command behind an exec reference did not end in its time, and was killed with all that it started.',
    remedy: 'Look what it waits for; timeoutMs of its definition is its time, at most 15000.',
  },
  'secret-changed-meanwhile': {
    category: 'secret',
    means:
      'A secret was to be replaced, and somebody else had changed it in between. What they wrote was left.',
    remedy:
      'Let one delegate alone write this secret (DELEGATE_WRITABLE_SECRETS); the replacement is kept in the state folder until then.',
  },
} as const satisfies ErrorKinds;

export const secretError = errorsOf(SECRET_ERRORS);
