import { expect } from 'chai';
import type { Report } from '../../../support/servicenow.ts';

/** What every failed connection has to have. */
export function expectFailure(report: Report, code: string): string {
  expect(report.status).to.equal('FAILURE');
  expect(report.errors.map((error) => error.code)).to.deep.equal([code]);
  expect(report.errorSummary).to.equal(report.errors[0]?.message);
  expect(report.errorSummary, 'one line to act on').to.match(/^[^\r\n]{10,400}$/);
  expect(report.errors[0]?.hint, 'the hint is apart from it').to.be.a('string');
  return report.errorSummary ?? '';
}
