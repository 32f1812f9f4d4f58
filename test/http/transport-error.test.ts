import { inspect } from 'node:util';
import { expect } from 'chai';
import { HTTP_ERRORS } from '../../src/http/errors.ts';
import { transportError } from '../../src/http/transport-error.ts';
import { DelegateError } from '../../src/kit/errors.ts';

const url = new URL('https://user:hunter2@acme.example:8443/path?sysparm_query=hunter2');

function judged(code: string): DelegateError {
  return transportError(Object.assign(new Error('text of a stranger'), { code }), url);
}

describe('a failure below HTTP', () => {
  const judgements: Record<string, [code: string, category: string, retryable: boolean]> = {
    ENOTFOUND: ['network.dns', 'unavailable', false],
    EAI_AGAIN: ['network.dns', 'unavailable', true],
    EAI_FAIL: ['network.dns', 'unavailable', true],
    ECONNREFUSED: ['network.refused', 'unavailable', true],
    EHOSTUNREACH: ['network.unreachable', 'unavailable', true],
    EHOSTDOWN: ['network.unreachable', 'unavailable', true],
    ENETUNREACH: ['network.unreachable', 'unavailable', true],
    ENETDOWN: ['network.unreachable', 'unavailable', true],
    EADDRNOTAVAIL: ['network.unreachable', 'unavailable', true],
    ECONNRESET: ['network.reset', 'unavailable', true],
    ECONNABORTED: ['network.reset', 'unavailable', true],
    EPIPE: ['network.reset', 'unavailable', true],
    UND_ERR_SOCKET: ['network.reset', 'unavailable', true],
    UND_ERR_RES_CONTENT_LENGTH_MISMATCH: ['network.reset', 'unavailable', true],
    UND_ERR_CONNECT_TIMEOUT: ['network.connect-timeout', 'timeout', true],
    ETIMEDOUT: ['network.connect-timeout', 'timeout', true],
    UND_ERR_HEADERS_TIMEOUT: ['network.answer-timeout', 'timeout', true],
    UND_ERR_BODY_TIMEOUT: ['network.answer-timeout', 'timeout', true],
    UND_ERR_RES_EXCEEDED_MAX_SIZE: ['http.response-too-large', 'bad-response', false],
    ERR_BUFFER_TOO_LARGE: ['http.response-too-large', 'bad-response', false],
    UND_ERR_HEADERS_OVERFLOW: ['http.broken-response', 'bad-response', true],
    Z_DATA_ERROR: ['http.broken-response', 'bad-response', true],
    ERR__ERROR_FORMAT_PADDING_1: ['http.broken-response', 'bad-response', true],
    UND_ERR_INVALID_ARG: ['http.request-invalid', 'invalid-input', false],
    CERT_HAS_EXPIRED: ['tls.certificate-expired', 'unavailable', false],
    CERT_NOT_YET_VALID: ['tls.certificate-expired', 'unavailable', false],
    DEPTH_ZERO_SELF_SIGNED_CERT: ['tls.untrusted', 'unavailable', false],
    SELF_SIGNED_CERT_IN_CHAIN: ['tls.untrusted', 'unavailable', false],
    UNABLE_TO_VERIFY_LEAF_SIGNATURE: ['tls.untrusted', 'unavailable', false],
    UNABLE_TO_GET_ISSUER_CERT: ['tls.untrusted', 'unavailable', false],
    UNABLE_TO_GET_ISSUER_CERT_LOCALLY: ['tls.untrusted', 'unavailable', false],
    CERT_UNTRUSTED: ['tls.untrusted', 'unavailable', false],
    CERT_REJECTED: ['tls.untrusted', 'unavailable', false],
    CERT_REVOKED: ['tls.untrusted', 'unavailable', false],
    CERT_SIGNATURE_FAILURE: ['tls.untrusted', 'unavailable', false],
    CERT_CHAIN_TOO_LONG: ['tls.untrusted', 'unavailable', false],
    PATH_LENGTH_EXCEEDED: ['tls.untrusted', 'unavailable', false],
    INVALID_CA: ['tls.untrusted', 'unavailable', false],
    INVALID_PURPOSE: ['tls.untrusted', 'unavailable', false],
    ERR_TLS_CERT_ALTNAME_INVALID: ['tls.host-mismatch', 'unavailable', false],
    HOSTNAME_MISMATCH: ['tls.host-mismatch', 'unavailable', false],
    EPROTO: ['tls.handshake', 'unavailable', false],
    ERR_SSL_WRONG_VERSION_NUMBER: ['tls.handshake', 'unavailable', false],
    ERR_SSL_PACKET_LENGTH_TOO_LONG: ['tls.handshake', 'unavailable', false],
    ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION: ['tls.handshake', 'unavailable', false],
    HPE_INVALID_CONSTANT: ['http.broken-response', 'bad-response', true],
    ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED: ['tls.client-certificate-required', 'unavailable', false],
    ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE: ['tls.client-certificate-refused', 'unavailable', false],
    ERR_SSL_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE: ['tls.client-certificate-refused', 'unavailable', false],
    ERR_SSL_SSLV3_ALERT_CERTIFICATE_REVOKED: ['tls.client-certificate-refused', 'unavailable', false],
    ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED: ['tls.client-certificate-refused', 'unavailable', false],
    ERR_SSL_SSLV3_ALERT_CERTIFICATE_UNKNOWN: ['tls.client-certificate-refused', 'unavailable', false],
    ERR_SSL_TLSV1_ALERT_UNKNOWN_CA: ['tls.client-certificate-refused', 'unavailable', false],
    'ERR_SSL_SSL/TLS_ALERT_CERTIFICATE_UNKNOWN': ['tls.client-certificate-refused', 'unavailable', false],
    ERR_TLS_HANDSHAKE_TIMEOUT: ['tls.handshake-timeout', 'timeout', true],
    ERR_TLS_INVALID_PROTOCOL_VERSION: ['tls.handshake', 'unavailable', false],
  };
  for (const [systemCode, [code, category, retryable]] of Object.entries(judgements)) {
    it(`${systemCode} is ${code}`, () => {
      const error = judged(systemCode);
      expect(error).to.include({ code, category, retryable });
      expect(error.details).to.deep.equal({ host: 'acme.example:8443', systemCode });
      expect(error.message).to.match(/^acme\.example:8443 .+\.$/);
      expect(error.hint).to.match(/\.$/);
    });
  }

  it('has four texts for four ways of not getting through', () => {
    const texts = ['ENOTFOUND', 'ECONNREFUSED', 'CERT_HAS_EXPIRED', 'ERR_TLS_HANDSHAKE_TIMEOUT'].map(
      (systemCode) => judged(systemCode).message,
    );
    expect(texts).to.deep.equal([
      'acme.example:8443 does not resolve: the name is unknown to DNS here.',
      'acme.example:8443 refused the connection.',
      'acme.example:8443 has a TLS certificate that has expired or is not valid yet.',
      'acme.example:8443 accepted the connection and did not finish the TLS handshake in time.',
    ]);
  });

  it('of TLS tells who speaks none, and who wants a certificate, from who speaks another version', () => {
    const texts = [
      'ERR_SSL_WRONG_VERSION_NUMBER',
      'ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED',
      'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION',
    ].map((systemCode) => judged(systemCode).message);
    expect(texts).to.deep.equal([
      'acme.example:8443 answers with something that is not TLS.',
      'acme.example:8443 wants a TLS certificate of the delegate, which shows none.',
      'acme.example:8443 failed the TLS handshake.',
    ]);
  });

  it('of a body that cannot be unpacked does not say that it is no HTTP', () => {
    expect(judged('Z_DATA_ERROR').message).to.equal(
      'acme.example:8443 sent an answer that cannot be unpacked.',
    );
  });

  it('of a resolver that does not answer is told from a name that it does not know', () => {
    expect(judged('EAI_AGAIN')).to.include({
      message: 'acme.example:8443 did not resolve: DNS gave no answer.',
      hint: "Check the delegate's DNS servers.",
    });
    expect(judged('ENOTFOUND').hint).to.equal(HTTP_ERRORS['network.dns'].remedy);
  });

  for (const systemCode of ['EWHATEVER', '__proto__', 'constructor']) {
    it(`${systemCode}, which nobody foresaw, may pass by itself`, () => {
      expect(judged(systemCode)).to.include({
        code: 'network.failed',
        retryable: true,
        message: `acme.example:8443: the request failed (${systemCode}).`,
      });
    });
  }

  it('without a code is told as such', () => {
    expect(transportError('thrown text hunter2', url).message).to.equal(
      'acme.example:8443: the request failed (no code).',
    );
  });

  it('is judged by the system error within it', () => {
    const within = Object.assign(new Error('inner'), { code: 'ECONNREFUSED' });
    expect(transportError(new TypeError('fetch failed', { cause: within }), url)).to.include({
      code: 'network.refused',
    });
  });

  it('that has been judged already stays as it is', () => {
    const error = new DelegateError('policy.loopback-refused', 'no', { category: 'policy' });
    expect(transportError(error, url)).to.equal(error);
  });

  it('tells nothing of the URL but its host', () => {
    expect(inspect(judged('ECONNRESET'))).to.not.match(/hunter2|path/);
  });
});
