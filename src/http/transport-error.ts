import { HTTPParserError } from 'undici/lib/core/errors.js';
import { DelegateError, systemCode, type ErrorFacts } from '../kit/errors.ts';
import { httpError, type HttpErrorCode } from './errors.ts';

/** What is known of a system code: what the host did, and what is special to it. */
interface Judgement extends Pick<ErrorFacts, 'retryable' | 'hint'> {
  readonly code: HttpErrorCode;
  readonly what: string;
}

const unresolved: Judgement = {
  code: 'network.dns',
  what: 'does not resolve: the name is unknown to DNS here',
};
const resolverDown: Judgement = {
  code: 'network.dns',
  what: 'did not resolve: DNS gave no answer',
  hint: "Check the delegate's DNS servers.",
  retryable: true,
};
const refused: Judgement = { code: 'network.refused', what: 'refused the connection' };
const unreachable: Judgement = { code: 'network.unreachable', what: 'cannot be reached from this network' };
const reset: Judgement = {
  code: 'network.reset',
  what: 'closed the connection before the answer was complete',
};
const connectTimeout: Judgement = {
  code: 'network.connect-timeout',
  what: 'did not accept a connection in time',
};
const answerTimeout: Judgement = {
  code: 'network.answer-timeout',
  what: 'accepted the request and did not answer in time',
};
const tooLarge: Judgement = {
  code: 'http.response-too-large',
  what: 'sent a larger answer than the delegate accepts',
};
const notHttp: Judgement = {
  code: 'http.broken-response',
  what: 'sent something that is not a valid HTTP answer',
};
const unpackable: Judgement = {
  code: 'http.broken-response',
  what: 'sent an answer that cannot be unpacked',
  hint: 'Usually passes; if not, look for what compresses or changes answers on the way.',
};
const unsendable: Judgement = {
  code: 'http.request-invalid',
  what: 'was not asked: the request has a header that HTTP does not allow',
};
const expired: Judgement = {
  code: 'tls.certificate-expired',
  what: 'has a TLS certificate that has expired or is not valid yet',
};
const untrusted: Judgement = {
  code: 'tls.untrusted',
  what: 'has a TLS certificate that this machine does not trust',
};
const otherHost: Judgement = {
  code: 'tls.host-mismatch',
  what: 'has a TLS certificate for another host name',
};
const handshake: Judgement = { code: 'tls.handshake', what: 'failed the TLS handshake' };
const notTls: Judgement = {
  code: 'tls.handshake',
  what: 'answers with something that is not TLS',
  hint: 'Check host and port: another protocol is spoken there, or a proxy answers in its place.',
};
const certificateWanted: Judgement = {
  code: 'tls.client-certificate-required',
  what: 'wants a TLS certificate of the delegate, which shows none',
};
const certificateRefused: Judgement = {
  code: 'tls.client-certificate-refused',
  what: 'does not accept the TLS certificate that the delegate shows',
};
const handshakeTimeout: Judgement = {
  code: 'tls.handshake-timeout',
  what: 'accepted the connection and did not finish the TLS handshake in time',
};

/** By system, OpenSSL and undici error codes (nodejs.org/api/errors.html, undici's `errors.js`); never by text. */
const judgements: Readonly<Record<string, Judgement>> = {
  ENOTFOUND: unresolved,
  EAI_AGAIN: resolverDown,
  EAI_FAIL: resolverDown,
  ECONNREFUSED: refused,
  EHOSTUNREACH: unreachable,
  EHOSTDOWN: unreachable,
  ENETUNREACH: unreachable,
  ENETDOWN: unreachable,
  EADDRNOTAVAIL: unreachable,
  ECONNRESET: reset,
  ECONNABORTED: reset,
  EPIPE: reset,
  UND_ERR_SOCKET: reset,
  UND_ERR_CONNECT_TIMEOUT: connectTimeout,
  ETIMEDOUT: connectTimeout,
  UND_ERR_HEADERS_TIMEOUT: answerTimeout,
  UND_ERR_BODY_TIMEOUT: answerTimeout,
  UND_ERR_RES_EXCEEDED_MAX_SIZE: tooLarge,
  ERR_BUFFER_TOO_LARGE: tooLarge,
  UND_ERR_INVALID_ARG: unsendable,
  UND_ERR_HEADERS_OVERFLOW: notHttp,
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: reset,
  CERT_HAS_EXPIRED: expired,
  CERT_NOT_YET_VALID: expired,
  DEPTH_ZERO_SELF_SIGNED_CERT: untrusted,
  SELF_SIGNED_CERT_IN_CHAIN: untrusted,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: untrusted,
  UNABLE_TO_GET_ISSUER_CERT: untrusted,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: untrusted,
  CERT_UNTRUSTED: untrusted,
  CERT_REJECTED: untrusted,
  CERT_REVOKED: untrusted,
  CERT_SIGNATURE_FAILURE: untrusted,
  CERT_CHAIN_TOO_LONG: untrusted,
  PATH_LENGTH_EXCEEDED: untrusted,
  INVALID_CA: untrusted,
  INVALID_PURPOSE: untrusted,
  ERR_TLS_CERT_ALTNAME_INVALID: otherHost,
  HOSTNAME_MISMATCH: otherHost,
  EPROTO: handshake,
  ERR_TLS_HANDSHAKE_TIMEOUT: handshakeTimeout,
  ERR_SSL_WRONG_VERSION_NUMBER: notTls,
  ERR_SSL_PACKET_LENGTH_TOO_LONG: notTls,
};

/**
 * Alerts of the peer about the certificate of the delegate (RFC 8446, section 6.2), by the ends of OpenSSL's names for
 * them: what stands before changes with its version (`SSLV3_`, `TLSV1_`, `SSL/TLS_`).
 */
const alerts: readonly (readonly [suffix: string, judgement: Judgement])[] = [
  ['_ALERT_CERTIFICATE_REQUIRED', certificateWanted],
  ['_ALERT_BAD_CERTIFICATE', certificateRefused],
  ['_ALERT_UNSUPPORTED_CERTIFICATE', certificateRefused],
  ['_ALERT_CERTIFICATE_REVOKED', certificateRefused],
  ['_ALERT_CERTIFICATE_EXPIRED', certificateRefused],
  ['_ALERT_CERTIFICATE_UNKNOWN', certificateRefused],
  ['_ALERT_UNKNOWN_CA', certificateRefused],
];

/** Codes that come in families. */
const families: readonly (readonly [prefix: string, judgement: Judgement])[] = [
  ['ERR_SSL_', handshake],
  ['ERR_TLS_', handshake],
  ['Z_', unpackable],
  // Of Node's own parser, which reads the answers to a WebSocket's upgrade.
  ['HPE_', notHttp],
  // What Node makes of Brotli's own names, such as `_ERROR_FORMAT_PADDING_1`.
  ['ERR__ERROR_', unpackable],
];

/** A failure below HTTP as a coded error that names the host and nothing else of the request. */
export function transportError(thrown: unknown, { host }: Pick<URL, 'host'>): DelegateError {
  if (thrown instanceof DelegateError) return thrown;
  const code = systemCode(thrown);
  // undici's parser gives its errors no code, but what it could not read: of an answer's body nothing is logged.
  if (thrown instanceof HTTPParserError) return told(notHttp, code, host, new Error(thrown.message));
  const judgement = judge(code);
  if (judgement === undefined) {
    const message = `${host}: the request failed (${code ?? 'no code'}).`;
    return httpError('network.failed', message, { cause: thrown });
  }
  return told(judgement, code, host, thrown);
}

/** Of what fails between the delegate and a proxy nothing is the fault of the host behind it, nor to be mended there. */
const atProxy: Partial<Record<HttpErrorCode, HttpErrorCode>> = {
  'network.dns': 'network.proxy-dns',
  'network.connect-timeout': 'network.proxy-timeout',
  'tls.certificate-expired': 'tls.proxy-certificate-expired',
  'tls.untrusted': 'tls.proxy-untrusted',
  'tls.host-mismatch': 'tls.proxy-host-mismatch',
  'tls.handshake': 'tls.proxy-handshake',
  'tls.handshake-timeout': 'tls.proxy-handshake',
  'tls.client-certificate-required': 'tls.proxy-handshake',
  'tls.client-certificate-refused': 'tls.proxy-handshake',
};

/**
 * A failure on the way to the proxy as a coded error.
 *
 * @param instead of what the system code says that the proxy did
 */
export function proxyError(thrown: unknown, { host }: Pick<URL, 'host'>, instead?: string): DelegateError {
  if (thrown instanceof DelegateError) return thrown;
  const code = systemCode(thrown);
  const judgement = judge(code);
  const what = instead ?? judgement?.what ?? `cannot be reached (${code ?? 'no code'})`;
  const kind = judgement === undefined ? undefined : atProxy[judgement.code];
  return httpError(kind ?? 'network.proxy-unreachable', `The proxy ${host} ${what}.`, {
    ...(judgement?.retryable === undefined ? {} : { retryable: judgement.retryable }),
    details: { proxy: host, ...(code === undefined ? {} : { systemCode: code }) },
    cause: thrown,
  });
}

function told(judgement: Judgement, code: string | undefined, host: string, cause: unknown): DelegateError {
  const { what, code: kind, ...special } = judgement;
  return httpError(kind, `${host} ${what}.`, {
    ...special,
    details: { host, ...(code === undefined ? {} : { systemCode: code }) },
    cause,
  });
}

function judge(code: string | undefined): Judgement | undefined {
  if (code === undefined) return undefined;
  if (Object.hasOwn(judgements, code)) return judgements[code];
  const alert = alerts.find(([suffix]) => code.startsWith('ERR_SSL_') && code.endsWith(suffix));
  return (alert ?? families.find(([prefix]) => code.startsWith(prefix)))?.[1];
}
