import { expect } from 'chai';
import * as fc from 'fast-check';
import { ERROR_CATEGORIES, type ErrorCategory, type WireError } from '../../../../src/kit/errors.ts';
import { Redactor } from '../../../../src/kit/secret.ts';
import { summaryOf } from '../../../../src/connectors/servicenow/validation/summary.ts';

const unchanged = (text: string): string => text;

function errorOf(code: string, category: ErrorCategory, message: string, hint?: string): WireError {
  return { code, category, message, retryable: false, ...(hint === undefined ? {} : { hint }) };
}

const refused = errorOf(
  'network.refused',
  'unavailable',
  'dev.example.com refused the connection.',
  'Check host and port. Then the firewall.',
);

describe('the summary of a failed connection', () => {
  const subjects: readonly (readonly [code: string, category: ErrorCategory, subject: string])[] = [
    ['secret-not-found', 'secret', 'Secret'],
    ['key-material.certificate-expired', 'credentials', 'Certificate'],
    ['key-material.passphrase-wrong', 'credentials', 'Private key'],
    ['network.dns', 'unavailable', 'Network'],
    ['network.connect-timeout', 'timeout', 'Network'],
    ['http.broken-response', 'bad-response', 'Network'],
    ['tls.untrusted', 'unavailable', 'Certificate'],
    ['tls.certificate-expired', 'unavailable', 'Certificate'],
    ['tls.handshake', 'unavailable', 'Network'],
    ['tls.handshake-timeout', 'timeout', 'Network'],
    ['token.invalid-client', 'credentials', 'Credentials'],
    ['token.redirected', 'bad-response', 'Token URL'],
    ['token.not-json', 'bad-response', 'Token URL'],
    ['token.not-found', 'not-found', 'Token URL'],
    ['token.throttled', 'throttled', 'Throttling'],
    ['token.unavailable', 'unavailable', 'Unavailable'],
    ['servicenow.not-authenticated', 'credentials', 'Credentials'],
    ['servicenow.forbidden', 'permission', 'Permission'],
    ['servicenow.busy', 'throttled', 'Throttling'],
    ['servicenow.hibernating', 'not-servicenow', 'Hibernation'],
    ['servicenow.waking', 'unavailable', 'Hibernation'],
    ['servicenow.sign-on-page', 'not-servicenow', 'Sign-on page'],
    ['servicenow.redirected', 'not-servicenow', 'URL'],
    ['servicenow.not-found', 'not-found', 'URL'],
    ['servicenow.invalid-request', 'invalid-input', 'Settings'],
    ['policy.https-required', 'policy', 'Policy'],
  ];
  for (const [code, category, subject] of subjects) {
    it(`${code} (${category}) begins with "${subject}"`, () => {
      expect(summaryOf([errorOf(code, category, 'It failed.', 'Do this.')], unchanged)).to.equal(
        `${subject}: It failed; do this.`,
      );
    });
  }

  it('is what happened and the first thing to do, in one sentence', () => {
    expect(summaryOf([refused], unchanged)).to.equal(
      'Network: dev.example.com refused the connection; check host and port.',
    );
  });

  it('counts what else failed', () => {
    expect(summaryOf([refused, refused, refused], unchanged)).to.equal(
      'Network: dev.example.com refused the connection; check host and port (and 2 more).',
    );
  });

  it('names what it most likely comes from, with the remedy of that', () => {
    const suspicion = { subject: 'Clock', because: 'the clock is wrong', remedy: 'synchronise it (NTP)' };
    expect(summaryOf([refused], unchanged, suspicion)).to.equal(
      'Clock: dev.example.com refused the connection, most likely because the clock is wrong; synchronise it (NTP).',
    );
  });

  it('ends after what happened where there is no remedy', () => {
    expect(summaryOf([errorOf('network.failed', 'unavailable', 'It failed.')], unchanged)).to.equal(
      'Network: It failed.',
    );
  });

  for (const [hint, remedy] of [
    ['AD FS knows no client by this id.', 'AD FS knows no client by this id'],
    ['Entra ID does not know it.', 'Entra ID does not know it'],
    ['ServiceNow answers so to both.', 'ServiceNow answers so to both'],
    ['A firewall drops it: allow it.', 'a firewall drops it: allow it'],
    ['Use https://a.example/x.do. Nothing else.', 'use https://a.example/x.do'],
    ['Give it, e.g. by mail.', 'give it, e.g. by mail'],
    ['Wait: it takes a minute.', 'wait: it takes a minute'],
    ['Two lines.\nThe second.', 'two lines'],
  ] as const) {
    it(`of "${hint.replace('\n', ' ')}" it says "${remedy}"`, () => {
      expect(summaryOf([errorOf('network.dns', 'unavailable', 'No.', hint)], unchanged)).to.equal(
        `Network: No; ${remedy}.`,
      );
    });
  }

  it('of a message that is too long keeps whole words, and the remedy', () => {
    const summary = summaryOf(
      [errorOf('network.dns', 'unavailable', `${'word '.repeat(100)}end.`, 'Do it.')],
      unchanged,
    );
    expect(summary).to.match(/^Network: (word )+word…; do it\.$/);
    expect(summary.length).to.be.within(250, 290);
  });

  it('of a remedy that is too long ends there', () => {
    const hint = `Do ${'this and '.repeat(100)}that.`;
    expect(summaryOf([errorOf('network.dns', 'unavailable', 'No.', hint)], unchanged)).to.match(
      /^Network: No; do (this and )+this…$/,
    );
  });

  it('of an address that is too long keeps the beginning', () => {
    const url = `https://dev.example.com/${'x'.repeat(2_000)}`;
    expect(
      summaryOf([errorOf('servicenow.html', 'not-servicenow', `${url}: a page.`, 'Look there.')], unchanged),
    ).to.match(/^URL: https:\/\/dev\.example\.com\/x{235}…; look there\.$/);
  });

  it('is scrubbed before it is cut', () => {
    const redactor = new Redactor();
    redactor.register('battery\tstaple-42');
    const message = `${'x'.repeat(250)} battery\tstaple-42`;
    const summary = summaryOf([errorOf('network.dns', 'unavailable', message, message)], (text) =>
      redactor.scrub(text),
    );
    expect(summary).not.to.match(/batt/);
  });

  it('is one line under 500 characters, whatever it is made of', () => {
    const text = fc.string({ unit: 'binary', maxLength: 2_000 });
    const error = fc
      .tuple(
        fc.constantFrom('network.dns', 'key-material.certificate-x', 'x'),
        fc.constantFrom(...ERROR_CATEGORIES),
        text,
        text,
      )
      .map(([code, category, message, hint]) => errorOf(code, category, message, hint));
    fc.assert(
      fc.property(error, fc.array(error, { maxLength: 20 }), (first, others) => {
        const summary = summaryOf([first, ...others], unchanged);
        expect(summary).to.match(/^[A-Z][A-Za-z ]+: [^\r\n\u2028\u2029]*[.…]$/u);
        expect(summary.length).to.be.below(500);
        expect(summary.isWellFormed()).to.equal(true);
      }),
    );
  });
});
