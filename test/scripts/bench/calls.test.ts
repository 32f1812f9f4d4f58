import { expect } from 'chai';
import { CompiledProcesses } from '../../../scripts/bench/compile.ts';
import { bareLoop, delegate, startInstance } from '../../../scripts/bench/contestants.ts';
import { answers } from '../../../scripts/bench/messages.ts';
import { throughputAndLatency } from '../../../scripts/bench/parts/calls.ts';
import { whyNoQueue } from '../../../scripts/bench/redis.ts';
import { leavesNothingOpen } from '../../support/open-handles.ts';
import { tempDirs } from '../../support/temp-dir.ts';

/** On a machine that is busy with other tests. */
const WITHIN_MS = 60_000;

describe('the bench', function () {
  this.timeout(WITHIN_MS);
  const folder = tempDirs();
  let compiled: CompiledProcesses;
  before(async () => {
    compiled = await CompiledProcesses.make();
  });
  after(async () => await compiled[Symbol.asyncDispose]());
  leavesNothingOpen();

  it('puts the same load on everybody, and compares them', async () => {
    const steps: string[] = [];
    const report = await throughputAndLatency({
      compiled,
      folder: await folder(),
      repetitions: 2,
      quick: true,
      onStep: (what) => steps.push(what),
      search: { loads: [1, 64], contestants: undefined, measureMs: 50, nodeArguments: [] },
    });
    const contestants = [
      'bare loop',
      'bare dispatch',
      'delegate',
      'sharing delegate',
      ...(whyNoQueue() === undefined ? ['BullMQ'] : []),
    ];
    // In turn, so that whatever the machine does meanwhile meets all of them.
    expect(steps.slice(0, 2 * contestants.length)).to.deep.equal(
      [1, 2].flatMap((n) => contestants.map((name) => `${name}, 1 in flight, ${n} of 2`)),
    );
    expect(report.tables[0]?.rows.map(([who]) => who)).to.deep.equal(
      [1, 64].flatMap((load) => contestants.map((name) => `${name}, ${load} in flight`)),
    );
    expect(report.targets.map(({ what }) => what)).to.include('throughput at 64 in flight, of the bare loop');
  });

  it('has the bare loops ask the very thing that the delegate asks', async () => {
    await using instance = await startInstance(compiled);
    const ground = { compiled, folder: await folder(), instanceUrl: await instance.url() };
    const order = { inFlight: 1, until: { tasks: 1 } };
    const asked: string[][] = [];
    for (const open of [
      async () => await bareLoop(ground, 'request'),
      async () => await bareLoop(ground, 'dispatch'),
      async () => await delegate(ground, { name: 'alone' }),
    ]) {
      await using contestant = await open();
      await contestant.load(order);
      const { lastRequest } = await instance.ask({}, answers.instance);
      asked.push(lastRequest.toSorted());
    }
    expect(asked[0]).to.have.length.greaterThan(3);
    expect(asked[0]).to.deep.equal(asked[2]);
    expect(asked[1]).to.deep.equal(asked[2]);
  });

  it('tells why there is no BullMQ, where there is none', () => {
    const why = whyNoQueue();
    if (why !== undefined) expect(why).to.match(/redis-server|ioredis/);
  });

  it('does not wait for a delegate that has ended', async () => {
    await using instance = await startInstance(compiled);
    const ground = { compiled, folder: await folder(), instanceUrl: await instance.url() };
    await using contestant = await delegate(ground, { name: 'ends', program: 'no-such-program' });
    const why = await contestant
      .load({ inFlight: 1, until: { tasks: 1 } })
      .catch((error: unknown) => (error instanceof Error ? error.message : error));
    expect(why).to.include('the delegate has ended').and.include('no-such-program');
  });
});
