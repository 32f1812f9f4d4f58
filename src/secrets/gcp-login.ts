import { createPrivateKey, type KeyObject } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { SignJWT } from 'jose';
import * as z from 'zod';
import { DelegateError, reasonOf, type ErrorFacts } from '../kit/errors.ts';
import type { HttpRequest } from '../kit/http-exchange.ts';
import { asked, type CloudOptions } from './cloud.ts';
import { GCP_METADATA } from './cloud-settings.ts';
import { secretError } from './errors.ts';
import { gcpLoginRefusal, type GcpLogin } from './gcp-refusals.ts';
import type { ReadValue } from './short-memory.ts';

export const GCP = 'Google Secret Manager';

const SCOPE = 'https://www.googleapis.com/auth/cloud-platform';
const TOKEN_ENDPOINT = 'https://oauth2.googleapis.com/token';

/** What is signed is good for as long as Google allows at most, and so are the tokens. */
const LIFETIME_SECONDS = 3_600;

/** A token is given up before it ends, so that none ends on its way. */
const TOKEN_MARGIN_MS = 60_000;

/** The metadata server answers at once where there is one. */
const METADATA_WITHIN_MS = 3_000;

/** Of a service account, https://developers.google.com/identity/protocols/oauth2/service-account */
const accountKey = z.object({
  type: z.literal('service_account'),
  client_email: z.string().min(1),
  private_key: z.string().min(1),
  private_key_id: z.string().optional(),
});

/**
 * Workload identity federation with a token in a file, https://google.aip.dev/auth/4117. Other sources of the token are
 * programs to start and any address to ask, and are not taken.
 */
const federation = z.object({
  type: z.literal('external_account'),
  audience: z.string().min(1),
  subject_token_type: z.string().min(1),
  token_url: z.url(),
  service_account_impersonation_url: z.url().optional(),
  credential_source: z.object({
    file: z.string().min(1),
    format: z
      .union([
        z.object({ type: z.literal('text') }),
        z.object({ type: z.literal('json'), subject_token_field_name: z.string() }),
      ])
      .default({ type: 'text' }),
  }),
});

const credentialsFile = z.discriminatedUnion('type', [accountKey, federation]);

/** RFC 6749, section 5.1 */
const tokenAnswer = z.object({ access_token: z.string().min(1), expires_in: z.number().default(0) });
/** https://cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts/generateAccessToken */
const impersonationAnswer = z.object({ accessToken: z.string().min(1), expireTime: z.string() });

/**
 * Where access tokens come from: the file that `GOOGLE_APPLICATION_CREDENTIALS` names, or without it the metadata server
 * of the machine or of GKE.
 *
 * By hand: google-auth-library takes an HTTP client, and uses it for some of its requests only. Tried out, it sent the
 * token of the pod to the federation server past ours: without the proxy, the authorities and the guard of the
 * delegate, and to any address that stood in the file. So does it with the metadata server.
 */
export function gcpLogin(options: CloudOptions): (signal: AbortSignal) => Promise<ReadValue<string>> {
  const { GOOGLE_APPLICATION_CREDENTIALS: path = '' } = options.environment;
  if (path === '') return async (signal) => await byMachine(options, signal);
  return async (signal) => {
    // Anew for each token: a key that was replaced in the file counts with the next.
    const credentials = await readCredentials(path);
    return credentials.type === 'service_account'
      ? await byKey(credentials, options, signal)
      : await byFederation(credentials, options, signal);
  };
}

async function byMachine(options: CloudOptions, signal: AbortSignal): Promise<ReadValue<string>> {
  const exchange = {
    method: 'GET',
    url: new URL('/computeMetadata/v1/instance/service-accounts/default/token', GCP_METADATA),
    headers: { 'metadata-flavor': 'Google' },
    signal: AbortSignal.any([signal, AbortSignal.timeout(METADATA_WITHIN_MS)]),
  } as const;
  try {
    return readValueFrom(await answerTo(exchange, tokenAnswer, 'machine', options, signal));
  } catch (thrown) {
    if (!(thrown instanceof DelegateError) || thrown.code !== 'secret-store-unreachable') throw thrown;
    signal.throwIfAborted();
    // On GKE it is there some seconds after the pod.
    throw loginRefused(
      'cannot be asked: there is no metadata server here, and GOOGLE_APPLICATION_CREDENTIALS is not set',
      { retryable: true },
    );
  }
}

/** RFC 7523 */
async function byKey(
  { client_email: account, private_key: pem, private_key_id: keyId }: z.infer<typeof accountKey>,
  options: CloudOptions,
  signal: AbortSignal,
): Promise<ReadValue<string>> {
  const { clock, protect } = options.ports;
  // It signs, and is never sent.
  protect(pem, []);
  const issuedAt = Math.floor(clock.now() / 1_000);
  const assertion = await new SignJWT({ scope: SCOPE })
    .setProtectedHeader({ alg: 'RS256', typ: 'JWT', ...(keyId === undefined ? {} : { kid: keyId }) })
    .setIssuer(account)
    .setAudience(TOKEN_ENDPOINT)
    .setIssuedAt(issuedAt)
    .setExpirationTime(issuedAt + LIFETIME_SECONDS)
    .sign(keyIn(pem));
  const exchange = formTo(new URL(TOKEN_ENDPOINT), signal, {
    grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
    assertion,
  });
  return readValueFrom(await answerTo(exchange, tokenAnswer, 'service_account', options, signal));
}

/** RFC 8693; the token is then that of a service account, if the file names one. */
async function byFederation(
  credentials: z.infer<typeof federation>,
  options: CloudOptions,
  signal: AbortSignal,
): Promise<ReadValue<string>> {
  const { clock, protect } = options.ports;
  const url = new URL(credentials.token_url);
  const subjectToken = await readSubjectToken(credentials.credential_source);
  protect(subjectToken, [url.origin]);
  const exchange = formTo(url, signal, {
    grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
    audience: credentials.audience,
    scope: SCOPE,
    requested_token_type: 'urn:ietf:params:oauth:token-type:access_token',
    subject_token: subjectToken,
    subject_token_type: credentials.subject_token_type,
  });
  const federated = await answerTo(exchange, tokenAnswer, 'external_account', options, signal);
  if (credentials.service_account_impersonation_url === undefined) return readValueFrom(federated);
  const impersonation = new URL(credentials.service_account_impersonation_url);
  protect(federated.access_token, [impersonation.origin]);
  const impersonated = await answerTo(
    {
      method: 'POST',
      url: impersonation,
      headers: { authorization: `Bearer ${federated.access_token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ scope: [SCOPE], lifetime: `${LIFETIME_SECONDS}s` }),
      signal,
    },
    impersonationAnswer,
    'external_account',
    options,
    signal,
  );
  const goodForMs = Date.parse(impersonated.expireTime) - clock.now() - TOKEN_MARGIN_MS;
  return { value: impersonated.accessToken, goodForMs: Number.isNaN(goodForMs) ? 0 : goodForMs };
}

function readValueFrom({ access_token, expires_in }: z.infer<typeof tokenAnswer>): ReadValue<string> {
  return { value: access_token, goodForMs: expires_in * 1_000 - TOKEN_MARGIN_MS };
}

function formTo(url: URL, signal: AbortSignal, fields: Readonly<Record<string, string>>): HttpRequest {
  return {
    method: 'POST',
    url,
    headers: { accept: 'application/json', 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams(fields).toString(),
    signal,
  };
}

async function answerTo<T>(
  exchange: HttpRequest,
  form: z.ZodType<T>,
  login: GcpLogin,
  { ports }: CloudOptions,
  signal: AbortSignal,
): Promise<T> {
  const answer = await asked(
    exchange.url.host,
    signal,
    async () => await ports.send(exchange),
    // Of what is no failure of the transport, there is our own limit of time alone.
    () => loginRefused(`cannot be asked: ${exchange.url.host} does not answer`),
  );
  const { data } = form.safeParse(answer.status === 200 ? jsonIn(answer.body) : undefined);
  if (data !== undefined) return data;
  const { refusal, details } = gcpLoginRefusal(answer, login);
  throw secretError(refusal.code, `${GCP} cannot be asked: ${exchange.url.host} ${refusal.says}.`, {
    hint: refusal.hint,
    details,
  });
}

/** No error of the parsers goes on, here and below: they quote what they could not read. */
async function readCredentials(path: string): Promise<z.infer<typeof credentialsFile>> {
  const text = await readText(path, 'the file of GOOGLE_APPLICATION_CREDENTIALS');
  const { data } = credentialsFile.safeParse(jsonIn(text));
  if (data !== undefined) return data;
  throw loginRefused(
    'cannot be asked: the file of GOOGLE_APPLICATION_CREDENTIALS is neither the key of a service account nor workload identity federation from a file',
  );
}

async function readSubjectToken({
  file,
  format,
}: z.infer<typeof federation>['credential_source']): Promise<string> {
  const text = await readText(file, 'the file of the token to be exchanged');
  if (format.type === 'text') return text.trim();
  const { data } = z.record(z.string(), z.unknown()).safeParse(jsonIn(text));
  const token = data?.[format.subject_token_field_name];
  if (typeof token === 'string') return token;
  throw loginRefused('cannot be asked: the file of the token to be exchanged has no such field');
}

async function readText(path: string, what: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (thrown) {
    throw loginRefused(`cannot be asked: ${what} cannot be read (${reasonOf(thrown)})`);
  }
}

function keyIn(pem: string): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch {
    throw loginRefused(
      'cannot be asked: the private key in the file of GOOGLE_APPLICATION_CREDENTIALS is none',
    );
  }
}

function jsonIn(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function loginRefused(says: string, facts: ErrorFacts = {}): DelegateError {
  return secretError('secret-store-login-refused', `${GCP} ${says}.`, {
    hint: 'Give the pod workload identity or the machine a service account, or name a credentials file in GOOGLE_APPLICATION_CREDENTIALS that the delegate may read.',
    ...facts,
  });
}
