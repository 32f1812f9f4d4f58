import { mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { writeBundle } from '../../../src/cli/bundle/write.ts';
import { failureOf } from '../../support/failure.ts';
import { leavesNothingOpen } from '../../support/open-handles.ts';
import { tempDirs } from '../../support/temp-dir.ts';

describe('the file of a support bundle', () => {
  const directory = tempDirs();
  leavesNothingOpen();

  it('is for its owner alone', async () => {
    const path = join(await directory(), 'bundle.txt');
    await writeBundle(path, 'text', false);
    expect((await stat(path)).mode & 0o777).to.equal(0o600);
    await writeBundle(path, 'another', true);
    expect((await stat(path)).mode & 0o777).to.equal(0o600);
    expect(await readFile(path, 'utf8')).to.equal('another');
  });

  it('takes the place of nothing that is there, a link included', async () => {
    const folder = await directory();
    const path = join(folder, 'bundle.txt');
    await writeFile(join(folder, 'precious'), 'mine');
    await symlink(join(folder, 'precious'), path);
    const failure = await failureOf(writeBundle(path, 'text', false));
    expect(failure).to.include({ code: 'support-bundle-not-written', category: 'invalid-input' });
    expect(failure.message).to.contain('it is there already');
    expect(await readFile(join(folder, 'precious'), 'utf8')).to.equal('mine');
  });

  it('leaves nothing behind where it cannot be made', async () => {
    const folder = await directory();
    await mkdir(join(folder, 'bundle.txt'));
    expect(await failureOf(writeBundle(join(folder, 'bundle.txt'), 'text', true))).to.include({
      code: 'support-bundle-not-written',
    });
    expect(await readdir(folder)).to.deep.equal(['bundle.txt']);
  });
});
