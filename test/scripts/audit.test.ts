import { expect } from 'chai';
import { verdictOf } from '../../scripts/audit/verdict.ts';

const report = (vulnerabilities: unknown): string =>
  JSON.stringify({ auditReportVersion: 2, vulnerabilities });

describe('the audit of what is shipped', () => {
  it('is clean if nothing is known', () => {
    expect(verdictOf(report({})).is).to.equal('clean');
  });

  it('names each package that is vulnerable, with the advisory or the package that it comes by', () => {
    const verdict = verdictOf(
      report({
        low: { severity: 'low', via: [{ title: 'Something small', url: 'x' }] },
        carrier: { severity: 'high', via: ['low'] },
      }),
    );
    expect(verdict).to.deep.equal({
      is: 'vulnerable',
      text: 'low (low): Something small\ncarrier (high): by way of low',
    });
  });

  it('is neither clean nor vulnerable if the registry gives none', () => {
    expect(verdictOf(JSON.stringify({ message: 'no', statusCode: 405 }))).to.deep.equal({
      is: 'unknown',
      text: 'Not audited: the registry gives no audit (HTTP 405).',
    });
    expect(verdictOf('').is).to.equal('unknown');
    expect(verdictOf('<html>').is).to.equal('unknown');
  });
});
