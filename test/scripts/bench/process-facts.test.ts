import { expect } from 'chai';
import { cpuSecondsIn, factsOfProcess, memoryIn } from '../../../scripts/bench/process-facts.ts';

describe('what the bench reads of a process', () => {
  it('adds user and system time, whatever the name of the program is', () => {
    const stat = `17 (a) R (b) S ${Array.from({ length: 40 }, (_, n) => n).join(' ')}`;
    // proc(5) counts from 1 and the state is the third: what follows it are the fields 4, 5, …
    expect(cpuSecondsIn(stat)).to.equal((10 + 11) / 100);
  });

  it('reads resident memory and its peak in bytes', () => {
    const status = 'Name:\tnode\nVmPeak:\t  900 kB\nVmHWM:\t   300 kB\nVmRSS:\t   200 kB\n';
    expect(memoryIn(status)).to.deep.equal({ rssBytes: 204_800, peakRssBytes: 307_200 });
  });

  it('finds what this process knows of itself', async function () {
    if (process.platform !== 'linux') this.skip();
    const { cpuSeconds, rssBytes, peakRssBytes } = await factsOfProcess(process.pid);
    expect(cpuSeconds).to.be.greaterThan(0);
    expect(rssBytes).to.be.greaterThan(1_048_576);
    expect(peakRssBytes).to.be.at.least(rssBytes);
  });
});
