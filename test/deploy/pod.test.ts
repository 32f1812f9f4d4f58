import { execFile } from 'node:child_process';
import { chmod, chown, mkdir, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { makeBundle, PROGRAM } from '../../scripts/bundle/make.ts';
import { leavesNothingOpen } from '../support/open-handles.ts';
import { tempDirs } from '../support/temp-dir.ts';
import { canRun, delegateProcesses } from '../system/one-delegate.ts';
import { doesOneTask } from './one-task.ts';

/** Who a container runs as, and the group that its volumes are given to. */
const USERS = {
  'user 65532, as the manifests and the image say': { uid: 65_532, gid: 65_532, volumesOf: 65_532 },
  'a random user of group 0, as OpenShift gives it': { uid: 1_000_670_000, gid: 0, volumesOf: 1_000_670_000 },
} as const;
type User = (typeof USERS)[keyof typeof USERS];

/** Every mount read-only but the state folder, $1; then whatever follows it. */
const READ_ONLY = `set -e
state=$1; shift
mount --make-rprivate /
mount --bind "$state" "$state"
for at in / /tmp /var/tmp /run /dev/shm; do
  if mountpoint -q "$at"; then mount -o remount,ro,bind "$at"; fi
done
exec "$@"`;

function asInPod({ uid, gid, volumesOf }: User, stateDir: string): readonly string[] {
  return [
    'unshare',
    '--mount',
    'sh',
    '-c',
    READ_ONLY,
    'sh',
    stateDir,
    'setpriv',
    `--reuid=${uid}`,
    `--regid=${gid}`,
    `--groups=${volumesOf}`,
    '--no-new-privs',
    '--inh-caps=-all',
    '--bounding-set=-all',
  ];
}

/** Tries to write in each folder of its command line, and prints those where it could. */
const WRITE_EVERYWHERE = `
  const { writeFileSync } = require('node:fs');
  const wrote = process.argv.slice(1).filter((folder) => {
    try { writeFileSync(folder + '/probe', ''); return true; } catch { return false; }
  });
  process.stdout.write(JSON.stringify(wrote));`;

describe('a pod under the restricted profile: a read-only tree, no HOME, no capabilities, and', function () {
  this.timeout(60_000);
  const folderForAll = tempDirs('all');
  const stateDirs = tempDirs();
  const start = delegateProcesses();
  let program: string;

  before(async function () {
    // Skipped since 2026-11-23 where the tests may not mount or change their user: that takes root.
    if (!(await canRun('unshare', ['--mount', 'setpriv', '--reuid=65532', 'true']))) this.skip();
    const folder = await folderForAll();
    await makeBundle({ folder: join(folder, 'bundle'), clients: 'omit' });
    program = join(folder, 'bundle', PROGRAM);
    await chmod(folder, 0o755);
  });
  leavesNothingOpen();

  /** As the kubelet hands it over: root's, and open for the group of the pod's volumes. */
  async function volume({ volumesOf }: User): Promise<string> {
    const folder = await stateDirs();
    await chmod(folder, 0o755);
    const state = join(folder, 'state');
    await mkdir(state);
    await chown(state, 0, volumesOf);
    await chmod(state, 0o2770);
    return state;
  }

  for (const [who, user] of Object.entries(USERS)) {
    describe(who, () => {
      it('can write in the state folder alone', async () => {
        const stateDir = await volume(user);
        const folders = [stateDir, '/tmp', '/dev/shm', '/var/tmp', '/run', '/', process.cwd()];
        const [command = '', ...prefix] = asInPod(user, stateDir);
        const probe = [...prefix, process.execPath, '-e', WRITE_EVERYWHERE, ...folders];
        const { stdout } = await promisify(execFile)(command, probe);
        expect(JSON.parse(stdout)).to.deep.equal([stateDir]);
      });

      it('enrols, does a task, is alive and ready, and leaves in order', async () => {
        const stateDir = await volume(user);
        const prefix = asInPod(user, stateDir);
        await doesOneTask(start, { program, stateDir, prefix });
        for (const name of await readdir(stateDir)) {
          const { uid, mode } = await stat(join(stateDir, name));
          expect({ name, uid }).to.deep.equal({ name, uid: user.uid });
          expect(mode & 0o077, name).to.equal(0);
        }
      });
    });
  }

  it('is told what is wrong with a state folder that it may not write', async () => {
    const user = USERS['user 65532, as the manifests and the image say'];
    const stateDir = await volume(user);
    await chmod(stateDir, 0o700);
    const delegate = start({
      program,
      stateDir,
      prefix: asInPod(user, stateDir),
      managerUrl: 'http://127.0.0.1:1',
    });
    expect(await delegate.end()).to.equal(1);
    expect(delegate.text).to.match(/state-folder-unusable|identity-unusable/);
  });
});
