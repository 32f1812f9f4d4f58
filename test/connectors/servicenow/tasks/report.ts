import { expect } from 'chai';
import type { Report } from '../../../support/servicenow.ts';

/** What every failed connection has to have. */
export function expectFailure(report: Report, code: string): string {
  expect(report.status).to.equal('FAILURE');
  expect(report.errors.map((error) => error.code)).to.deep.equal([code]);
  const [first] = report.errors;
  expect(report.errorSummary).to.equal(`${first?.message} ${first?.hint}`);
  expect(report.errorSummary, 'one line to act on').to.match(/^[^\r\n]{10,999}$/);
  expect(report.errors[0]?.hint, 'the hint is apart from it').to.be.a('string');
  return report.errorSummary ?? '';
}
