import { expect } from 'chai';
import type { Report } from '../../../support/servicenow.ts';

/** What every failed connection has to have. Answers the summary. */
export function expectFailure(report: Report, code: string): string {
  expect(report.status).to.equal('FAILURE');
  expect(report.errors.map((error) => error.code)).to.deep.equal([code]);
  const summary = report.errorSummary ?? '';
  expect(summary, 'one sentence to act on').to.match(/^[A-Z][^\r\n]{10,497}[.…]$/);
  expect(summary, 'it begins with what it was').to.match(/^[A-Z][A-Za-z -]{2,20}: /);
  expect(report.errors[0]?.hint, 'the hint is apart from it').to.be.a('string');
  return summary;
}

export function checkOf(report: Report, id: string): Report['checks'][number] | undefined {
  return report.checks.find((check) => check.id === id);
}
