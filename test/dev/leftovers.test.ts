import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { makeWorldFolder, sweepLeftovers } from '../../src/dev/leftovers.ts';
import { leavesNothingOpen } from '../support/open-handles.ts';
import { tempDirs } from '../support/temp-dir.ts';

describe('the folders of worlds that were killed', () => {
  const directory = tempDirs();
  leavesNothingOpen();

  /** A process id that was one a moment ago. */
  const deadPid = (): number => spawnSync(process.execPath, ['--version']).pid;

  async function folderOf(parent: string, name: string, owner: string): Promise<string> {
    const folder = join(parent, name);
    await mkdir(join(folder, 'secrets'), { recursive: true });
    await writeFile(join(folder, 'world.json'), owner);
    return folder;
  }

  it('are removed at the next start', async () => {
    const parent = await directory();
    const folder = await folderOf(
      parent,
      'servicenow-delegate-dead',
      JSON.stringify({ pid: deadPid(), host: hostname() }),
    );
    await sweepLeftovers(parent);
    expect(existsSync(folder)).to.equal(false);
  });

  it('stay while their world is alive, and are readable by nobody else', async () => {
    const parent = await directory();
    const folder = await makeWorldFolder(parent);
    await sweepLeftovers(parent);
    expect(JSON.parse(await readFile(join(folder, 'world.json'), 'utf8'))).to.deep.equal({
      pid: process.pid,
      host: hostname(),
    });
  });

  it('stay where nothing here tells whether their world is alive, or that they are a world', async () => {
    const parent = await directory();
    const pid = deadPid();
    const kept = await Promise.all([
      folderOf(parent, 'servicenow-delegate-elsewhere', JSON.stringify({ pid, host: 'another-container' })),
      folderOf(parent, 'servicenow-delegate-torn', '{"pid":'),
      folderOf(parent, 'servicenow-delegate-all', JSON.stringify({ pid: -1, host: hostname() })),
      folderOf(parent, 'somebody-else', JSON.stringify({ pid, host: hostname() })),
    ]);
    await writeFile(join(parent, 'servicenow-delegate-file'), '');
    await sweepLeftovers(parent);
    for (const folder of kept) expect(existsSync(folder), folder).to.equal(true);
  });
});
