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
      'A task names an address, or a host name that leads to one, at which no ServiceNow can be (link-local, multicast, unspecified, or the metadata service of a cloud), or which the policy file denies.',
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
  'policy.instance-not-allowed': {
    category: 'policy',
    means: 'A task is about a ServiceNow instance that the policy file of this delegate does not name.',
    remedy: 'Correct the address, or have the owner of the policy file add the instance under instances.',
  },
  'policy.task-not-allowed': {
    category: 'policy',
    means: 'The policy file names the instance, and not this task among those that it may be used for.',
    remedy: 'Have the owner of the policy file add the task to the tasks of the instance.',
  },
  'policy.table-not-allowed': {
    category: 'policy',
    means: 'The policy file names the instance, and not this table among those that may be read there.',
    remedy: 'Have the owner of the policy file add the table to the tables of the instance.',
  },
  'policy.token-server-not-allowed': {
    category: 'policy',
    means: 'A connector gets its tokens from a server that the policy file does not name for this instance.',
    remedy:
      'Correct the address, or have the owner of the policy file add it under tokenServers, and to the tokenServers of the instance.',
  },
  'policy.secret-not-allowed': {
    category: 'policy',
    means:
      'A connector names a secret that no rule of the policy file allows to go where the connector would send it. The secret was not read.',
    remedy:
      'Correct the reference, or have the owner of the policy file add it under secrets with the hosts that may get it.',
  },
  'policy.secret-pinned': {
    category: 'policy',
    means:
      'A connector would send a secret to another place than the one that it was first used with on this delegate. The secret was not sent.',
    remedy: 'If that is right, the operator says so with servicenow-delegate secrets allow REFERENCE ORIGIN.',
  },
  'policy.pins-unusable': {
    category: 'policy',
    means:
      'The list of where each secret may go (secret-pins.json in the state folder) can not be read, or is not what the delegate wrote. No secret is sent as long as that is so.',
    remedy:
      'Give the delegate the right to read the file, or restore it. If it is lost, remove it: each secret is then bound anew to where it goes next.',
  },
  'policy.pins-not-kept': {
    category: 'policy',
    retryable: true,
    means:
      'Where a secret goes for the first time could not be written to the state folder, or the list is full. The secret was not sent.',
    remedy:
      'Make room on the disk, give the delegate a state folder that it may write (DELEGATE_STATE_DIR), or forget pins that are not needed any more (servicenow-delegate secrets pins).',
  },
  'policy.url-refused': {
    category: 'policy',
    means:
      'A request was about to go to a URL that two programs could read differently: with a user name or password, a fragment, a path with encoded or doubled separators, or a host with characters that host names do not have. It was not sent.',
    remedy: 'Write the address without them.',
  },
  'policy.destination-not-allowed': {
    category: 'policy',
    means:
      'A connection was about to be made to a host that the policy file names neither as an instance nor as a token server.',
    remedy: 'Nothing should come as far: a task that names such a host is refused before. Please tell us.',
  },
  'policy.request-not-allowed': {
    category: 'policy',
    means:
      'A request was about to be sent that is neither the read of a table that may be read, with a limit on its rows, nor a POST to a token server. It was not sent.',
    remedy: 'The message says which rule it breaks; the remedy is in the policy file, or in the connector.',
  },
} as const satisfies ErrorKinds;

export const policyError = errorsOf(POLICY_ERRORS);
