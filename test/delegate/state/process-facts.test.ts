import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { expect } from 'chai';
import { z } from 'zod';
import {
  existenceOf,
  parseStat,
  whoAmI,
  type Existence,
  type ProcessFacts,
} from '../../../src/delegate/state/process-facts.ts';
import { until } from '../../support/until.ts';
import { leavesNothingOpen } from '../../support/open-handles.ts';

/** Fields 4 to 21 of a real line. */
const BETWEEN = '1 2 3 4 -1 4194304 99 0 0 0 1 2 3 4 20 0 11 0';

describe('a line of /proc/PID/stat', () => {
  const lines: [what: string, line: string, read: ReturnType<typeof parseStat>][] = [
    ['of a plain program', `12 (node) S ${BETWEEN} 1020139 313 9\n`, stat(12, false, '1020139')],
    ['of a program with a bad name', `12 (a) S 1 (b)) R ${BETWEEN} 77 313\n`, stat(12, false, '77')],
    ['of a stopped program', `12 (node) T ${BETWEEN} 77 313\n`, stat(12, false, '77')],
    ['of one that nobody waited for', `12 (node) Z ${BETWEEN} 77 0\n`, stat(12, true, '77')],
    ['that ends too soon', `12 (node) S ${BETWEEN}\n`, undefined],
    ['with words for numbers', `twelve (node) S ${BETWEEN} 77 313\n`, undefined],
    ['with a word for the start', `12 (node) S ${BETWEEN} today 313\n`, undefined],
    ['without a name', `12 node S ${BETWEEN} 77 313\n`, undefined],
    ['that is empty', '', undefined],
  ];
  leavesNothingOpen();

  for (const [what, line, read] of lines) {
    it(`${what} is ${read === undefined ? 'not read' : 'read'}`, () => {
      expect(parseStat(line)).to.deep.equal(read);
    });
  }

  function stat(pid: number, ended: boolean, startTime: string) {
    return { pid, ended, startTime };
  }
});

describe('this process', () => {
  leavesNothingOpen();

  it('says what tells it from every other', async () => {
    const facts = await whoAmI();
    expect(facts).to.include({ platform: process.platform, hostName: hostname(), pid: process.pid });
    expect(facts.startTime).to.match(/^\d+$/);
    expect(facts.bootId).to.match(/^[0-9a-f-]{36}$/);
    expect(facts.pidNamespace).to.match(/^pid:\[\d+\]$/);
  });
});

describe('whether another process exists', () => {
  /** The pid of a process that has ended and been waited for. */
  const ENDED_PID = spawnSync(process.execPath, ['--version']).pid;
  const elsewhere: Partial<ProcessFacts> = { startTime: null, bootId: null, pidNamespace: null };

  const cases: [
    what: string,
    is: Existence,
    other: Partial<ProcessFacts>,
    changed?: Partial<ProcessFacts>,
  ][] = [
    ['with our pid and our start', 'alive', {}],
    ['with our pid and another start', 'gone', { startTime: '1' }],
    ['with a pid that nobody has', 'gone', { pid: ENDED_PID }],
    ['of another boot', 'unknown', { pid: ENDED_PID, bootId: 'another' }],
    ['of another container', 'unknown', { pid: ENDED_PID, pidNamespace: 'pid:[1]' }],
    ['of another host', 'unknown', { pid: ENDED_PID, bootId: 'another', hostName: 'another' }],
    ['that could say nothing of itself', 'unknown', { pid: ENDED_PID, ...elsewhere }],
    ['seen from where nothing can be seen', 'unknown', { pid: ENDED_PID }, elsewhere],
    ['on this macOS, ended', 'gone', mac({ pid: ENDED_PID }), mac({})],
    ['on this macOS, alive', 'unknown', mac({}), mac({})],
    ['on another macOS', 'unknown', mac({ pid: ENDED_PID, hostName: 'another' }), mac({})],
    ['on Linux, from a macOS', 'unknown', { pid: ENDED_PID }, mac({})],
  ];
  leavesNothingOpen();

  for (const [what, is, other, changed] of cases) {
    it(`${is === 'unknown' ? 'is not known' : `is answered with "${is}"`} of one ${what}`, async () => {
      const facts = await whoAmI();
      expect(await existenceOf({ ...facts, ...other }, { ...facts, ...changed })).to.equal(is);
    });
  }

  it('is denied of one that was killed and that its parent never waits for', async () => {
    // The shell becomes `sleep`, which knows nothing of the child that it has got.
    const parent = spawn('sh', ['-c', 'sleep 0 & echo $!; exec sleep 60'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    try {
      const [output] = z.tuple([z.instanceof(Buffer)]).parse(await once(parent.stdout, 'data'));
      const pid = Number(output.toString());
      const line = (): string => readFileSync(`/proc/${pid}/stat`, 'utf8');
      await until('the child has ended', () => parseStat(line())?.ended === true);
      const startTime = parseStat(line())?.startTime ?? '';
      const facts = await whoAmI();
      expect(await existenceOf({ ...facts, pid, startTime }, facts)).to.equal('gone');
    } finally {
      parent.kill('SIGKILL');
    }
  });

  function mac(facts: Partial<ProcessFacts>): Partial<ProcessFacts> {
    return { platform: 'darwin', ...elsewhere, ...facts };
  }
});
