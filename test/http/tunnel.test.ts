import { expect } from 'chai';
import { judgeAnswer, readAnswer } from '../../src/http/tunnel.ts';
import { Secret } from '../../src/kit/secret.ts';

const target = 'acme.test:443';
const credentials = new Secret('user:hunter2-proxy');

describe('the answer of a proxy to CONNECT', () => {
  const table: [what: string, text: string, code: string | undefined, retryable?: boolean][] = [
    ['200', 'HTTP/1.1 200 Connection established\r\n\r\n', undefined],
    ['200 of HTTP/1.0', 'HTTP/1.0 200 OK\r\nVia: x\r\n\r\n', undefined],
    ['204', 'HTTP/1.1 204 \r\n\r\n', undefined],
    ['200 without a phrase', 'HTTP/1.1 200\r\n\r\n', undefined],
    ['words behind 200', 'HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n', 'network.proxy-broken-answer', false],
    ['403', 'HTTP/1.1 403 Forbidden\r\n\r\n<html>', 'network.proxy-refused', false],
    ['302', 'HTTP/1.1 302 Found\r\nLocation: https://login\r\n\r\n', 'network.proxy-refused', false],
    ['100', 'HTTP/1.1 100 Continue\r\n\r\n', 'network.proxy-refused', false],
    ['502', 'HTTP/1.1 502 Bad Gateway\r\n\r\n', 'network.proxy-refused', true],
    ['503', 'HTTP/1.1 503 Busy\r\n\r\n', 'network.proxy-refused', true],
    ['407', 'HTTP/1.1 407 Who\r\n\r\n', 'network.proxy-credentials-missing', false],
    ['401 of tinyproxy', 'HTTP/1.0 401 Unauthorized\r\n\r\n', 'network.proxy-credentials-missing', false],
    ['no HTTP', 'SSH-2.0-OpenSSH\r\n\r\n', 'network.proxy-broken-answer', false],
    ['HTTP/2', 'HTTP/2 200 OK\r\n\r\n', 'network.proxy-broken-answer', false],
    ['four digits', 'HTTP/1.1 2000 OK\r\n\r\n', 'network.proxy-broken-answer', false],
    ['no end', 'HTTP/1.1 200 OK\r\n', 'network.proxy-broken-answer', false],
    ['nothing', '', 'network.proxy-broken-answer', false],
  ];
  for (const [what, text, code, retryable] of table) {
    it(`(${what}) is ${code ?? 'a tunnel'}`, () => {
      const judged = judgeAnswer(readAnswer(text), { target, credentials: undefined }, 'proxy.test:3128');
      expect(judged?.code).to.equal(code);
      expect(judged?.retryable).to.equal(retryable);
      if (judged === undefined) return;
      expect(judged.message).to.match(/^The proxy proxy\.test:3128 .+\.$/);
      expect(JSON.stringify(judged.toWire())).to.not.match(
        /Forbidden|Unauthorized|html|login|SSH|Busy|Gateway/,
      );
    });
  }

  it('407 to credentials says that they are wrong, and never what they are', () => {
    const answer = readAnswer('HTTP/1.1 407 Who\r\nProxy-Authenticate: Basic realm="hunter2-proxy"\r\n\r\n');
    const judged = judgeAnswer(answer, { target, credentials }, 'proxy.test:3128');
    expect(judged).to.include({
      code: 'network.proxy-credentials-refused',
      message: 'The proxy proxy.test:3128 does not accept the configured credentials (HTTP 407).',
      status: 407,
    });
    expect(JSON.stringify(judged?.toWire())).to.not.contain('hunter2');
  });

  for (const [offer, offersBasic] of [
    ['Basic realm="x"', true],
    ['basic', true],
    ['Negotiate, Basic realm="x"', true],
    ['Negotiate', false],
    ['NTLM', false],
    ['BasicPlus realm="x"', false],
  ] as const) {
    it(`407 that offers ${offer} is told ${offersBasic ? 'to give a password' : 'that Basic is all we speak'}`, () => {
      const answer = readAnswer(`HTTP/1.1 407 Who\r\nProxy-Authenticate: ${offer}\r\n\r\n`);
      const hint = judgeAnswer(answer, { target, credentials: undefined }, 'p:1')?.hint;
      expect(hint?.includes('speaks Basic')).to.equal(!offersBasic);
    });
  }
});
