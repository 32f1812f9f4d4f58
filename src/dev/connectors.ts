import { OAUTH, PASSWORDS } from './fake-servicenow/index.ts';

/** The user that every connector of the development world works as. */
export const DEV_USER = 'svc_deploy';

/** How the AD FS of the development world knows this ServiceNow, and the delegate as a client of it. */
export const ADFS_CLIENT = {
  clientId: 'c0ffee00-adf5-4b1d-8c1e-000000000001',
  resource: 'urn:development:servicenow',
};

/** What stands in the delegate's environment, by the name behind `DELEGATE_SECRET_`. */
export const DEV_ENVIRONMENT_SECRETS: Readonly<Record<string, string>> = {
  SNOW_PASSWORD: PASSWORDS[DEV_USER],
  WRONG_PASSWORD: 'not-the-password-of-anybody',
  ADFS_CLIENT_ID: ADFS_CLIENT.clientId,
  ADFS_RESOURCE: ADFS_CLIENT.resource,
  OIDC_CLIENT_ID: OAUTH.clientId,
  OIDC_CLIENT_SECRET: OAUTH.clientSecret,
  OIDC_REFRESH_TOKEN: OAUTH.refreshToken,
};

/** A bare name, as connectors made elsewhere use them, and what it stands for on this delegate. */
export const DEV_SECRET_NAMES: Readonly<Record<string, string>> = {
  'account.snow_password': 'env:SNOW_PASSWORD',
};

/** Files in the delegate's secrets folder. */
export const CERTIFICATE_FILE = 'adfs/client.pem';
export const PRIVATE_KEY_FILE = 'adfs/client.key';

export interface DevAddresses {
  serviceNow: string;
  adfs: string;
}

/** One connector of each kind, and two that must fail, as the manager's API takes them. */
export function devConnectors({ serviceNow, adfs }: DevAddresses) {
  const connector = (
    name: string,
    identifier: string,
    auth: { type: string; spec: Readonly<Record<string, string>> },
    delegateSelectors: string[] = ['eu'],
  ) => ({
    name,
    identifier,
    type: 'ServiceNow',
    spec: { serviceNowUrl: serviceNow, delegateSelectors, auth },
  });
  const refreshToken = {
    type: 'RefreshTokenGrantType',
    spec: {
      clientIdRef: 'env:OIDC_CLIENT_ID',
      clientSecretRef: 'env:OIDC_CLIENT_SECRET',
      refreshTokenRef: 'env:OIDC_REFRESH_TOKEN',
      tokenUrl: `${serviceNow}/oauth_token.do`,
    },
  };
  return {
    password: connector('User name and password', 'dev_password', {
      type: 'UsernamePassword',
      spec: { username: DEV_USER, passwordRef: 'account.snow_password' },
    }),
    adfs: connector('AD FS certificate', 'dev_adfs', {
      type: 'AdfsClientCredentialsWithCertificate',
      spec: {
        resourceIdRef: 'env:ADFS_RESOURCE',
        clientIdRef: 'env:ADFS_CLIENT_ID',
        certificateRef: `file:${CERTIFICATE_FILE}`,
        privateKeyRef: `file:${PRIVATE_KEY_FILE}`,
        adfsUrl: adfs,
      },
    }),
    refreshToken: connector('OIDC refresh token', 'dev_oidc', refreshToken),
    wrongPassword: connector('A wrong password', 'dev_wrong_password', {
      type: 'UsernamePassword',
      spec: { username: DEV_USER, passwordRef: 'env:WRONG_PASSWORD' },
    }),
    oldDelegate: connector('OIDC on an old delegate', 'dev_oidc_old', refreshToken, ['legacy']),
  };
}

export type DevConnectors = ReturnType<typeof devConnectors>;
