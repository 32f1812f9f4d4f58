import { TASK_NAMES } from '../connectors/index.ts';
import { CERTIFICATE_FILE, PRIVATE_KEY_FILE, type DevAddresses } from './connectors.ts';

/** Of the fake's tables, those of tickets that anybody may be shown. */
const TICKET_TABLES = [
  'change_request',
  'change_task',
  'incident',
  'problem',
  'sc_task',
  'u_demo_custom',
] as const;

/**
 * The policy of the development world's delegates, as a customer would write it who has thought about it: what the
 * world's connectors need, by name, and nothing else.
 *
 * @param secretNames what stands behind `env:`
 */
export function devPolicy({ serviceNow, adfs }: DevAddresses, secretNames: readonly string[]): object {
  const tokenServers = [`${adfs}/adfs/oauth2/token`, `${serviceNow}/oauth_token.do`];
  return {
    version: 1,
    instances: [{ url: serviceNow, tasks: TASK_NAMES, tables: TICKET_TABLES, tokenServers }],
    tokenServers: tokenServers.map((url) => ({ url })),
    secrets: [
      ...secretNames.map((name) => ({
        reference: `env:${name}`,
        // An id is a part of the tokens that AD FS makes, and so ServiceNow gets to see it as well.
        hosts: name.startsWith('ADFS_') ? [adfs, serviceNow] : [serviceNow],
      })),
      // What signs is sent to nobody.
      ...[CERTIFICATE_FILE, PRIVATE_KEY_FILE].map((path) => ({ reference: `file:${path}`, hosts: [] })),
    ],
    signedTasks: 'required',
  };
}
