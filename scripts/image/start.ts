import { spawnSync } from 'node:child_process';
import { chownSync, mkdirSync, readdirSync } from 'node:fs';
import { NODE_FLAGS } from '../bundle/node-flags.ts';

export interface Start {
  /** The tree of the image. */
  readonly root: string;
  /** Numbers, as `65532:65532`. */
  readonly user: string;
  /** Made for it. */
  readonly stateDir: string;
}

/** For a start on a machine that does other things, too. */
const STARTED_WITHIN_S = 30;

/**
 * In namespaces of its own, whose end ends whatever is left in them: the tree read-only, the state folder in its place,
 * then the image's own entry point and command for the health check. `$1` is the tree, `$2` the state folder, `$3` the
 * user. The exit code is the delegate's.
 */
const SCRIPT = `set -e
mount --make-rprivate /
mount --bind "$1" "$1"
mount -o remount,ro,bind "$1"
mount --bind "$2" "$1/var/lib/servicenow-delegate"
root=$1 user=$3
chroot --userspec="$user" --groups= "$root" /nodejs/bin/node ${NODE_FLAGS.join(' ')} /opt/servicenow-delegate/delegate.mjs run &
delegate=$!
tries=0
until chroot --userspec="$user" --groups= "$root" /usr/local/bin/servicenow-delegate healthcheck 2> /dev/null; do
  tries=$((tries + 1))
  if [ $tries -gt ${STARTED_WITHIN_S} ] || ! kill -0 $delegate; then exit 70; fi
  sleep 1
done
kill -TERM $delegate
wait $delegate`;

/** @throws if it does not start, is not alive, does not end with 0 at SIGTERM, or has left no identity */
export function startsIn({ root, user, stateDir }: Start): void {
  const [uid = 0, gid = 0] = user.split(':').map(Number);
  mkdirSync(stateDir, { mode: 0o700 });
  chownSync(stateDir, uid, gid);
  const { status, stdout, stderr } = spawnSync(
    'unshare',
    ['--mount', '--pid', '--fork', '--kill-child', 'sh', '-c', SCRIPT, 'sh', root, stateDir, user],
    {
      // The environment of the image, which nobody gives a tree that is only mounted.
      env: {
        PATH: process.env['PATH'] ?? '',
        DELEGATE_STATE_DIR: '/var/lib/servicenow-delegate',
        DELEGATE_HTTP_HOST: '0.0.0.0',
        DELEGATE_HTTP_PORT: '18080',
        // Nobody is there: a delegate without its manager is alive.
        DELEGATE_MANAGER_URL: 'https://127.0.0.1:1',
        DELEGATE_ENROLMENT_TOKEN: 'enrolment-token-for-tests',
      },
      encoding: 'utf8',
      timeout: 120_000,
    },
  );
  if (status !== 0 || !readdirSync(stateDir).includes('identity.json')) {
    throw new Error(`as ${user} it ended with ${status}:\n${stdout}${stderr}`);
  }
}
