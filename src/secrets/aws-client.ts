import { Readable } from 'node:stream';
import type { SecretsManagerClientConfig } from '@aws-sdk/client-secrets-manager';
import type { HttpSend } from '../kit/http-exchange.ts';
import { awsRefusal } from './aws-refusals.ts';
import { asked, loadClient, refused, type CloudAction, type CloudOptions } from './cloud.ts';
import { awsOrigins, type AwsSettings } from './cloud-settings.ts';
import { secretError } from './errors.ts';

export const AWS = 'AWS Secrets Manager';

/** With the waits between, about a second; the next task asks again. */
const MAX_ATTEMPTS = 3;

/** The metadata service answers at once where there is one. */
const METADATA_WITHIN_MS = 2_000;

/** Of a request that the SDK makes without a signal of ours, such as a login. */
const EXCHANGE_WITHIN_MS = 15_000;

/**
 * Addresses are always said, since the SDK would heed an AWS_ENDPOINT_URL else; and it takes none that is said while
 * AWS_USE_FIPS_ENDPOINT or AWS_USE_DUALSTACK_ENDPOINT asks it to make one up.
 */
const OWN_ADDRESSES = { useFipsEndpoint: false, useDualstackEndpoint: false } as const;

export interface AwsSecret {
  readonly text: string;
  readonly arn: string;
  readonly version: string;
}

/** The two calls that the delegate makes, on AWS's own client. `reference` is for errors alone. */
export interface AwsClient {
  read(id: string, reference: string, signal: AbortSignal): Promise<AwsSecret>;
  write(id: string, value: string, reference: string, signal: AbortSignal): Promise<void>;
}

export async function connectAws(settings: AwsSettings, options: CloudOptions): Promise<AwsClient> {
  const { SecretsManagerClient, GetSecretValueCommand, PutSecretValueCommand } = await loadClient(
    '@aws-sdk/client-secrets-manager',
    async () => await import('@aws-sdk/client-secrets-manager'),
  );
  const { secretsManager } = awsOrigins(settings);
  const client = new SecretsManagerClient({
    region: settings.region,
    endpoint: secretsManager,
    ...OWN_ADDRESSES,
    credentials: await credentialsFrom(settings, options),
    requestHandler: handlerOver(options.ports.send),
    maxAttempts: MAX_ATTEMPTS,
  });
  const call = async <T>(
    action: CloudAction,
    reference: string,
    signal: AbortSignal,
    sent: () => Promise<T>,
  ): Promise<T> =>
    await asked(AWS, signal, sent, (thrown) => {
      const { refusal, details } = awsRefusal(thrown, action, settings.region);
      return refused(AWS, action, reference, refusal, details, thrown);
    });
  return {
    async read(id, reference, signal) {
      const command = new GetSecretValueCommand({ SecretId: id });
      const found = await call(
        'read',
        reference,
        signal,
        async () => await client.send(command, { abortSignal: signal }),
      );
      const { SecretString, SecretBinary, ARN = id, VersionId = 'unknown' } = found;
      const text =
        SecretString ?? (SecretBinary === undefined ? '' : Buffer.from(SecretBinary).toString('base64'));
      return { text, arn: ARN, version: VersionId };
    },
    async write(id, value, reference, signal) {
      const command = new PutSecretValueCommand({ SecretId: id, SecretString: value });
      await call(
        'replaced',
        reference,
        signal,
        async () => await client.send(command, { abortSignal: signal }),
      );
    },
  };
}

type Credentials = Exclude<NonNullable<SecretsManagerClientConfig['credentials']>, { accessKeyId: string }>;

/**
 * One source, by what stands in the environment, and in the order of AWS's own chain. The chain itself would go on to
 * profiles in a home folder, with programs to start in them, and would tell of a mistake in one source only that none
 * of eight has worked.
 */
async function credentialsFrom(
  settings: AwsSettings,
  { environment, ports }: CloudOptions,
): Promise<Credentials> {
  const library = await loadClient(
    '@aws-sdk/credential-providers',
    async () => await import('@aws-sdk/credential-providers'),
  );
  const {
    AWS_ACCESS_KEY_ID: accessKeyId = '',
    AWS_SECRET_ACCESS_KEY: secretAccessKey = '',
    AWS_SESSION_TOKEN: sessionToken = '',
    AWS_WEB_IDENTITY_TOKEN_FILE: webIdentityTokenFile = '',
    AWS_ROLE_ARN: roleArn = '',
    AWS_CONTAINER_CREDENTIALS_RELATIVE_URI: relativeUri = '',
    AWS_CONTAINER_CREDENTIALS_FULL_URI: fullUri = '',
    AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: tokenFile = '',
  } = environment;
  const metadata = { timeout: METADATA_WITHIN_MS, maxRetries: 1 };

  const source = (): Credentials => {
    if (accessKeyId !== '') {
      if (secretAccessKey === '') {
        throw secretError(
          'secret-store-login-refused',
          'AWS_ACCESS_KEY_ID is set, and AWS_SECRET_ACCESS_KEY is not.',
          { hint: 'Set both, or neither: a role of the pod, task or machine needs no key.' },
        );
      }
      const token = sessionToken === '' ? {} : { sessionToken };
      return () => Promise.resolve({ accessKeyId, secretAccessKey, ...token });
    }
    if (webIdentityTokenFile !== '') {
      const clientConfig = {
        region: settings.region,
        endpoint: awsOrigins(settings).sts,
        ...OWN_ADDRESSES,
        requestHandler: handlerOver(ports.send),
        maxAttempts: MAX_ATTEMPTS,
      };
      return library.fromTokenFile({
        webIdentityTokenFile,
        roleArn,
        roleSessionName: 'servicenow-delegate',
        clientConfig,
      });
    }
    // These two go by the SDK's own client, which takes no other: to addresses of the machine itself, where no proxy is
    // of use. Plain http elsewhere it refuses.
    if (relativeUri !== '' || fullUri !== '') {
      return library.fromHttp({
        ...(relativeUri === '' ? {} : { awsContainerCredentialsRelativeUri: relativeUri }),
        ...(fullUri === '' ? {} : { awsContainerCredentialsFullUri: fullUri }),
        ...(tokenFile === '' ? {} : { awsContainerAuthorizationTokenFile: tokenFile }),
        ...metadata,
      });
    }
    return library.fromInstanceMetadata(metadata);
  };
  const provide = source();
  const { secretsManager } = awsOrigins(settings);
  return async (context) => {
    const credentials = await provide(context);
    // It signs, and is never sent.
    ports.protect(credentials.secretAccessKey, []);
    if (credentials.sessionToken !== undefined) ports.protect(credentials.sessionToken, [secretsManager]);
    return credentials;
  };
}

/** What the SDK hands to whoever performs its requests. */
interface SdkRequest {
  readonly method: string;
  readonly protocol: string;
  readonly hostname: string;
  readonly port?: number;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

interface SdkAnswer {
  readonly response: {
    readonly statusCode: number;
    readonly headers: Readonly<Record<string, string>>;
    readonly body: Readable;
  };
}

/** Both services take one POST to one path, without a query. */
function handlerOver(send: HttpSend): Record<string, unknown> {
  return {
    metadata: { handlerProtocol: 'http/1.1' },
    async handle(request: SdkRequest, options: { abortSignal?: AbortSignal } = {}): Promise<SdkAnswer> {
      const { method, protocol, hostname, port, path, headers, body } = request;
      if (method !== 'POST') throw new TypeError(`the AWS SDK asks for ${method}, which is not sent`);
      const answer = await send({
        method,
        url: new URL(path, `${protocol}//${hostname}${port === undefined ? '' : `:${port}`}`),
        headers,
        body: bodyOf(body),
        signal: options.abortSignal ?? AbortSignal.timeout(EXCHANGE_WITHIN_MS),
      });
      return {
        response: {
          statusCode: answer.status,
          headers: answer.headers,
          body: Readable.from([Buffer.from(answer.body)]),
        },
      };
    },
    updateHttpClientConfig: () => {},
    httpHandlerConfigs: () => ({}),
  };
}

function bodyOf(body: unknown): string {
  if (typeof body === 'string') return body;
  if (body instanceof Uint8Array) return new TextDecoder().decode(body);
  throw new TypeError('the AWS SDK makes a body of another form than this delegate knows');
}
