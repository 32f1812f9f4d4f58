import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { pino } from 'pino';
import { lockText } from '../../../src/delegate/state/lock-file.ts';
import { lockHolder } from '../../../src/delegate/state/lock-holder.ts';
import { whoAmI } from '../../../src/delegate/state/process-facts.ts';
import { lockState } from '../../../src/delegate/state/state-lock.ts';
import { systemClock, toTimestamp } from '../../../src/kit/time.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { leavesNothingOpen } from '../../support/open-handles.ts';
import { tempDirs } from '../../support/temp-dir.ts';
import { until } from '../../support/until.ts';

const NOBODY = 4_194_303;

describe('a look at who has locked the state folder', () => {
  const directory = tempDirs();
  const { signal } = new AbortController();
  leavesNothingOpen();

  async function foreign(stateDir: string): Promise<string> {
    const elsewhere = {
      ...(await whoAmI()),
      bootId: 'another-machine',
      pidNamespace: 'pid:[1]',
      hostName: 'elsewhere',
    };
    const path = join(stateDir, 'delegate.lock');
    await writeFile(path, lockText(elsewhere, toTimestamp(0)));
    return path;
  }

  it('sees nobody where there is no lock, or no folder', async () => {
    const stateDir = await directory();
    expect(await lockHolder(stateDir, { clock: systemClock, signal })).to.deep.equal({
      is: 'free',
      record: undefined,
    });
    expect((await lockHolder(join(stateDir, 'gone'), { clock: systemClock, signal })).is).to.equal('free');
  });

  it('sees a process of this machine that lives, and one that does not, at once', async () => {
    const stateDir = await directory();
    {
      await using _lock = await lockState(stateDir, { clock: systemClock, log: pino({ level: 'silent' }) });
      const held = await lockHolder(stateDir, { clock: new ManualClock(), signal });
      expect(held).to.deep.include({ is: 'alive' });
      expect(held.record?.pid).to.equal(process.pid);
    }
    await writeFile(
      join(stateDir, 'delegate.lock'),
      lockText({ ...(await whoAmI()), pid: NOBODY, startTime: '1' }, toTimestamp(0)),
    );
    expect((await lockHolder(stateDir, { clock: new ManualClock(), signal })).is).to.equal('gone');
  });

  for (const [is, meanwhile] of [
    ['silent', () => Promise.resolve()],
    ['alive', (path: string) => writeFile(path, 'a beat')],
  ] as const) {
    it(`watches one of another machine for a beat: ${is}`, async () => {
      const stateDir = await directory();
      const path = await foreign(stateDir);
      const clock = new ManualClock();
      const looking = lockHolder(stateDir, { clock, signal });
      await until('the watch has begun', () => clock.pending > 0);
      await meanwhile(path);
      await clock.advance(2_500);
      expect((await looking).is).to.equal(is);
    });
  }
});
