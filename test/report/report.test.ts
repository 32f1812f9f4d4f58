import { expect } from 'chai';
import { leavesNothingOpen } from '../support/open-handles.ts';
import { run, tasksOf } from './case.ts';
import { CHAPTERS } from './cases.ts';

describe('the report of cases', () => {
  leavesNothingOpen();

  for (const { title, cases } of CHAPTERS) {
    describe(title, () => {
      for (const reportCase of cases) {
        for (const task of tasksOf(reportCase)) {
          it(`${reportCase.id} ${reportCase.title} (${task}) → ${reportCase.expected}`, async () => {
            const { came, sentence } = await run(reportCase, task);
            expect(came).to.equal(reportCase.expected);
            expect(sentence).to.match(/^[^\n]{10,1000}$/);
          });
        }
      }
    });
  }

  it('has each case once', () => {
    const ids = CHAPTERS.flatMap(({ cases }) => cases.map(({ id }) => id));
    expect(ids).to.deep.equal([...new Set(ids)]);
  });
});
