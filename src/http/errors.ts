import { errorsOf, type ErrorKinds } from '../kit/errors.ts';

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
    remedy:
      'Add the CA that signed it to the bundle of DELEGATE_CA_FILE (NODE_EXTRA_CA_CERTS works too), or check who intercepts the connection.',
  },
  'tls.host-mismatch': {
    category: 'unavailable',
    means: "The server's certificate is for other host names than the one that was called.",
    remedy: 'Use the host name of the certificate.',
  },
  'tls.handshake': {
    category: 'unavailable',
    means: 'The server answered, and the two sides did not agree on TLS: it speaks none, or another version.',
    remedy: 'Check that the port speaks TLS, and the protocol versions on both sides.',
  },
  'tls.handshake-timeout': {
    category: 'timeout',
    retryable: true,
    means: 'The host accepted the connection and did not finish the TLS handshake in time.',
    remedy:
      'The server is overloaded, or something between holds the connection: look at proxies and TLS inspection if it goes on.',
  },
  'tls.client-certificate-required': {
    category: 'unavailable',
    means: 'The server wants a TLS certificate of the delegate, and none is configured for it.',
    remedy:
      "Configure one: managerCertificateFile for the manager, clientCertificates for others; or let the delegate's requests in without.",
  },
  'tls.client-certificate-refused': {
    category: 'unavailable',
    means: 'The server does not accept the TLS certificate that the delegate showed.',
    remedy:
      'Check that the certificate has not ended, that it is of an authority that the server trusts, and that its file holds the chain up to that authority.',
  },
  'network.proxy-dns': {
    category: 'unavailable',
    means: 'The host name of the proxy did not resolve to an address.',
    remedy: "Check the address in DELEGATE_PROXY_URL or HTTPS_PROXY, and that the delegate's DNS knows it.",
  },
  'network.proxy-unreachable': {
    category: 'unavailable',
    retryable: true,
    means: 'No connection to the proxy could be made or kept. Nothing was sent to the host behind it.',
    remedy: 'Check the address in DELEGATE_PROXY_URL or HTTPS_PROXY, and whether the proxy runs.',
  },
  'network.proxy-timeout': {
    category: 'timeout',
    retryable: true,
    means: 'The proxy did not accept a connection, or did not open a tunnel to the host, in time (10 s).',
    remedy: 'Look whether the proxy is overloaded, or waits for a host that it cannot reach itself.',
  },
  'network.proxy-refused': {
    category: 'unavailable',
    means: 'The proxy was asked for a tunnel to the host (CONNECT) and did not open it.',
    remedy: "Let the delegate's machine reach the host and port in the rules of the proxy.",
  },
  'network.proxy-credentials-missing': {
    category: 'unavailable',
    means: 'The proxy wants a user and a password, and none are configured for it.',
    remedy: 'Put user:password into a file and name it in DELEGATE_PROXY_CREDENTIALS_FILE.',
  },
  'network.proxy-credentials-refused': {
    category: 'unavailable',
    means:
      'The proxy does not accept the user and the password that are configured. The file was read once more before.',
    remedy: 'Put the right user:password into the file; the next connection uses it, without a restart.',
  },
  'network.proxy-broken-answer': {
    category: 'unavailable',
    means: 'What the proxy answered to CONNECT is not HTTP, or more than an answer to it may be.',
    remedy: 'Check host, port and scheme (http or https) of the proxy: something else may listen there.',
  },
  'network.file-unusable': {
    category: 'unavailable',
    means:
      'A file of certificates, of a private key or of proxy credentials cannot be read or used. One that was good before stays in use.',
    remedy: 'Put the right contents in its place; it is looked at again, without a restart.',
  },
  'tls.proxy-certificate-expired': {
    category: 'unavailable',
    means: 'The certificate of the proxy itself is past its end, or before its beginning.',
    remedy: "Renew the proxy's certificate; if it is right, check the clock of this machine.",
  },
  'tls.proxy-untrusted': {
    category: 'unavailable',
    means:
      'The certificate of the proxy itself does not lead to a certificate authority that this machine trusts.',
    remedy: 'Add the CA that signed it to the bundle of DELEGATE_CA_FILE.',
  },
  'tls.proxy-host-mismatch': {
    category: 'unavailable',
    means: 'The certificate of the proxy itself is for other host names than the one it was called by.',
    remedy: "Use the host name of the certificate in the proxy's address.",
  },
  'tls.proxy-handshake': {
    category: 'unavailable',
    means: 'The delegate and the proxy itself did not agree on TLS.',
    remedy:
      "Most proxies speak plain HTTP to their clients, also for https targets: then the proxy's address begins with http://.",
  },
} as const satisfies ErrorKinds;

export type HttpErrorCode = keyof typeof HTTP_ERRORS;

export const httpError = errorsOf(HTTP_ERRORS);
