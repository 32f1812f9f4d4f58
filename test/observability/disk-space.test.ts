import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { DiskSpace } from '../../src/observability/disk-space.ts';
import { leavesNothingOpen } from '../support/open-handles.ts';
import { tempDirs } from '../support/temp-dir.ts';

describe('the space on the disk of the state folder', () => {
  const tempDir = tempDirs();
  leavesNothingOpen();

  it('is what the system says, for whoever asks after the first answer', async () => {
    const disk = new DiskSpace(await tempDir());
    await disk.refresh();
    expect(disk.freeBytes).to.be.a('number').and.to.be.greaterThan(0);
  });

  it('is there as soon as the folder is', async () => {
    const folder = join(await tempDir(), 'state');
    const disk = new DiskSpace(folder);
    await disk.refresh();
    await mkdir(folder);
    await disk.refresh();
    expect(disk.freeBytes).to.be.a('number');
  });

  it('is unknown, and no error, where there is no such folder', async () => {
    const disk = new DiskSpace(join(await tempDir(), 'not', 'there'));
    await disk.refresh();
    expect(disk.freeBytes).to.equal(undefined);
  });
});
