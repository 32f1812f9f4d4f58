import { DelegateError } from './errors.ts';

/**
 * The shape of one HTTP exchange, shared by the adapter that performs it (`http/`) and by those that only need
 * it performed (`oauth/`, `connectors/`), so that neither imports the other.
 */
export interface HttpRequest {
  method: 'GET' | 'HEAD' | 'POST' | 'PUT';
  url: URL;
  /** Lower-case names. */
  headers: Readonly<Record<string, string>>;
  body?: string | undefined;
  signal: AbortSignal;
}

export interface HttpResponse {
  status: number;
  /** Lower-case names; a repeated header is joined by ", ". */
  headers: Readonly<Record<string, string>>;
  /** The whole body, decoded by the character set that its content type names, or else as UTF-8. */
  body: string;
}

/**
 * Performs one exchange: no redirect is followed, no cookie kept, nothing retried.
 * Rejects with a `DelegateError` of the transport (see `isTransportFailure`), or with the signal's reason.
 */
export type HttpSend = (request: HttpRequest) => Promise<HttpResponse>;

/** What one connection attempt showed. */
export interface ConnectionFacts {
  /** The address connected to, or `proxy host:port` behind a proxy. */
  address: string;
  /** Undefined over plain http. */
  tls:
    | {
        protocol: string;
        subject: string;
        issuer: string;
        /** RFC 3339. */
        validTo: string;
      }
    | undefined;
}

/** The host of a URL as sockets take it: an IPv6 address without its brackets. */
export function bareHostname(url: URL): string {
  return url.hostname.replace(/^\[|\]$/g, '');
}

/** The media type of a response without its parameters, lower case; '' if there is none. */
export function mediaType(response: Pick<HttpResponse, 'headers'>): string {
  return (response.headers['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';
}

/**
 * What `Retry-After` asks for (RFC 9110, section 10.2.3), in milliseconds; undefined if it is absent or unusable.
 * A date is measured from the server's own `Date`, so that its clock may be wrong without harm.
 *
 * @param nowMs wall time, milliseconds, to measure from if the server sent no `Date`; without it, a date is then unusable
 */
export function retryAfterMs(headers: HttpResponse['headers'], nowMs?: number): number | undefined {
  const after = headers['retry-after']?.trim() ?? '';
  if (/^\d{1,9}$/.test(after)) return Number(after) * 1_000;
  return msUntil(Date.parse(after), headers, nowMs);
}

/**
 * How long it is until the moment that a header names in seconds since the epoch, as rate limits do; undefined if it is
 * absent or unusable. Measured as a date of `Retry-After` is.
 *
 * @param name of the header, in lower case
 */
export function untilEpochMs(
  headers: HttpResponse['headers'],
  name: string,
  nowMs?: number,
): number | undefined {
  const seconds = headers[name]?.trim() ?? '';
  return /^\d{1,12}$/.test(seconds) ? msUntil(Number(seconds) * 1_000, headers, nowMs) : undefined;
}

function msUntil(
  epochMs: number,
  headers: HttpResponse['headers'],
  nowMs: number | undefined,
): number | undefined {
  const sentAt = Date.parse(headers['date'] ?? '');
  const waitMs = epochMs - (Number.isNaN(sentAt) ? (nowMs ?? Number.NaN) : sentAt);
  return Number.isNaN(waitMs) ? undefined : Math.max(0, waitMs);
}

/** Whether it is a failure of the transport, as `HttpSend` rejects with, and not what somebody above it has judged. */
export function isTransportFailure(thrown: unknown): thrown is DelegateError {
  return thrown instanceof DelegateError && /^(network|tls|http)\./.test(thrown.code);
}
