import { expect } from 'chai';
import * as fc from 'fast-check';
import { SERVICENOW_ERRORS } from '../../../src/connectors/servicenow/error-kinds.ts';
import {
  judge,
  judgeFailure,
  unexpectedShape,
  type Judgement,
} from '../../../src/connectors/servicenow/errors.ts';
import { transportError } from '../../../src/http/transport-error.ts';
import { DelegateError, systemCode as systemCodeOf } from '../../../src/kit/errors.ts';
import { answer, envelope, json, judged, page, plain, REQUEST, TARGET, wireOf } from './answers.ts';

const JSON_TYPE = 'application/json';

const errorOf = (judgement: Judgement): DelegateError => {
  if ('error' in judgement) return judgement.error;
  throw new Error('nothing was wrong with it');
};

describe('what became of a look at a list', () => {
  it('records, as they were sent', () => {
    expect(judge({ response: json(200, { result: [{ a: 1 }, 'x'] }) }, REQUEST)).to.deep.equal({
      records: [{ a: 1 }, 'x'],
    });
  });

  it('none, where version 1 of the API says 404 that nothing matches', () => {
    const noMatch = 'Records matching query not found. Check query parameter or offset parameter';
    for (const response of [
      envelope(404, 'No Record found', noMatch),
      envelope(404, 'No Record found', null),
      answer(
        404,
        'application/xml',
        '<response><error><message>No Record found</message></error></response>',
      ),
    ]) {
      expect(judge({ response }, REQUEST)).to.deep.equal({ records: [] });
    }
  });

  it('404 in any other form is an error', () => {
    for (const response of [plain(404, 'gone'), json(404, { error: 'x' }), json(404, { error: {} })]) {
      expect(judged(response).code).to.equal('servicenow.not-found');
    }
  });

  it('the envelope with another status is an error', () => {
    expect(judged(envelope(400, 'm', 'd')).code).to.equal('servicenow.invalid-request');
  });

  it('JSON by its name, however that is written, is read as JSON', () => {
    expect(judged(answer(200, 'Application/JSON', '<html>')).code).to.equal('servicenow.broken-answer');
  });

  it('a failure of the transport', () => {
    const failure = transportError(Object.assign(new Error('x'), { code: 'ECONNREFUSED' }), new URL(TARGET));
    expect(errorOf(judge({ failure }, REQUEST)).code).to.equal('network.refused');
  });
});

describe('JSON of status 200', () => {
  describe('with an error beside the rows', () => {
    for (const [name, value] of Object.entries({
      'rows and the envelope': { result: [{}], error: { message: 'm', detail: 'd' }, status: 'failure' },
      'rows and an error whose texts say something else': { result: [{}], error: { message: 'm: d' } },
      'the envelope alone': { error: { message: 'm', detail: 'd' }, status: 'failure' },
    })) {
      it(`(${name}) was cancelled: its rows are worth nothing, and asking again may help`, () => {
        expect(judged(json(200, value)).toWire()).to.deep.equal(
          wireOf(
            {
              code: 'servicenow.transaction-cancelled',
              message: `${TARGET}: ServiceNow cancelled the request halfway.`,
              details: { serverText: 'm: d' },
            },
            200,
          ),
        );
      });
    }

    for (const [name, value] of Object.entries({
      'status failure alone': { result: [{}], status: 'failure' },
      'an error that is text': { result: [], error: 'cancelled' },
      'an error that is null': { result: [], error: null },
      'an empty error and no rows': { error: {} },
    })) {
      it(`(${name}) was cancelled, without a word`, () => {
        const error = judged(json(200, value));
        expect([error.code, error.details]).to.deep.equal(['servicenow.transaction-cancelled', undefined]);
      });
    }

    it('of 64 Ki characters and more was cancelled, without a word: nothing so long is searched for secrets', () => {
      const said = (chars: number): unknown =>
        judged(json(200, { error: { message: 'a '.repeat(chars / 2).padEnd(chars, 'a') } })).details;
      expect(said(65_536))
        .to.have.property('serverText')
        .that.matches(/^a a .*…$/);
      expect(said(65_537)).to.equal(undefined);
    });

    it('is told by the error, not by a status of success', () => {
      expect(judge({ response: json(200, { result: [], status: 'success' }) }, REQUEST)).to.deep.equal({
        records: [],
      });
    });
  });

  describe('that is not whole', () => {
    const broken = (body: string): unknown => judged(answer(200, JSON_TYPE, body)).toWire();
    const verdict = (what: string, chars: number): unknown =>
      wireOf(
        {
          code: 'servicenow.broken-answer',
          message: `${TARGET}: the answer ${what}.`,
          details: { contentType: JSON_TYPE, chars },
        },
        200,
      );

    it('is broken, and may pass; nothing of it is quoted', () => {
      expect(broken('{"result":[{"salary":"12345')).to.deep.equal(verdict('is not whole JSON', 27));
    });

    it('is empty', () => {
      expect(broken('')).to.deep.equal(verdict('is empty', 0));
      expect(broken(' \n')).to.deep.equal(verdict('is empty', 2));
    });
  });

  for (const [name, value, problem] of [
    ['one record in place of a list', { result: {} }, 'is JSON, but not of the Table API'],
    ['no result', { records: [] }, 'is JSON, but not of the Table API'],
    ['a failure of a token server', { error: 'x' }, 'is JSON, but not of the Table API'],
    ['null', null, 'is JSON, but not of the Table API'],
    ['a bare list', [], 'is JSON, but not of the Table API'],
    [
      'a failure of the old web service',
      { records: [{ __status: 'failure', __error: { message: 'Invalid', reason: 'No such table' } }, {}] },
      'is a failure of ServiceNow\'s old JSON web service: "Invalid: No such table"',
    ],
    [
      'a failure of the old web service that gives no reason',
      { records: [{ __error: { message: null } }] },
      "is a failure of ServiceNow's old JSON web service",
    ],
    ['rows of the old web service', { records: [{ number: 'x' }] }, 'is JSON, but not of the Table API'],
  ] as const) {
    it(`of another API (${name}) is refused`, () => {
      expect(judged(json(200, value)).toWire()).to.deep.equal({
        code: 'servicenow.unexpected-shape',
        message: `${TARGET}: the answer ${problem}.`,
        hint: SERVICENOW_ERRORS['servicenow.unexpected-shape'].remedy,
        category: 'not-servicenow',
        retryable: false,
        status: 200,
      });
    });
  }

  it('that whoever reads the rows does not understand is refused in the same way', () => {
    expect(unexpectedShape({ status: 200 }, 'has a row that is no record', REQUEST)).to.include({
      code: 'servicenow.unexpected-shape',
      message: `${TARGET}: the answer has a row that is no record.`,
      status: 200,
    });
  });
});

describe('a failure of the transport, told of a request', () => {
  const failed = (code: string): DelegateError => {
    const thrown = Object.assign(new Error('text of a stranger'), { code });
    return judgeFailure(transportError(thrown, new URL(TARGET)), REQUEST);
  };
  const ADDRESS = ' It is the address in serviceNowUrl.';

  const CASES: Readonly<Record<string, [code: string, retryable: boolean, said: string, hint: string]>> = {
    ENOTFOUND: [
      'network.dns',
      false,
      'does not resolve: the name is unknown to DNS here',
      `Check the host name, and that the delegate's DNS knows it.${ADDRESS}`,
    ],
    EAI_AGAIN: [
      'network.dns',
      true,
      'did not resolve: DNS gave no answer',
      `Check the delegate's DNS servers.${ADDRESS}`,
    ],
    ECONNREFUSED: [
      'network.refused',
      true,
      'refused the connection',
      `Check host and port, and that nothing between refuses the delegate.${ADDRESS}`,
    ],
    EHOSTUNREACH: [
      'network.unreachable',
      true,
      'cannot be reached from this network',
      `Check routes and firewalls between the delegate and the host.${ADDRESS}`,
    ],
    ECONNRESET: [
      'network.reset',
      true,
      'closed the connection before the answer was complete',
      'Usually passes; if not, look at proxies and load balancers between.',
    ],
    UND_ERR_CONNECT_TIMEOUT: [
      'network.connect-timeout',
      true,
      'did not accept a connection in time',
      `A firewall that drops packets is the usual cause: allow the delegate to reach host and port.${ADDRESS}`,
    ],
    UND_ERR_HEADERS_TIMEOUT: [
      'network.answer-timeout',
      true,
      'accepted the request and did not answer in time',
      'The server is overloaded or the request is too costly.',
    ],
    CERT_HAS_EXPIRED: [
      'tls.certificate-expired',
      false,
      'has a TLS certificate that has expired or is not valid yet',
      "Renew the server's certificate; if it is right, check the clock of this machine.",
    ],
    ERR_TLS_CERT_ALTNAME_INVALID: [
      'tls.host-mismatch',
      false,
      'has a TLS certificate for another host name',
      `Use the host name of the certificate.${ADDRESS}`,
    ],
    ERR_SSL_WRONG_VERSION_NUMBER: [
      'tls.handshake',
      false,
      'answers with something that is not TLS',
      `Check host and port: another protocol is spoken there, or a proxy answers in its place.${ADDRESS}`,
    ],
    ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION: [
      'tls.handshake',
      false,
      'failed the TLS handshake',
      `Check that the port speaks TLS, and the protocol versions on both sides.${ADDRESS}`,
    ],
    ERR_TLS_HANDSHAKE_TIMEOUT: [
      'tls.handshake-timeout',
      true,
      'accepted the connection and did not finish the TLS handshake in time',
      `The server is overloaded, or something between holds the connection: look at proxies and TLS inspection if it goes on.${ADDRESS}`,
    ],
    Z_DATA_ERROR: [
      'http.broken-response',
      true,
      'sent an answer that cannot be unpacked',
      `Usually passes; if not, look for what compresses or changes answers on the way.${ADDRESS}`,
    ],
    UND_ERR_HEADERS_OVERFLOW: [
      'http.broken-response',
      true,
      'sent something that is not a valid HTTP answer',
      `Check that host and port speak HTTP, and what stands between.${ADDRESS}`,
    ],
  };
  for (const [systemCode, [code, retryable, said, hint]] of Object.entries(CASES)) {
    it(`${systemCode} is ${code}, with the target and what to do`, () => {
      const error = failed(systemCode);
      expect(error).to.include({ code, retryable, hint });
      expect(error.message).to.equal(`${TARGET}: example.service-now.com ${said}.`);
      expect(error.details).to.deep.equal({ host: 'example.service-now.com', systemCode, target: TARGET });
      expect(error.category).to.equal(transportError(error.cause, new URL(TARGET)).category);
    });
  }

  it('that is not known keeps its code and its cause', () => {
    const error = failed('EWHATEVER');
    expect(error).to.include({
      code: 'network.failed',
      message: `${TARGET}: example.service-now.com: the request failed (EWHATEVER).`,
    });
    expect(systemCodeOf(error)).to.equal('EWHATEVER');
  });

  it('without a hint of its own gets the address alone, or none', () => {
    const bare = (code: string): string | undefined =>
      judgeFailure(new DelegateError(code, 'm', { category: 'unavailable' }), REQUEST).hint;
    expect(bare('network.dns')).to.equal('It is the address in serviceNowUrl.');
    expect(bare('network.reset')).to.equal(undefined);
  });

  for (const code of ['policy.address-refused', 'timeout', 'httpish', 'x.network.dns']) {
    it(`${code}, which somebody else has judged, comes back as it is`, () => {
      const error = new DelegateError(code, 'no', { category: 'policy' });
      expect(judgeFailure(error, REQUEST)).to.equal(error);
    });
  }

  it('that nobody has judged is internal, and its text stays in its cause', () => {
    const error = judgeFailure(new TypeError('hunter2'), REQUEST);
    expect(error.code).to.equal('internal');
    expect(JSON.stringify(error.toWire())).not.to.contain('hunter2');
  });
});

describe('the judgement', () => {
  const TYPES = ['', 'application/json', 'application/xml', 'text/html', 'text/plain'];

  it('is not moved by the prose of an envelope', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 400, max: 599 }),
        fc.string({ minLength: 1 }),
        fc.option(fc.string({ minLength: 1 })),
        (status, message, detail) => {
          const [before, after] = [
            envelope(status, 'No', 'Why'),
            envelope(status, `m${message}`, detail),
          ].map((response) => {
            const judgement = judge({ response }, REQUEST);
            if ('records' in judgement) return judgement;
            const { code, category, retryable, hint } = judgement.error;
            return [code, category, retryable, hint];
          });
          expect(after).to.deep.equal(before);
        },
      ),
    );
  });

  it('is records, or an error with one line and a hint, whatever comes', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 100, max: 599 }),
        fc.constantFrom(...TYPES),
        fc.dictionary(
          fc.constantFrom('location', 'retry-after', 'x-is-logged-in', 'x-mfa_token', 'x-ratelimit-rule'),
          fc.string(),
        ),
        fc.oneof(
          fc.string(),
          fc.json(),
          fc.json().map((value) => `{"error":${value}}`),
        ),
        (status, type, headers, body) => {
          const judgement = judge({ response: answer(status, type, body, headers) }, REQUEST);
          if ('records' in judgement) expect(status).to.be.oneOf([200, 404]);
          else {
            expect(judgement.error.code in SERVICENOW_ERRORS).to.equal(true);
            expect(judgement.error.message).to.match(/^[^\n\r]{10,}\.$/);
            expect(judgement.error.hint).to.match(/\.$/);
            expect(judgement.error.status).to.equal(status);
          }
        },
      ),
    );
  });

  it('depends on nothing but its arguments', () => {
    const response = page(403, 'Access denied');
    expect(judged(response).toWire()).to.deep.equal(judged(response).toWire());
  });
});
