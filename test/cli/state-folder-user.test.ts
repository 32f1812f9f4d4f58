import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { strangerTo } from '../../src/cli/state-folder-user.ts';
import { leavesNothingOpen } from '../support/open-handles.ts';
import { tempDirs } from '../support/temp-dir.ts';

const OWN = process.getuid?.() ?? 0;

describe('whoever writes in the state folder of a delegate', () => {
  const directory = tempDirs();
  leavesNothingOpen();

  for (const file of ['identity.json', 'secret-pins.json']) {
    it(`must be its user, who owns ${file}: a file of another's would be one that it can't read`, async () => {
      const stateDir = join(await directory(), 'state');
      await mkdir(stateDir);
      await writeFile(join(stateDir, file), '{}');
      expect(await strangerTo(stateDir, OWN)).to.equal(undefined);
      expect(await strangerTo(stateDir, OWN + 1)).to.contain(`user id ${OWN}`);
    });
  }

  it('is told to be its user where the folder can not be looked into', async () => {
    const refused = Object.assign(new Error('EACCES'), { code: 'EACCES' });
    const complaint = await strangerTo(await directory(), OWN, () => Promise.reject(refused));
    expect(complaint).to.contain('run this as the user of the delegate');
  });

  it('may be anybody before there is a delegate: the folder of a volume is often root’s', async () => {
    expect(await strangerTo(await directory(), OWN + 1)).to.equal(undefined);
  });

  it('must name a folder that there is: a mistyped one would be made', async () => {
    expect(await strangerTo(join(await directory(), 'nowhere'), OWN)).to.contain('there is no such folder');
  });
});
