import { errorsOf, type ErrorKinds } from '../kit/errors.ts';

/** Why the delegate refuses what it was asked for. Each denial names the rule. */
export const POLICY_ERRORS = {
  'policy.https-required': {
    category: 'policy',
    means: 'A task names an address that is not https. Nothing was sent to it.',
    remedy: 'Give the https address; credentials are never sent in clear text.',
  },
  'policy.address-refused': {
    category: 'policy',
    means:
      'A task names an address, or a host name that leads to one, at which no ServiceNow can be: link-local, multicast, unspecified, or the metadata service of a cloud.',
    remedy: 'Give the address of the ServiceNow instance or token server itself.',
  },
  'policy.loopback-refused': {
    category: 'policy',
    means: 'A task names an address of the very machine that the delegate runs on.',
    remedy: 'Only the operator can allow it, for development, with DELEGATE_ALLOW_LOOPBACK=true.',
  },
  'policy.secret-elsewhere': {
    category: 'policy',
    means:
      'A request would have carried a secret to a host that it may not go to, in any form and place. It was not sent.',
    remedy:
      'Give each connector secrets of its own. If one setting of the connector is right to send another its secret, tell us: this is the last line of defence, and nothing should come as far.',
  },
} as const satisfies ErrorKinds;

export const policyError = errorsOf(POLICY_ERRORS);
