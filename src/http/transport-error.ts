import { errors } from 'undici';
import { DelegateError, errorsOf, systemCode, type ErrorFacts, type ErrorKinds } from '../kit/errors.ts';

/** Why there is no answer, or none that is HTTP. What passes by itself is retryable: overload, restarts, resets. */
export const HTTP_ERRORS = {
  'network.dns': {
    category: 'unavailable',
    means: 'The host name did not resolve to an address: it is unknown to DNS here, or DNS gave no answer.',
    remedy: "Check the host name, and that the delegate's DNS knows it.",
  },
  'network.refused': {
    category: 'unavailable',
    retryable: true,
    means: 'The host is there, and nothing listens on this port, or a firewall says so.',
    remedy: 'Check host and port, and that nothing between refuses the delegate.',
  },
  'network.unreachable': {
    category: 'unavailable',
    retryable: true,
    means: 'There is no route to the host, or the network of the delegate is down.',
    remedy: 'Check routes and firewalls between the delegate and the host.',
  },
  'network.reset': {
    category: 'unavailable',
    retryable: true,
    means: 'The connection ended before the answer was complete.',
    remedy: 'Usually passes; if not, look at proxies and load balancers between.',
  },
  'network.connect-timeout': {
    category: 'timeout',
    retryable: true,
    means: 'The host did not accept a connection in time (10 s).',
    remedy: 'A firewall that drops packets is the usual cause: allow the delegate to reach host and port.',
  },
  'network.answer-timeout': {
    category: 'timeout',
    retryable: true,
    means: 'The request was taken, and the answer did not come, or did not go on, in time (30 s).',
    remedy: 'The server is overloaded or the request is too costly.',
  },
  'network.failed': {
    category: 'unavailable',
    retryable: true,
    means:
      'The request failed below HTTP for a reason that is not known here; its system code is in the message.',
    remedy: "Look the code up in the documentation of the delegate's system or of Node.js.",
  },
  'http.response-too-large': {
    category: 'bad-response',
    means: 'The answer is larger than the delegate accepts (16 MiB, unpacked).',
    remedy: 'Check that the URL is the right one.',
  },
  'http.broken-response': {
    category: 'bad-response',
    retryable: true,
    means: 'What came is not HTTP, or its body cannot be unpacked.',
    remedy: 'Check that host and port speak HTTP, and what stands between.',
  },
  'http.request-invalid': {
    category: 'invalid-input',
    means: 'The request was not sent, because it has a header that HTTP does not allow.',
    remedy: 'A line break or another control character inside a token is the usual cause.',
  },
  'tls.certificate-expired': {
    category: 'unavailable',
    means: "The server's certificate is past its end, or before its beginning.",
    remedy: "Renew the server's certificate; if it is right, check the clock of this machine.",
  },
  'tls.untrusted': {
    category: 'unavailable',
    means: "The server's certificate does not lead to a certificate authority that this machine trusts.",
    remedy: 'Add the CA that signed it (NODE_EXTRA_CA_CERTS), or check who intercepts the connection.',
  },
  'tls.host-mismatch': {
    category: 'unavailable',
    means: "The server's certificate is for other host names than the one that was called.",
    remedy: 'Use the host name of the certificate.',
  },
  'tls.handshake': {
    category: 'unavailable',
    means:
      'The server answered, and the two sides did not agree on TLS: it speaks none, or another version, or wants a certificate of the delegate.',
    remedy: 'Check that the port speaks TLS, and the protocol versions on both sides.',
  },
  'tls.handshake-timeout': {
    category: 'timeout',
    retryable: true,
    means: 'The host accepted the connection and did not finish the TLS handshake in time.',
    remedy:
      'The server is overloaded, or something between holds the connection: look at proxies and TLS inspection if it goes on.',
  },
} as const satisfies ErrorKinds;

export const httpError = errorsOf(HTTP_ERRORS);

/** What is known of a system code: what the host did, and what is special to it. */
interface Judgement extends Pick<ErrorFacts, 'retryable' | 'hint'> {
  readonly code: keyof typeof HTTP_ERRORS;
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
  code: 'tls.handshake',
  what: 'wants a TLS certificate of the delegate, which shows none',
  hint: 'Let the requests of this delegate in without a client certificate.',
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
  ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED: certificateWanted,
};

/** Codes that come in families. */
const families: readonly (readonly [prefix: string, judgement: Judgement])[] = [
  ['ERR_SSL_', handshake],
  ['ERR_TLS_', handshake],
  ['Z_', unpackable],
  // What Node makes of Brotli's own names, such as `_ERROR_FORMAT_PADDING_1`.
  ['ERR__ERROR_', unpackable],
];

/** A failure below HTTP as a coded error that names the host and nothing else of the request. */
export function transportError(thrown: unknown, url: URL): DelegateError {
  if (thrown instanceof DelegateError) return thrown;
  const code = systemCode(thrown);
  // undici's parser gives its errors no code, but what it could not read: of an answer's body nothing is logged.
  if (thrown instanceof errors.HTTPParserError) return told(notHttp, code, url, new Error(thrown.message));
  const judgement = judge(code);
  if (judgement === undefined) {
    const message = `${url.host}: the request failed (${code ?? 'no code'}).`;
    return httpError('network.failed', message, { cause: thrown });
  }
  return told(judgement, code, url, thrown);
}

function told(judgement: Judgement, code: string | undefined, { host }: URL, cause: unknown): DelegateError {
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
  return families.find(([prefix]) => code.startsWith(prefix))?.[1];
}
