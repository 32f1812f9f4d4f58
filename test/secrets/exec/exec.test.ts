import { chmod, mkdir, readFile, rename, symlink, writeFile } from 'node:fs/promises';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import type { DelegateError } from '../../../src/kit/errors.ts';
import { systemCode } from '../../../src/kit/errors.ts';
import { systemClock } from '../../../src/kit/time.ts';
import { execProvider } from '../../../src/secrets/exec/provider.ts';
import type { Provider } from '../../../src/secrets/provider.ts';
import { failureOf } from '../../support/failure.ts';
import { leavesNothingOpen } from '../../support/open-handles.ts';
import { tempDirs } from '../../support/temp-dir.ts';
import { until } from '../../support/until.ts';

const CANARY = 'canary-exec-secret';

/** The JSON of a definition whose command is a shell script: the shell is the operator's choice here, not ours. */
function script(text: string, more: Record<string, unknown> = {}): Record<string, unknown> {
  return { command: ['/bin/sh', '-c', text], ...more };
}

describe('a secret from a command', () => {
  const directory = tempDirs();
  let home: string;
  let file: string;
  let provider: Provider;

  beforeEach(async () => {
    home = await directory();
    file = join(home, 'exec.yaml');
    provider = execProvider({
      file,
      environment: { HOME: '/home/op', PATH: '/bin:/usr/bin', DELEGATE_SECRET_PASSWORD: CANARY },
      cacheMs: 30_000,
      ports: { clock: systemClock },
    });
  });

  afterEach(async () => {
    await provider[Symbol.asyncDispose]?.();
  });
  leavesNothingOpen();

  async function define(commands: Record<string, unknown>): Promise<void> {
    await writeFile(file, JSON.stringify(commands), { mode: 0o600 });
  }

  const read = async (name: string): Promise<string> =>
    (await provider.read(name, AbortSignal.timeout(8_000))).value;

  async function failure(name = 'password'): Promise<DelegateError> {
    const error = await failureOf(read(name));
    expect(JSON.stringify(error.toWire()) + String(error.stack) + String(error.cause)).to.not.contain(CANARY);
    return error;
  }

  /** Whether a process has gone, zombies included: the container's first process may be slow to bury them. */
  function hasEnded(pid: number): boolean {
    try {
      process.kill(pid, 0);
      return / [ZX] /.test(statOf(pid));
    } catch (thrown) {
      return systemCode(thrown) === 'ESRCH';
    }
  }

  it('is what it writes, without its last line break', async () => {
    await define({ password: script(`echo '${CANARY}'`) });
    const found = await provider.read('password', AbortSignal.timeout(8_000));
    expect(found).to.deep.equal({
      value: CANARY,
      place: `command password (/bin/sh), defined in ${file}`,
    });
  });

  it('is defined in YAML as well', async () => {
    await writeFile(file, 'pw:\n  command: [/bin/echo, -n, yaml-value]\n  timeoutMs: 5000\n', {
      mode: 0o600,
    });
    expect(await read('pw')).to.equal('yaml-value');
  });

  it('comes from a command that no shell has read', async () => {
    await define({ password: { command: ['/bin/echo', '-n', '$HOME `id` $(id); id'] } });
    expect(await read('password')).to.equal('$HOME `id` $(id); id');
  });

  it('comes from a command that sees the named variables and no other', async () => {
    await define({
      bare: { command: ['/usr/bin/env'], environment: [] },
      password: { command: ['/usr/bin/env'], environment: ['HOME', 'NOT_SET'] },
    });
    expect(await read('password')).to.equal('HOME=/home/op');
    expect(await failure('bare')).to.include({ code: 'secret-empty' });
  });

  it("is not to be had by naming the delegate's own variables", async () => {
    await define({ password: { command: ['/usr/bin/env'], environment: ['DELEGATE_SECRET_PASSWORD'] } });
    expect(await failure()).to.include({ code: 'exec-secrets-file-refused' });
  });

  it('comes from a command whose input is empty', async () => {
    await define({ password: script('cat; echo end') });
    expect(await read('password')).to.equal('end');
  });

  it('is made once for all who wait, and not again for a while', async () => {
    const counter = join(home, 'runs');
    await define({ password: script(`echo run >> ${counter}; echo value`) });
    await Promise.all(Array.from({ length: 20 }, () => read('password')));
    await read('password');
    expect(await readFile(counter, 'utf8')).to.equal('run\n');
  });

  it('is made by at most four commands at a time', async () => {
    const runs = join(home, 'runs');
    await mkdir(runs);
    // Each says how many run while it does.
    const counting = script(`touch ${runs}/$$; ls ${runs} | wc -l; sleep 0.1; rm ${runs}/$$`);
    const names = Array.from({ length: 8 }, (_, index) => `c${index}`);
    await define(Object.fromEntries(names.map((name) => [name, counting])));
    const counts = await Promise.all(names.map(async (name) => Number(await read(name))));
    expect(Math.max(...counts)).to.be.within(1, 4);
  });

  describe('whose command', () => {
    it('fails tells its exit code and nothing that it wrote', async () => {
      await define({ password: script(`echo ${CANARY}; echo ${CANARY} >&2; exit 3`) });
      const error = await failure();
      expect(error).to.include({ code: 'exec-secret-failed', category: 'secret', retryable: false });
      expect(error.message).to.contain('exit code 3');
    });

    it('is killed by another tells the signal', async () => {
      await define({ password: script('kill -TERM $$') });
      expect((await failure()).message).to.contain('SIGTERM');
    });

    it('is not there is refused by its path', async () => {
      await define({ password: { command: ['/nonexistent/program'] } });
      expect(await failure()).to.include({ code: 'exec-secrets-file-refused' });
    });

    it('may not be run is told', async () => {
      await writeFile(join(home, 'plain'), 'text', { mode: 0o600 });
      await define({ password: { command: [join(home, 'plain')] } });
      const error = await failure();
      expect(error).to.include({ code: 'exec-secret-failed' });
      expect(error.message).to.match(/could not be started \((EACCES|ENOEXEC)\)/);
    });

    it('takes too long is killed with all that it started', async () => {
      const pids = join(home, 'pids');
      await define({
        password: script(`sleep 600 & echo $! >> ${pids}; echo $$ >> ${pids}; wait`, { timeoutMs: 300 }),
      });
      const error = await failure();
      expect(error).to.include({ code: 'exec-secret-timeout', retryable: true });
      const started = (await readFile(pids, 'utf8')).trim().split('\n').map(Number);
      expect(started).to.have.length(2);
      await until('they are gone', () => started.every(hasEnded));
    });

    it('leaves a process behind has it killed, and its value taken', async () => {
      const pids = join(home, 'pids');
      await define({ password: script(`sleep 600 & echo $! > ${pids}; echo value`) });
      expect(await read('password')).to.equal('value');
      const left = Number(await readFile(pids, 'utf8'));
      await until('it is gone', () => hasEnded(left));
    });

    it('ignores every signal that can be ignored is killed all the same', async () => {
      await define({
        password: script(`trap '' TERM INT HUP; while :; do sleep 1; done`, { timeoutMs: 200 }),
      });
      expect(await failure()).to.include({ code: 'exec-secret-timeout' });
    });

    it('is killed when the delegate ends, which has not ended before', async () => {
      const pids = join(home, 'pids');
      const waiting = script(`echo $$ >> ${pids}; sleep 600`);
      const names = Array.from({ length: 6 }, (_, index) => `c${index}`);
      await define(Object.fromEntries(names.map((name) => [name, waiting])));
      const readings = names.map((name) => failureOf(read(name)));
      const started = (): number[] => readFileSync(pids, 'utf8').trim().split('\n').map(Number);
      await until('four are started', () => existsSync(pids) && started().length === 4);
      await provider[Symbol.asyncDispose]?.();
      expect(started().map(hasEnded)).to.deep.equal([true, true, true, true]);
      for (const reading of readings) {
        expect(await reading).to.include({ code: 'secret-store-unreachable' });
      }
    });

    it('writes without end is killed', async () => {
      await define({ password: { command: ['/usr/bin/yes', CANARY] } });
      const error = await failure();
      expect(error).to.include({ code: 'exec-secret-failed' });
      expect(error.message).to.contain('over 65536 bytes');
    });

    it('writes more than its definition allows is refused', async () => {
      await define({ password: script(`printf ${CANARY}`, { maxBytes: CANARY.length - 1 }) });
      expect(await failure()).to.include({ code: 'exec-secret-failed' });
      await define({ exact: script(`printf ${CANARY}`, { maxBytes: CANARY.length }) });
      expect(await read('exact')).to.equal(CANARY);
    });

    it('writes no text is refused', async () => {
      await define({ password: script(String.raw`printf '\377\376'`) });
      expect(await failure()).to.include({ code: 'secret-unreadable' });
    });
  });

  for (const name of ['', '../x', 'a b', 'password extra', 'password/x', '-c', 'a;id', '$(id)', '/bin/sh']) {
    it(`is not named ${JSON.stringify(name)}`, async () => {
      await define({ password: script('echo value') });
      expect(await failure(name)).to.include({ code: 'secret-reference-invalid' });
    });
  }

  for (const name of ['other', 'constructor', 'toString']) {
    it(`is not found by the name ${name}, which nobody has defined`, async () => {
      await define({ password: script('echo value') });
      expect(await failure(name)).to.include({ code: 'secret-not-found' });
    });
  }

  describe('defined in a file that', () => {
    const refused: [string, () => Promise<unknown>][] = [
      ['is not there', async () => {}],
      ['its group may write', async () => (await define({ password: script('echo x') }), chmod(file, 0o620))],
      ['everybody may write', async () => (await define({ password: script('echo x') }), chmod(file, 0o602))],
      ['lies in a folder that everybody may write', async () => (await define({ password: script('echo x') }), chmod(home, 0o777))],
      ['is a folder', () => mkdir(file)],
      ['is not YAML', () => writeFile(file, `{ "password": ${CANARY}`, { mode: 0o600 })],
      ['is too large', () => writeFile(file, ' '.repeat(70_000), { mode: 0o600 })],
      ['has a relative path', () => define({ password: { command: ['sh', '-c', 'echo x'] } })],
      ['has a command line in one word', () => define({ password: { command: '/bin/echo x' } })],
      ['has no command', () => define({ password: {} })],
      ['has an empty command', () => define({ password: { command: [] } })],
      ['has an unknown key', () => define({ password: script('echo x', { shell: true }) })],
      ['has the same name twice', () => writeFile(file, 'a: {command: [/bin/true]}\na: {command: [/bin/id]}', { mode: 0o600 })],
      ['asks for too much time', () => define({ password: script('echo x', { timeoutMs: 60_000 }) })],
      ['asks for too many bytes', () => define({ password: script('echo x', { maxBytes: 1_000_000 }) })],
      ['has a NUL in an argument', () => define({ password: { command: ['/bin/echo', 'a\0b'] } })],
    ]; // prettier-ignore
    for (const [what, prepare] of refused) {
      it(`${what} is refused, and no command is run`, async () => {
        await prepare();
        const error = await failure();
        expect(error).to.include({ code: 'exec-secrets-file-refused', category: 'secret' });
        expect(error.message).to.contain('DELEGATE_EXEC_SECRETS_FILE');
      });
    }

    it('names a program that everybody may write is refused', async () => {
      const program = join(home, 'program');
      await writeFile(program, '#!/bin/sh\necho value\n');
      await chmod(program, 0o777);
      await define({ password: { command: [program] } });
      expect((await failure()).message).to.contain(program);
    });

    describe('names a program that somebody else could put another in the place of, since', () => {
      let open: string;

      beforeEach(async () => {
        open = join(home, 'open');
        await mkdir(join(open, 'closed'), { recursive: true });
        for (const folder of [open, join(open, 'closed')]) {
          await writeFile(join(folder, 'program'), '#!/bin/sh\necho value\n', { mode: 0o755 });
          await symlink('/bin/echo', join(folder, 'link'));
        }
        await chmod(open, 0o777);
      });

      for (const [what, path] of [
        ['everybody may write its folder', 'open/program'],
        ['everybody may write a folder above', 'open/closed/program'],
        ['a link to it stands in a folder that everybody may write', 'open/link'],
        ['a link to it is reached through such a folder', 'open/closed/../closed/link'],
      ] as const) {
        it(`${what}, is refused`, async () => {
          await define({ password: { command: [join(home, 'bin'), 'value'] } });
          await symlink(path, join(home, 'bin'));
          const error = await failure();
          expect(error).to.include({ code: 'exec-secrets-file-refused' });
          expect(error.message).to.contain(`${open} may be written by its group or by everybody`);
        });
      }

      it('nobody may remove what is not theirs there, is run', async () => {
        await chmod(open, 0o1777);
        await define({ password: { command: [join(open, 'closed', 'program')] } });
        expect(await read('password')).to.equal('value');
      });
    });

    it('names a program by a link that leads back to itself is refused', async () => {
      await symlink('circle', join(home, 'circle'));
      await define({ password: { command: [join(home, 'circle')] } });
      expect(await failure()).to.include({ code: 'exec-secrets-file-refused' });
    });

    it('lies below a folder that everybody may write is refused', async () => {
      await mkdir(join(home, 'open', 'closed'), { recursive: true });
      await chmod(join(home, 'open'), 0o777);
      await define({ password: script('echo x') });
      await rename(file, join(home, 'open', 'closed', 'exec.yaml'));
      await symlink('open/closed/exec.yaml', file);
      expect(await failure()).to.include({ code: 'exec-secrets-file-refused' });
    });

    it('is reached by a link, as Kubernetes mounts it, is taken', async () => {
      await mkdir(join(home, '..data'));
      await writeFile(join(home, '..data', 'exec.yaml'), '{"a": {"command": ["/bin/echo", "linked"]}}', {
        mode: 0o644,
      });
      await symlink('..data/exec.yaml', file);
      expect(await read('a')).to.equal('linked');
    });

    it('was changed counts with the next run', async () => {
      await define({ one: script('echo first') });
      await read('one');
      await define({ two: script('echo second') });
      expect(await read('two')).to.equal('second');
    });
  });
});

function statOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return ' X ';
  }
}
