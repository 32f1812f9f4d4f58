import { labelOf } from './leaves.ts';
import type { Settings } from './schema.ts';
import type { SettingKey } from './settings.ts';

/** The clouds that secrets may come from; an undefined one is off. */
export interface CloudStoresConfiguration {
  aws: { region: string; endpoint: string | undefined } | undefined;
  azure: { vaultUrl: string; authorityHost: string } | undefined;
  gcp: { project: string; endpoint: string | undefined } | undefined;
}

/** An endpoint alone switches nothing on, and whoever gave it would look for the mistake elsewhere. */
const ENDPOINT_NEEDS = { 'aws.endpoint': 'aws.region', 'gcp.endpoint': 'gcp.project' } as const;

/** What the schema can't see, of those settings that it has passed. */
export function checkCloudStores(
  { aws, azure, gcp }: Settings,
  isValid: (...keys: SettingKey[]) => boolean,
  complaints: string[],
): void {
  const check = (endpoint: keyof typeof ENDPOINT_NEEDS, given: string, needed: string): void => {
    const needs = ENDPOINT_NEEDS[endpoint];
    if (!isValid(endpoint, needs) || given === '' || needed !== '') return;
    complaints.push(`${labelOf(needs)}: is required with ${endpoint}`);
  };
  check('aws.endpoint', aws.endpoint, aws.region);
  check('gcp.endpoint', gcp.endpoint, gcp.project);
  if (!isValid('azure.vaultUrl', 'azure.authorityHost') || azure.vaultUrl === '') return;
  if (azure.authorityHost === '') complaints.push(`${labelOf('azure.authorityHost')}: must not be empty`);
}

/** For settings that have been checked. */
export function cloudStoresOf({ aws, azure, gcp }: Settings): CloudStoresConfiguration {
  return {
    aws: aws.region === '' ? undefined : { region: aws.region, endpoint: orUndefined(aws.endpoint) },
    azure: azure.vaultUrl === '' ? undefined : azure,
    gcp: gcp.project === '' ? undefined : { project: gcp.project, endpoint: orUndefined(gcp.endpoint) },
  };
}

function orUndefined(text: string): string | undefined {
  return text === '' ? undefined : text;
}
