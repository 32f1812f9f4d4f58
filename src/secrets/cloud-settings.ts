export interface AwsSettings {
  readonly region: string;
  /** Of Secrets Manager: a VPC endpoint, FIPS or dual stack; undefined: the usual one of the region. */
  readonly endpoint: string | undefined;
}

export interface AzureSettings {
  /** Of one Key Vault. */
  readonly vaultUrl: string;
  /** Of Microsoft Entra ID. */
  readonly authorityHost: string;
}

export interface GcpSettings {
  readonly project: string;
  /** Of Secret Manager: a regional or private endpoint; undefined: the global one. */
  readonly endpoint: string | undefined;
}

/** The three clouds; an undefined one is off. */
export interface CloudSettings {
  readonly aws: AwsSettings | undefined;
  readonly azure: AzureSettings | undefined;
  readonly gcp: GcpSettings | undefined;
}

/** Of Azure's machines: link-local, and the same in each network. */
const AZURE_METADATA = 'http://169.254.169.254';
export const GCP_METADATA = 'http://metadata.google.internal';

/** Where Google gives out access tokens: for keys of service accounts, for federation, and on behalf of an account. */
const GCP_TOKEN_SERVERS = [
  'https://oauth2.googleapis.com',
  'https://sts.googleapis.com',
  'https://iamcredentials.googleapis.com',
] as const;

export function awsOrigins({ region, endpoint }: AwsSettings): { secretsManager: string; sts: string } {
  const suffix = region.startsWith('cn-') ? 'amazonaws.com.cn' : 'amazonaws.com';
  return {
    secretsManager: new URL(endpoint ?? `https://secretsmanager.${region}.${suffix}`).origin,
    sts: `https://sts.${region}.${suffix}`,
  };
}

export function gcpOrigin({ endpoint }: GcpSettings): string {
  return new URL(endpoint ?? 'https://secretmanager.googleapis.com').origin;
}

/** Every origin that the clouds which are switched on are asked at. */
export function cloudOrigins({ aws, azure, gcp }: CloudSettings): readonly string[] {
  return [
    ...(aws === undefined ? [] : Object.values(awsOrigins(aws))),
    ...(azure === undefined
      ? []
      : [new URL(azure.vaultUrl).origin, new URL(azure.authorityHost).origin, AZURE_METADATA]),
    ...(gcp === undefined ? [] : [gcpOrigin(gcp), ...GCP_TOKEN_SERVERS, GCP_METADATA]),
  ];
}
