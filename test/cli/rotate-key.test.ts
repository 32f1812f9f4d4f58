import { execFile } from 'node:child_process';
import { readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { rotationRequest } from '../../src/delegate/state/rotation-request.ts';
import { leavesNothingOpen } from '../support/open-handles.ts';
import { tempDirs } from '../support/temp-dir.ts';

const CLI = fileURLToPath(new URL('../../src/cli/index.ts', import.meta.url));
const run = promisify(execFile);

describe('servicenow-delegate rotate-key', () => {
  const tempDir = tempDirs();
  leavesNothingOpen();

  const rotateKey = (stateDir: string) =>
    run(process.execPath, ['--import', 'tsx', CLI, 'rotate-key', `--state-dir=${stateDir}`]);

  it('asks the delegate of the state folder for a new key', async () => {
    const stateDir = await tempDir();
    await writeFile(join(stateDir, 'identity.json'), '{}');
    const { stdout } = await rotateKey(stateDir);
    expect(stdout).to.include('Asked for');
    expect(await rotationRequest(stateDir).isThere()).to.equal(true);
  });

  it('writes through no link, whatever the delegate’s user has laid there for root', async () => {
    const stateDir = await tempDir();
    const target = join(stateDir, 'target');
    await writeFile(target, 'precious');
    await symlink(target, join(stateDir, 'rotate-key'));
    await rotationRequest(stateDir).make();
    expect(await readFile(target, 'utf8')).to.equal('precious');
  });

  it('asks nobody where no delegate has its identity', async () => {
    const stateDir = await tempDir();
    const failure: unknown = await rotateKey(stateDir).then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    expect(failure).to.include({ code: 2 });
    expect(failure).to.have.property('stderr').that.includes('no delegate has its identity there');
    expect(await rotationRequest(stateDir).isThere()).to.equal(false);
  });
});
