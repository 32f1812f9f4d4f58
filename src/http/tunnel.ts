import type { Socket } from 'node:net';
import type { DelegateError } from '../kit/errors.ts';
import { abortReason } from '../kit/flow.ts';
import type { Secret } from '../kit/secret.ts';
import { httpError } from './errors.ts';
import { codedError } from './sockets.ts';

/** Above any answer to CONNECT; proxies add headers of their own, and some a page to a refusal. */
const MAX_HEAD_BYTES = 16_384;
const HEAD_END = '\r\n\r\n';

export interface TunnelRequest {
  /** host:port, an IPv6 address in brackets. */
  readonly target: string;
  /** `user:password` for Basic (RFC 7617). It goes to the proxy alone. */
  readonly credentials: Secret | undefined;
}

/** What a proxy answered, as far as anything depends on it. */
export interface TunnelAnswer {
  readonly status: number;
  readonly offersBasic: boolean;
  /** Whether it sent more than a head: behind a 2xx that would be words put into the mouth of the host. */
  readonly hasMore: boolean;
}

/**
 * Asks a proxy for a tunnel (RFC 9110, section 9.3.6). Resolves to undefined if the answer is no HTTP; rejects with a
 * system error, or with the reason of the signal.
 */
export async function askForTunnel(
  socket: Socket,
  request: TunnelRequest,
  signal: AbortSignal,
): Promise<TunnelAnswer | undefined> {
  socket.write(headOf(request), 'latin1');
  const bytes = await readHead(socket, signal);
  return readAnswer(bytes.toString('latin1'));
}

function headOf({ target, credentials }: TunnelRequest): string {
  const lines = [`CONNECT ${target} HTTP/1.1`, `Host: ${target}`];
  if (credentials !== undefined) {
    lines.push(`Proxy-Authorization: Basic ${Buffer.from(credentials.reveal(), 'utf8').toString('base64')}`);
  }
  return `${lines.join('\r\n')}${HEAD_END}`;
}

/** Everything up to the end of the head, and what came with it; or `MAX_HEAD_BYTES` without an end. */
function readHead(socket: Socket, signal: AbortSignal): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    let bytes = Buffer.alloc(0);
    const onReadable = (): void => {
      for (let read: unknown = socket.read(); Buffer.isBuffer(read); read = socket.read()) {
        bytes = Buffer.concat([bytes, read]);
        if (bytes.includes(HEAD_END) || bytes.length > MAX_HEAD_BYTES) {
          stop();
          resolve(bytes);
          return;
        }
      }
    };
    const fail = (failure: Error): void => {
      stop();
      reject(failure);
    };
    const onEnd = (): void => fail(codedError('ECONNRESET', 'closed before it answered'));
    const onAbort = (): void => fail(abortReason(signal));
    const stop = (): void => {
      signal.removeEventListener('abort', onAbort);
      socket.off('readable', onReadable).off('error', fail).off('end', onEnd).off('close', onEnd);
    };
    if (signal.aborted) {
      onAbort();
      return;
    }
    signal.addEventListener('abort', onAbort, { once: true });
    socket.on('readable', onReadable).on('error', fail).on('end', onEnd).on('close', onEnd);
  });
}

/** Undefined if it is no head of HTTP/1. */
export function readAnswer(text: string): TunnelAnswer | undefined {
  const end = text.indexOf(HEAD_END);
  const [statusLine = '', ...fields] = text.slice(0, Math.max(end, 0)).split('\r\n');
  const [, status] = /^HTTP\/1\.[01] (\d{3})(?: |$)/.exec(statusLine) ?? [];
  if (status === undefined) return undefined;
  return {
    status: Number(status),
    offersBasic: fields.some((field) => /^(?:proxy|www)-authenticate:(.*,)?\s*basic(\s|,|$)/i.test(field)),
    hasMore: end + HEAD_END.length < text.length,
  };
}

/** Undefined: the tunnel stands. Nothing that the proxy wrote is quoted. */
export function judgeAnswer(
  answer: TunnelAnswer | undefined,
  { target, credentials }: TunnelRequest,
  proxy: string,
): DelegateError | undefined {
  const details = { proxy, target };
  if (answer === undefined || (isOpen(answer) && answer.hasMore)) {
    const what = 'answered CONNECT with something that is no valid answer to it';
    return httpError('network.proxy-broken-answer', `The proxy ${proxy} ${what}.`, { details });
  }
  if (isOpen(answer)) return undefined;
  const { status, offersBasic } = answer;
  if (isAboutCredentials(answer)) {
    const isMissing = credentials === undefined;
    const code = isMissing ? 'network.proxy-credentials-missing' : 'network.proxy-credentials-refused';
    const what = isMissing
      ? 'wants credentials, and none are configured for it'
      : 'does not accept the configured credentials';
    const hint = offersBasic
      ? {}
      : { hint: 'The delegate speaks Basic, and this proxy does not offer it: let the delegate in without.' };
    return httpError(code, `The proxy ${proxy} ${what} (HTTP ${status}).`, { status, details, ...hint });
  }
  // From 500 on it tried, or is in trouble itself: that may pass.
  const retryable = status >= 500;
  const what = retryable ? 'could not open a tunnel' : 'refused to open a tunnel';
  return httpError('network.proxy-refused', `The proxy ${proxy} ${what} to ${target} (HTTP ${status}).`, {
    status,
    details,
    retryable,
    ...(retryable ? { hint: `Look whether the proxy itself can resolve and reach ${target}.` } : {}),
  });
}

/** 401 is a server's word and not a proxy's, but tinyproxy says it to a password that it does not accept. */
export function isAboutCredentials({ status }: { readonly status: number | undefined }): boolean {
  return status === 407 || status === 401;
}

function isOpen({ status }: TunnelAnswer): boolean {
  return status >= 200 && status < 300;
}
