import type { HttpClient, PipelineRequest } from '@azure/core-rest-pipeline';
import type { TokenCredential } from '@azure/identity';
import { DelegateError } from '../kit/errors.ts';
import type { HttpSend } from '../kit/http-exchange.ts';
import { azureLoginRefusal, azureRefusal } from './azure-refusals.ts';
import { asked, loadClient, refused, type CloudAction, type CloudOptions } from './cloud.ts';
import type { AzureSettings } from './cloud-settings.ts';
import { secretError } from './errors.ts';

export const AZURE = 'Azure Key Vault';
const ENTRA = 'Microsoft Entra ID';

/** Few and soon: the next task asks again. */
const RETRIES = { maxRetries: 1, retryDelayInMs: 200, maxRetryDelayInMs: 1_000 } as const;

/** Neither the vault nor Entra ID answers so; and whoever does gets nothing more. */
const NO_REDIRECTS = { maxRetries: 0 } as const;

/** The metadata service answers at once where there is one. */
const METADATA_WITHIN_MS = 3_000;

/** Of a request that a library makes without a signal of ours, such as a login. */
const EXCHANGE_WITHIN_MS = 15_000;

const METHODS = ['GET', 'HEAD', 'POST', 'PUT'] as const;

export interface AzureSecret {
  readonly value: string;
  readonly version: string;
}

/** The two calls that the delegate makes, on Azure's own client. `reference` is for errors alone. */
export interface AzureClient {
  read(
    name: string,
    version: string | undefined,
    reference: string,
    signal: AbortSignal,
  ): Promise<AzureSecret>;
  write(name: string, value: string, reference: string, signal: AbortSignal): Promise<void>;
}

export async function connectAzure(settings: AzureSettings, options: CloudOptions): Promise<AzureClient> {
  const { SecretClient } = await loadClient(
    '@azure/keyvault-secrets',
    async () => await import('@azure/keyvault-secrets'),
  );
  const httpClient = await httpClientOver(options.ports.send);
  const credential = await credentialFrom(settings, options);
  const client = new SecretClient(settings.vaultUrl, credential, {
    httpClient,
    retryOptions: RETRIES,
    redirectOptions: NO_REDIRECTS,
  });
  const call = async <T>(
    action: CloudAction,
    right: 'get' | 'set',
    reference: string,
    signal: AbortSignal,
    sent: () => Promise<T>,
  ): Promise<T> =>
    await asked(AZURE, signal, sent, (thrown) => {
      const { refusal, details } = azureRefusal(thrown, right);
      return refused(AZURE, action, reference, refusal, details, thrown);
    });
  return {
    async read(name, version, reference, signal) {
      const which = version === undefined ? {} : { version };
      const { value, properties } = await call(
        'read',
        'get',
        reference,
        signal,
        async () => await client.getSecret(name, { ...which, abortSignal: signal }),
      );
      if (value !== undefined) return { value, version: properties.version ?? 'unknown' };
      throw secretError('secret-store-bad-answer', `${AZURE} answered with something that is no secret.`);
    },
    async write(name, value, reference, signal) {
      // Azure would make a secret that is not there, and a new version without what the old one says of itself.
      const { properties } = await call(
        'replaced',
        'get',
        reference,
        signal,
        async () => await client.getSecret(name, { abortSignal: signal }),
      );
      if (properties.managed === true) throw new Error('it belongs to a certificate of the vault');
      const { contentType, tags } = properties;
      await call(
        'replaced',
        'set',
        reference,
        signal,
        async () =>
          await client.setSecret(name, value, {
            ...(contentType === undefined ? {} : { contentType }),
            ...(tags === undefined ? {} : { tags }),
            abortSignal: signal,
          }),
      );
    },
  };
}

/**
 * One credential, by what stands in the environment. Azure's own default chain would also start the command lines of
 * developers, and would tell of a mistake in one credential only that none of many has worked.
 */
async function credentialFrom(
  { authorityHost, vaultUrl }: AzureSettings,
  { environment, ports }: CloudOptions,
): Promise<TokenCredential> {
  const library = await loadClient('@azure/identity', async () => await import('@azure/identity'));
  /** Of our own client. The login library keeps no cause: without them, a firewall would look like a wrong password. */
  const failures: DelegateError[] = [];
  const send: HttpSend = async (exchange) => {
    try {
      const answer = await ports.send(exchange);
      failures.length = 0;
      return answer;
    } catch (thrown) {
      // That there is no metadata service says that the machine has no identity, and nothing of the network.
      if (thrown instanceof DelegateError && exchange.url.protocol === 'https:') failures.push(thrown);
      throw thrown;
    }
  };
  const common = {
    authorityHost: new URL(authorityHost).origin,
    httpClient: await httpClientOver(send),
    retryOptions: RETRIES,
    redirectOptions: NO_REDIRECTS,
  };
  const {
    AZURE_TENANT_ID: tenantId = '',
    AZURE_CLIENT_ID: clientId = '',
    AZURE_FEDERATED_TOKEN_FILE: tokenFilePath = '',
    AZURE_CLIENT_SECRET: clientSecret = '',
    AZURE_CLIENT_CERTIFICATE_PATH: certificatePath = '',
  } = environment;
  const needsIds = tokenFilePath !== '' || clientSecret !== '' || certificatePath !== '';
  if (needsIds && (tenantId === '' || clientId === '')) {
    throw secretError('secret-store-login-refused', 'AZURE_TENANT_ID or AZURE_CLIENT_ID is not set.', {
      hint: 'Set both beside the credential; workload identity sets them for pods with its label.',
    });
  }
  const make = (): TokenCredential => {
    if (tokenFilePath !== '') {
      return new library.WorkloadIdentityCredential({ ...common, tenantId, clientId, tokenFilePath });
    }
    if (clientSecret !== '') {
      ports.protect(clientSecret, [common.authorityHost]);
      return new library.ClientSecretCredential(tenantId, clientId, clientSecret, common);
    }
    if (certificatePath !== '') {
      return new library.ClientCertificateCredential(tenantId, clientId, { certificatePath }, common);
    }
    return new library.ManagedIdentityCredential({ ...common, ...(clientId === '' ? {} : { clientId }) });
  };
  const credential = make();
  const vault = new URL(vaultUrl).origin;
  return {
    async getToken(scopes, options) {
      const signal = options?.abortSignal;
      failures.length = 0;
      try {
        const token = await credential.getToken(scopes, options);
        if (token !== null) ports.protect(token.token, [vault]);
        return token;
      } catch (thrown) {
        if (signal?.aborted === true) throw thrown;
        const [failure] = failures;
        if (failure !== undefined) throw failure;
        const { refusal, details } = azureLoginRefusal(thrown);
        throw secretError(refusal.code, `${AZURE} cannot be asked: ${ENTRA} ${refusal.says}.`, {
          hint: refusal.hint,
          details,
        });
      }
    },
  };
}

/** What Azure's libraries send with, in the place of their own client. */
async function httpClientOver(send: HttpSend): Promise<HttpClient> {
  const { createHttpHeaders } = await loadClient(
    '@azure/core-rest-pipeline',
    async () => await import('@azure/core-rest-pipeline'),
  );
  return {
    async sendRequest(request) {
      const { status, headers, body } = await send({
        method: methodOf(request),
        url: new URL(request.url),
        headers: request.headers.toJSON(),
        body: bodyOf(request),
        signal: signalOf(request),
      });
      return { request, status, headers: createHttpHeaders(headers), bodyAsText: body };
    },
  };
}

function methodOf({ method }: PipelineRequest): (typeof METHODS)[number] {
  const known = METHODS.find((one) => one === method);
  if (known === undefined) throw new TypeError(`an Azure library asks for ${method}, which is not sent`);
  return known;
}

function bodyOf({ body }: PipelineRequest): string | undefined {
  if (body === undefined || body === null || typeof body === 'string') return body ?? undefined;
  throw new TypeError('an Azure library makes a body of another form than this delegate knows');
}

/** Plain http leads to the metadata service: from a machine that has none, an answer would never come. */
function signalOf({ abortSignal, url }: PipelineRequest): AbortSignal {
  const withinMs = url.startsWith('http:') ? METADATA_WITHIN_MS : EXCHANGE_WITHIN_MS;
  const within = AbortSignal.timeout(withinMs);
  return abortSignal instanceof AbortSignal ? AbortSignal.any([abortSignal, within]) : within;
}
