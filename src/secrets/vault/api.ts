import { z } from 'zod';
import type { DelegateError } from '../../kit/errors.ts';
import { isTransportFailure, type HttpResponse } from '../../kit/http-exchange.ts';
import type { Secret } from '../../kit/secret.ts';
import { boundedWords } from '../../kit/text.ts';
import { secretError } from '../errors.ts';
import type { StorePorts } from '../provider.ts';
import type { VaultSettings } from '../store-settings.ts';

/** Of the server's own words in an error. */
const MAX_WORDS_CHARS = 200;

/** The envelope of every answer; what `data` is depends on who asks. */
const envelopeSchema = z.object({
  errors: z.array(z.string()).nullish(),
  warnings: z.array(z.string()).nullish(),
  lease_duration: z.number().nullish(),
  auth: z.unknown().optional(),
  data: z.unknown().optional(),
});

export type VaultEnvelope = z.output<typeof envelopeSchema>;

/** An answer that whoever asked has to judge: 2xx, 400, 403, 404 or 405. */
export interface VaultAnswer {
  readonly status: number;
  readonly body: VaultEnvelope;
  /** The server's own words, fit for an error; '' if it has none. */
  readonly words: string;
}

export interface VaultCall {
  readonly method: 'GET' | 'POST';
  /** Below `/v1/`, with segments that need no escape. */
  readonly path: string;
  readonly token?: Secret | undefined;
  readonly body?: unknown;
  readonly signal: AbortSignal;
}

/**
 * One exchange with Vault or OpenBao. Rejects for everything that is wrong with the server, the way to it, or the
 * delegate's picture of either; what is wrong with a path or a token is for the caller.
 */
export type VaultApi = (call: VaultCall) => Promise<VaultAnswer>;

/** A client of our own: HashiCorp keeps none for Node, and what is needed of it are six calls of JSON over HTTP. */
export function createVaultApi(settings: VaultSettings, { send, scrub }: StorePorts): VaultApi {
  return async ({ method, path, token, body, signal }) => {
    const url = new URL(`${settings.address}/v1/${path}`);
    let response: HttpResponse;
    try {
      response = await send({
        method,
        url,
        headers: {
          accept: 'application/json',
          // Without it an agent or proxy that requires it refuses: it keeps out requests that a browser was tricked into.
          'x-vault-request': 'true',
          ...(settings.namespace === undefined ? {} : { 'x-vault-namespace': settings.namespace }),
          ...(token === undefined ? {} : { 'x-vault-token': token.reveal() }),
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        signal,
      });
    } catch (thrown) {
      if (!isTransportFailure(thrown)) throw thrown;
      throw unreachable(url, thrown);
    }
    return judge(response, url, scrub);
  };
}

/** Under a code of this room: nobody is to take a failure on the way to Vault for one on the way to ServiceNow. */
function unreachable({ host }: URL, failure: DelegateError): DelegateError {
  const { message, hint, retryable, code } = failure;
  return secretError('secret-store-unreachable', `Vault cannot be reached: ${message}`, {
    retryable,
    hint,
    details: { host, transport: code },
    cause: failure,
  });
}

/** What a status means whatever was asked, by HashiCorp's API reference. */
const SERVER_STATES: Readonly<Record<number, readonly [what: string, hint: string]>> = {
  412: ['has not yet seen what was written just before', 'It passes by itself.'],
  429: [
    'limits the rate of requests, or is a standby node',
    "Raise the rate limit quota for the delegate's path, or give the address of the active node.",
  ],
  472: ['is a secondary for disaster recovery', 'Give the address of the primary (DELEGATE_VAULT_ADDRESS).'],
  473: ['is a performance standby', 'Give the address of the active node (DELEGATE_VAULT_ADDRESS).'],
  501: ['is not initialised', 'Initialise it: vault operator init.'],
  503: [
    'is sealed, or down for maintenance',
    'Unseal it: vault operator unseal; vault status shows its state.',
  ],
};

function judge(response: HttpResponse, { host }: URL, scrub: (text: string) => string): VaultAnswer {
  const { status } = response;
  const body = envelopeOf(response);
  const details = { host };
  if (status >= 300 && status < 400) {
    throw secretError('secret-store-bad-answer', `Vault at ${host} redirects to another address.`, {
      status,
      hint: 'It may be a standby node that does not forward requests, or a page for signing in: give the address of the active node itself (DELEGATE_VAULT_ADDRESS).',
      details,
    });
  }
  const words = boundedWords(scrub((body?.errors ?? []).join('; ')), MAX_WORDS_CHARS) ?? '';
  const state = SERVER_STATES[status];
  if (state !== undefined || status >= 500) {
    const [what, hint] = state ?? ['fails', "Look into Vault's own log."];
    const said = words === '' ? '' : ` It says: ${words}`;
    throw secretError('secret-store-unavailable', `Vault at ${host} ${what} (HTTP ${status}).${said}`, {
      status,
      hint,
      details,
    });
  }
  if (body !== undefined) return { status, body, words };
  throw secretError('secret-store-bad-answer', `${host} does not answer as Vault does (HTTP ${status}).`, {
    status,
    hint: 'Give the address of Vault itself, without /v1 and without the path of its web pages (DELEGATE_VAULT_ADDRESS).',
    details,
  });
}

/** Undefined if it is none. A success may have no body. */
function envelopeOf({ status, body }: HttpResponse): VaultEnvelope | undefined {
  if (body === '' && status === 204) return {};
  try {
    return envelopeSchema.parse(JSON.parse(body));
  } catch {
    // Not quoted, and its parser's words neither: a body may hold every field of a secret.
    return undefined;
  }
}

export function vaultBadAnswer(what: string, status: number): DelegateError {
  return secretError('secret-store-bad-answer', `Vault answered without ${what}.`, { status });
}
