import { expect } from 'chai';
import * as fc from 'fast-check';
import { fail, pass, scrubbed, skip, warn, type CheckResult } from '../../../src/cli/doctor/finding.ts';
import { doctorReport, worstOf } from '../../../src/cli/doctor/report.ts';
import { exitCodeOf, runChecks } from '../../../src/cli/doctor/run-checks.ts';
import { judgeAttempts } from '../../../src/cli/doctor/checks/network.ts';
import { checkDescriptors, checkMemory, checkNode } from '../../../src/cli/doctor/checks/machine.ts';
import { widthOf } from '../../../src/cli/report/layout.ts';
import { MASK, Redactor } from '../../../src/kit/secret.ts';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ManualClock } from '../../support/manual-clock.ts';
import { leavesNothingOpen } from '../../support/open-handles.ts';
import { tempDirs } from '../../support/temp-dir.ts';
import { colourTerminal, namedColours, plainTerminal } from '../support.ts';

const RESULTS: readonly CheckResult[] = [
  { id: 'config', ...pass('The settings are valid.'), durationMs: 3 },
  { id: 'policy', ...warn('There is no policy file.', 'Write one.'), durationMs: 3 },
  {
    id: 'ip',
    ...fail('No address of the manager takes a connection.', 'Open the way.', [
      'IPv4 192.0.2.7: ECONNREFUSED after 3 ms',
    ]),
    durationMs: 7,
  },
  {
    id: 'connector./srv/a-long-path/to-a/connector.yaml',
    ...skip('Not looked at.', 'Mend the rest.'),
    durationMs: 0,
  },
];

describe('the report of doctor', () => {
  leavesNothingOpen();
  const directory = tempDirs();

  it('has the status first, and the action below what was found', () => {
    expect(doctorReport(RESULTS, plainTerminal(90))).to.equal(`PASS  config  The settings are valid.
WARN  policy  There is no policy file.
              → Write one.
FAIL  ip      No address of the manager takes a connection.
              - IPv4 192.0.2.7: ECONNREFUSED after 3 ms
              → Open the way.
SKIP  connector./srv/a-long-path/to-a/connector.yaml
  Not looked at.
  → Mend the rest.

1 passed, 1 with a warning, 1 failed, 1 not looked at.
`);
  });

  it('colours say what words say', () => {
    const text = namedColours(doctorReport(RESULTS, colourTerminal(90)));
    expect(text).to.match(/^<good>PASS<\/> {2}config/);
    expect(text).to.contain('<warning>WARN</>').and.contain('<bad>FAIL</>').and.contain('<faint>SKIP</>');
  });

  it('keeps to the width of any terminal', () => {
    const finding = fc
      .tuple(
        fc.constantFrom('config', 'secrets.a name', 'x'.repeat(60)),
        fc.string({ maxLength: 200 }),
        fc.string(),
      )
      .map(([id, text, action]): CheckResult => ({ id, ...warn(text, action, [text]), durationMs: 1 }));
    fc.assert(
      fc.property(
        fc.array(finding, { maxLength: 6 }),
        fc.integer({ min: 40, max: 120 }),
        (results, width) => {
          const urls = /https?:/;
          for (const line of doctorReport(results, plainTerminal(width)).split('\n')) {
            if (!urls.test(line)) expect(widthOf(line)).to.be.at.most(width);
          }
        },
      ),
      { numRuns: 200 },
    );
  });

  it('has no secret that its own line breaks would hide', () => {
    const secret = 'correct horse battery staple and some more';
    const redactor = new Redactor();
    redactor.register(secret);
    const told = `The server says: ${'x'.repeat(30)} ${secret}`;
    const result: CheckResult = { id: 'manager', ...fail(told, told, [told]), durationMs: 1 };
    const report = doctorReport([scrubbed(result, (text) => redactor.scrub(text))], plainTerminal(40));
    expect(report).to.not.match(/horse|battery|staple/);
    expect(report.split(MASK)).to.have.length(4);
  });

  it('is as bad as the worst, and what was not looked at counts for nothing', () => {
    expect(worstOf(RESULTS)).to.equal('FAIL');
    expect(worstOf(RESULTS.slice(0, 2))).to.equal('WARN');
    expect(worstOf(RESULTS.slice(3))).to.equal('PASS');
  });

  it('ends with 2 for what run would not start with, with 1 for any other failure', () => {
    const failed = (id: string): CheckResult => ({ id, ...fail('no', 'do'), durationMs: 0 });
    expect(exitCodeOf(RESULTS)).to.equal(1);
    expect(exitCodeOf(RESULTS.slice(0, 2))).to.equal(0);
    expect(exitCodeOf([failed('ip'), failed('policy')])).to.equal(2);
    expect(exitCodeOf([failed('config')])).to.equal(2);
  });

  it('a check that does not end is a failure when its time is over, and the others are told of at once', async () => {
    const clock = new ManualClock();
    const progress: string[] = [];
    const running = runChecks(
      [
        { id: 'hangs', look: () => new Promise(() => {}) },
        { id: 'throws', look: () => Promise.reject(new Error('a stranger')) },
        { id: 'ends', look: () => pass('Fine.') },
      ],
      {
        clock,
        withinMs: 8_000,
        signal: new AbortController().signal,
        onProgress: (open) => void progress.push(open.join(' ')),
      },
    );
    await clock.advance(8_000);
    const results = await running;
    expect(results.map(({ id, status, summary }) => `${id} ${status} ${summary}`)).to.deep.equal([
      'hangs FAIL There was no answer within 8 s.',
      'throws FAIL The delegate met an unexpected Error.',
      'ends PASS Fine.',
    ]);
    expect(progress).to.include('hangs').and.include('hangs throws ends');
    expect(progress.at(-1)).to.equal('');
  });

  it('an address that takes no connection is a warning as long as another does', () => {
    const url = new URL('https://manager.example');
    const attempt = (family: 'IPv4' | 'IPv6', failure: string | undefined) => ({
      family,
      address: family === 'IPv4' ? '192.0.2.7' : '2001:db8::7',
      ms: 12,
      failure,
    });
    const broken = judgeAttempts([attempt('IPv4', undefined), attempt('IPv6', 'no answer')], url, 'manager');
    expect(broken.status).to.equal('WARN');
    expect(broken.summary).to.contain('over IPv4, and not at 2001:db8::7 (IPv6)');
    expect(broken.details).to.include('IPv6 2001:db8::7: no answer after 12 ms');
    const whole = judgeAttempts([attempt('IPv4', undefined), attempt('IPv6', undefined)], url, 'manager');
    expect(whole).to.include({
      status: 'PASS',
      summary: 'The manager manager.example takes connections over IPv4 and IPv6.',
    });
  });

  it('knows versions of Node.js that are too old', () => {
    expect(checkNode('20.19.0').status).to.equal('PASS');
    expect(checkNode('24.1.0').status).to.equal('PASS');
    expect(checkNode('20.18.3').status).to.equal('FAIL');
    expect(checkNode('18.20.0').status).to.equal('FAIL');
  });

  it('compares capacity with the limits of memory and of open files', async () => {
    const cgroup = await directory();
    const load = { capacity: 16, outboxBytes: 16 * 1_048_576 };
    expect((await checkMemory(load, cgroup)).summary).to.contain('No memory limit');
    await writeFile(join(cgroup, 'memory.max'), 'max\n');
    expect((await checkMemory(load, cgroup)).summary).to.contain('No memory limit');
    await writeFile(join(cgroup, 'memory.max'), `${100 * 1_048_576}\n`);
    expect((await checkMemory(load, cgroup)).action).to.contain('DELEGATE_CAPACITY');
    await writeFile(join(cgroup, 'memory.max'), `${512 * 1_048_576}\n`);
    expect((await checkMemory(load, cgroup)).status).to.equal('PASS');
    const limits = (soft: string) => () =>
      Promise.resolve(`Max open files            ${soft}      524288     files\n`);
    expect((await checkDescriptors(16, limits('1024'))).status).to.equal('PASS');
    expect((await checkDescriptors(500, limits('1024'))).status).to.equal('WARN');
    expect((await checkDescriptors(500, limits('unlimited'))).status).to.equal('PASS');
    expect((await checkDescriptors(500, () => Promise.reject(new Error('no /proc')))).status).to.equal(
      'SKIP',
    );
  });
});
