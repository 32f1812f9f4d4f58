import { errors } from 'undici';
import { DelegateError, systemCode } from '../kit/errors.ts';

interface Judgement {
  code: string;
  what: string;
  hint: string;
  retryable: boolean;
  category?: 'unavailable' | 'timeout' | 'bad-response' | 'invalid-input';
}

const unresolved: Judgement = {
  code: 'network.dns',
  what: 'does not resolve: the name is unknown to DNS here',
  hint: "Check the host name, and that the delegate's DNS knows it.",
  retryable: false,
};
const resolverDown: Judgement = {
  code: 'network.dns',
  what: 'did not resolve: DNS gave no answer',
  hint: "Check the delegate's DNS servers.",
  retryable: true,
};
const refused: Judgement = {
  code: 'network.refused',
  what: 'refused the connection',
  hint: 'Check host and port, and that nothing between refuses the delegate.',
  retryable: true,
};
const unreachable: Judgement = {
  code: 'network.unreachable',
  what: 'cannot be reached from this network',
  hint: 'Check routes and firewalls between the delegate and the host.',
  retryable: true,
};
const reset: Judgement = {
  code: 'network.reset',
  what: 'closed the connection before the answer was complete',
  hint: 'Usually passes; if not, look at proxies and load balancers between.',
  retryable: true,
};
const connectTimeout: Judgement = {
  code: 'network.connect-timeout',
  what: 'did not accept a connection in time',
  hint: 'A firewall that drops packets is the usual cause: allow the delegate to reach host and port.',
  retryable: true,
  category: 'timeout',
};
const answerTimeout: Judgement = {
  code: 'network.answer-timeout',
  what: 'accepted the request and did not answer in time',
  hint: 'The server is overloaded or the request is too costly.',
  retryable: true,
  category: 'timeout',
};
const tooLarge: Judgement = {
  code: 'http.response-too-large',
  what: 'sent a larger answer than the delegate accepts',
  hint: 'Check that the URL is the right one.',
  retryable: false,
  category: 'bad-response',
};
const notHttp: Judgement = {
  code: 'http.broken-response',
  what: 'sent something that is not a valid HTTP answer',
  hint: 'Check that host and port speak HTTP, and what stands between.',
  retryable: true,
  category: 'bad-response',
};
const expired: Judgement = {
  code: 'tls.certificate-expired',
  what: 'has a TLS certificate that has expired or is not valid yet',
  hint: "Renew the server's certificate; if it is right, check the clock of this machine.",
  retryable: false,
};
const untrusted: Judgement = {
  code: 'tls.untrusted',
  what: 'has a TLS certificate that this machine does not trust',
  hint: 'Add the CA that signed it (NODE_EXTRA_CA_CERTS), or check who intercepts the connection.',
  retryable: false,
};
const otherHost: Judgement = {
  code: 'tls.host-mismatch',
  what: 'has a TLS certificate for another host name',
  hint: 'Use the host name of the certificate.',
  retryable: false,
};
const handshake: Judgement = {
  code: 'tls.handshake',
  what: 'failed the TLS handshake',
  hint: 'Check that the port speaks TLS, and the protocol versions on both sides.',
  retryable: true,
};
const unsendable: Judgement = {
  code: 'http.request-invalid',
  what: 'was not asked: the request has a header that HTTP does not allow',
  hint: 'A line break or another control character inside a token is the usual cause.',
  retryable: false,
  category: 'invalid-input',
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
};

/** Codes that come in families. */
const families: readonly (readonly [prefix: string, judgement: Judgement])[] = [
  ['ERR_SSL_', handshake],
  ['ERR_TLS_', handshake],
  ['Z_', notHttp],
  // What Node makes of Brotli's own names, such as `_ERROR_FORMAT_PADDING_1`.
  ['ERR__ERROR_', notHttp],
];

/** A failure below HTTP as a coded error that names the host and nothing else of the request. */
export function transportError(thrown: unknown, url: URL): DelegateError {
  if (thrown instanceof DelegateError) return thrown;
  const code = systemCode(thrown);
  // undici's parser gives its errors no code.
  const judgement = thrown instanceof errors.HTTPParserError ? notHttp : judge(code);
  if (judgement === undefined) {
    return new DelegateError('network.failed', `${url.host}: the request failed (${code ?? 'no code'}).`, {
      category: 'unavailable',
      retryable: true,
      cause: thrown,
    });
  }
  return new DelegateError(judgement.code, `${url.host} ${judgement.what}.`, {
    category: judgement.category ?? 'unavailable',
    retryable: judgement.retryable,
    hint: judgement.hint,
    details: { host: url.host, ...(code === undefined ? {} : { systemCode: code }) },
    cause: thrown,
  });
}

function judge(code: string | undefined): Judgement | undefined {
  if (code === undefined) return undefined;
  if (Object.hasOwn(judgements, code)) return judgements[code];
  return families.find(([prefix]) => code.startsWith(prefix))?.[1];
}
