import { expect } from 'chai';
import { soak } from '../soak/soak.ts';
import { leavesNothingOpen } from '../support/open-handles.ts';
import { tempDirs } from '../support/temp-dir.ts';

/** The soak itself, for as long as a test may take; `npm run test:soak` is the long one. */
describe('a soak of a few seconds', function () {
  this.timeout(120_000);
  const tempDir = tempDirs();
  leavesNothingOpen();

  it('loses no task, does none twice, and measures what each delegate holds', async () => {
    const seen: string[] = [];
    const report = await soak({
      folder: await tempDir(),
      seed: 7,
      lastsMs: 2_500,
      sampleEveryMs: 350,
      taskEveryMs: 100,
      cutEveryMs: 800,
      onSample: (name, { heapBytes, rssBytes, descriptors, handles }) => {
        expect(Math.min(heapBytes, rssBytes, descriptors, handles)).to.be.greaterThan(0);
        seen.push(name);
      },
    });
    expect(report.complaints).to.deep.equal([]);
    expect(report.tasks).to.be.greaterThan(10);
    expect(report.cuts).to.be.greaterThan(0);
    expect([...new Set(seen)].toSorted()).to.deep.equal(['one', 'two']);
    expect([...report.verdicts.keys()]).to.deep.equal(['one', 'two']);
  });
});
