import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { pino } from 'pino';
import { z } from 'zod';
import { lockText } from '../../../src/delegate/state/lock-file.ts';
import { whoAmI, type ProcessFacts } from '../../../src/delegate/state/process-facts.ts';
import { lockState, type StateLock, type StateLockOptions } from '../../../src/delegate/state/state-lock.ts';
import type { DelegateError } from '../../../src/kit/errors.ts';
import { failureOf, rejectionOf } from '../../support/failure.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { leavesNothingOpen } from '../../support/open-handles.ts';
import { tempDirs } from '../../support/temp-dir.ts';
import { until, within } from '../../support/until.ts';

const LOCKER = fileURLToPath(new URL('state-lock-process.ts', import.meta.url));
const FIRST_BEAT_MS = 100;
const BEAT_MS = 2_000;
const LOOK_MS = 1_000;
const STALE_AFTER_MS = 7_000;
const SINCE = '2026-11-01T00:00:00.000Z';

const answerSchema = z.object({ held: z.boolean(), code: z.string().optional() });

/** Another process, which locks folders when it is told to. */
class Locker {
  readonly #child: ChildProcess = fork(LOCKER, { execArgv: ['--import', 'tsx'] });

  get pid(): number | undefined {
    return this.#child.pid;
  }

  async lock(stateDir: string): Promise<z.infer<typeof answerSchema>> {
    return await this.#order({ lock: stateDir });
  }

  async free(): Promise<void> {
    await this.#order({ free: true });
  }

  async kill(): Promise<void> {
    if (this.#child.signalCode !== null) return;
    const closed = once(this.#child, 'close');
    this.#child.kill('SIGKILL');
    await within('the other process to end', closed);
  }

  stop(): void {
    this.#child.kill('SIGSTOP');
  }

  async #order(order: { lock: string } | { free: true }): Promise<z.infer<typeof answerSchema>> {
    const answered = once(this.#child, 'message');
    this.#child.send(order);
    const [answer] = await within('the other process to answer', answered, 10_000);
    return answerSchema.parse(answer);
  }
}

/** What is shared by the tests of this file; every lock and process is ended after its test. */
function lockTests() {
  const tempDir = tempDirs();
  const locks: StateLock[] = [];
  const lockers: Locker[] = [];
  const lines: string[] = [];
  const log = pino({ level: 'info' }, { write: (line) => void lines.push(line) });
  beforeEach(() => void lines.splice(0));
  afterEach(async () => {
    await Promise.all(locks.splice(0).map((lock) => lock[Symbol.asyncDispose]()));
    await Promise.all(lockers.splice(0).map((locker) => locker.kill()));
  });
  leavesNothingOpen();
  return {
    tempDir,
    /** What was logged, as lines of JSON. */
    lines,
    lock: async (
      stateDir: string,
      clock: ManualClock,
      options: Partial<StateLockOptions> = {},
    ): Promise<StateLock> => {
      const lock = await lockState(stateDir, { clock, log, ...options });
      locks.push(lock);
      return lock;
    },
    locker: (): Locker => {
      const locker = new Locker();
      lockers.push(locker);
      return locker;
    },
  };
}

const fileIn = (stateDir: string): string => join(stateDir, 'delegate.lock');

async function elsewhere(): Promise<ProcessFacts> {
  return { ...(await whoAmI()), pidNamespace: 'pid:[1]', hostName: 'elsewhere', pid: 7 };
}

/** Moves the clock on, second by second and never while nobody waits for it, until the work has ended. */
async function whileLooking<T>(clock: ManualClock, work: Promise<T>): Promise<T> {
  let ended = false;
  const end = work.finally(() => (ended = true));
  end.catch(() => {});
  for (;;) {
    await until('it looks, or has ended', () => ended || clock.pending > 0);
    if (ended) return await end;
    await clock.advance(LOOK_MS);
  }
}

/** Lets the owner's next beat pass, or what it does instead. */
async function beat(clock: ManualClock, lock: StateLock, afterMs = BEAT_MS): Promise<void> {
  let lost = false;
  void lock.lost.then(() => (lost = true));
  await until('the owner waits', () => clock.pending === 1);
  await clock.advance(afterMs);
  await until('the owner waits again', () => lost || clock.pending === 1);
}

describe('a state folder that a process has locked', () => {
  const { tempDir, lines, lock, locker } = lockTests();

  it('is made, with a lock file, for its owner alone', async () => {
    const dir = join(await tempDir(), 'not', 'there', 'yet');
    const held = await lock(dir, new ManualClock());
    expect(held.held).to.equal(true);
    expect((await stat(dir)).mode & 0o777).to.equal(0o700);
    expect((await stat(fileIn(dir))).mode & 0o777).to.equal(0o600);
  });

  it('is refused to a second process, at once, with the name of the first', async () => {
    const dir = await tempDir();
    const owner = locker();
    expect(await owner.lock(dir)).to.deep.equal({ held: true });
    const before = await readFile(fileIn(dir));
    const error = await failureOf(lock(dir, new ManualClock()));
    expect(error).to.include({ code: 'state-folder-in-use', category: 'refused', retryable: false });
    expect(error.message).to.include(dir).and.include(`process ${owner.pid} on host ${hostname()}`);
    expect(error.message).to.match(/since 20\d\d-/);
    expect(error.hint).to.include('DELEGATE_STATE_DIR');
    expect(await readdir(dir)).to.deep.equal(['delegate.lock']);
    expect(await readFile(fileIn(dir))).to.deep.equal(before);
  });

  it('is refused to the same process', async () => {
    const dir = await tempDir();
    await lock(dir, new ManualClock());
    expect(await failureOf(lock(dir, new ManualClock()))).to.include({ code: 'state-folder-in-use' });
  });

  it('is free, and without a trace of the lock, when its owner has ended in order', async () => {
    const dir = await tempDir();
    const owner = locker();
    await owner.lock(dir);
    await owner.free();
    expect(await readdir(dir)).to.deep.equal([]);
    expect((await lock(dir, new ManualClock())).held).to.equal(true);
  });

  it('changes hands at once when its owner was killed', async () => {
    const dir = await tempDir();
    const owner = locker();
    await owner.lock(dir);
    await owner.kill();
    const clock = new ManualClock();
    expect((await lock(dir, clock)).held).to.equal(true);
    expect(clock.monotonic()).to.equal(0);
    expect(await readdir(dir)).to.deep.equal(['delegate.lock']);
    expect(lines).to.deep.equal([]);
  });

  it('stays with an owner that is stopped', async () => {
    const dir = await tempDir();
    const owner = locker();
    await owner.lock(dir);
    owner.stop();
    expect(await failureOf(lock(dir, new ManualClock()))).to.include({ code: 'state-folder-in-use' });
  });

  it('goes to exactly one of two processes that find the same dead owner, 50 times over', async () => {
    const rivals = [locker(), locker()];
    const stale = lockText({ ...(await whoAmI()), startTime: '1' }, SINCE);
    for (let round = 0; round < 50; round += 1) {
      const dir = await tempDir();
      await writeFile(fileIn(dir), stale);
      const answers = await Promise.all(rivals.map((rival) => rival.lock(dir)));
      expect(answers, `round ${round}`).to.have.deep.members([
        { held: true },
        { held: false, code: 'state-folder-in-use' },
      ]);
      await Promise.all(rivals.map((rival) => rival.free()));
      expect(await readdir(dir), `round ${round}`).to.deep.equal([]);
    }
  });
});

describe('a state folder that was locked where this process cannot look', () => {
  const { tempDir, lines, lock } = lockTests();

  it('is refused as soon as the owner shows that it lives', async () => {
    const dir = await tempDir();
    const [ownerClock, clock] = [new ManualClock(), new ManualClock()];
    const owner = await lock(dir, ownerClock, { facts: await elsewhere() });
    const refused = failureOf(lock(dir, clock));
    await until('it looks', () => clock.pending === 1);
    await beat(ownerClock, owner, FIRST_BEAT_MS);
    const error = await whileLooking(clock, refused);
    expect(error.message).to.include('process 7 on host elsewhere');
    expect(clock.monotonic()).to.equal(LOOK_MS);
    expect(owner.held).to.equal(true);
  });

  it('changes hands after 7 s without a sign of life, and says that it waits', async () => {
    const dir = await tempDir();
    await writeFile(fileIn(dir), lockText(await elsewhere(), SINCE));
    const clock = new ManualClock();
    const held = await whileLooking(clock, lock(dir, clock));
    expect(held.held).to.equal(true);
    expect(clock.monotonic()).to.equal(STALE_AFTER_MS);
    expect(lines).to.have.length(1);
    expect(lines[0]).to.include('process 7 on host elsewhere').and.include(`${STALE_AFTER_MS}`);
  });

  it('is free as soon as the owner frees it', async () => {
    const dir = await tempDir();
    const clock = new ManualClock();
    const owner = await lock(dir, new ManualClock(), { facts: await elsewhere() });
    const locking = lock(dir, clock);
    await until('it looks', () => clock.pending === 1);
    await owner[Symbol.asyncDispose]();
    expect((await whileLooking(clock, locking)).held).to.equal(true);
    expect(clock.monotonic()).to.equal(LOOK_MS);
  });

  it('goes to exactly one of two that waited for the same owner in vain', async () => {
    const dir = await tempDir();
    await writeFile(fileIn(dir), lockText(await elsewhere(), SINCE));
    const outcomes = await Promise.allSettled(
      [new ManualClock(), new ManualClock()].map((clock) => whileLooking(clock, lock(dir, clock))),
    );
    expect(outcomes.map(({ status }) => status)).to.have.members(['fulfilled', 'rejected']);
  });

  it('is no longer waited for when the signal ends, and is left as it was', async () => {
    const dir = await tempDir();
    const stale = lockText(await elsewhere(), SINCE);
    await writeFile(fileIn(dir), stale);
    const clock = new ManualClock();
    const stop = new AbortController();
    const rejected = rejectionOf(lock(dir, clock, { signal: stop.signal }));
    await until('it looks', () => clock.pending === 1);
    const reason = new Error('the delegate stops');
    stop.abort(reason);
    expect(await rejected).to.equal(reason);
    expect(clock.pending).to.equal(0);
    expect(await readFile(fileIn(dir), 'utf8')).to.equal(stale);
  });

  const damages = ['', 'garbage', '{"format":2}', '{"format":1}', 'x'.repeat(10_000)];
  for (const damaged of damages) {
    it(`is watched, and then taken, when all that is left is "${damaged.slice(0, 12)}"`, async () => {
      const dir = await tempDir();
      await writeFile(fileIn(dir), damaged);
      const clock = new ManualClock();
      expect((await whileLooking(clock, lock(dir, clock))).held).to.equal(true);
      expect(clock.monotonic()).to.equal(STALE_AFTER_MS);
    });
  }

  it('is refused when what looked damaged was only not yet written', async () => {
    const dir = await tempDir();
    await writeFile(fileIn(dir), '');
    const clock = new ManualClock();
    const refused = failureOf(lock(dir, clock));
    await until('it looks', () => clock.pending === 1);
    await writeFile(fileIn(dir), lockText(await elsewhere(), SINCE));
    expect((await whileLooking(clock, refused)).message).to.include('process 7');
  });
});

describe('the owner of a state folder', () => {
  const { tempDir, lines, lock } = lockTests();

  it('shows every 2 s that it lives', async () => {
    const dir = await tempDir();
    const clock = new ManualClock();
    const owner = await lock(dir, clock);
    await beat(clock, owner, FIRST_BEAT_MS);
    const seen = new Set<bigint>();
    for (let beats = 0; beats < 4; beats += 1) {
      seen.add((await stat(fileIn(dir), { bigint: true })).mtimeNs);
      await beat(clock, owner);
    }
    expect(seen.size).to.equal(4);
    expect(clock.monotonic()).to.equal(FIRST_BEAT_MS + 4 * BEAT_MS);
    expect(lines).to.deep.equal([]);
  });

  it('that was frozen is told that it has lost the folder, and leaves it to the new one', async () => {
    const dir = await tempDir();
    const [frozen, clock] = [new ManualClock(), new ManualClock()];
    const owner = await lock(dir, frozen, { facts: await elsewhere() });
    const successor = await whileLooking(clock, lock(dir, clock));
    await beat(frozen, owner, FIRST_BEAT_MS);
    const error: DelegateError = await within('the loss to be told', owner.lost);
    expect(error).to.include({ code: 'state-folder-in-use', category: 'refused' });
    expect(error.message).to.include(dir).and.include(`process ${process.pid}`);
    expect(owner.held).to.equal(false);
    await owner[Symbol.asyncDispose]();
    await beat(clock, successor, FIRST_BEAT_MS);
    expect(successor.held).to.equal(true);
  });

  it('makes its file anew when somebody has removed it, and says so', async () => {
    const dir = await tempDir();
    const clock = new ManualClock();
    const owner = await lock(dir, clock);
    const before = await readFile(fileIn(dir));
    await rm(fileIn(dir));
    await beat(clock, owner, FIRST_BEAT_MS);
    expect(await readFile(fileIn(dir))).to.deep.equal(before);
    expect(owner.held).to.equal(true);
    expect(lines).to.have.length(1);
    expect(lines[0]).to.include('removed by another hand');
  });

  it('goes on through a disk that fails for a while, and says so once, and once that it is over', async () => {
    const dir = await tempDir();
    const clock = new ManualClock();
    const owner = await lock(dir, clock);
    const text = await readFile(fileIn(dir));
    await rm(fileIn(dir));
    await mkdir(fileIn(dir));
    await beat(clock, owner, FIRST_BEAT_MS);
    await beat(clock, owner);
    expect(lines).to.have.length(1);
    await rm(fileIn(dir), { recursive: true });
    await writeFile(fileIn(dir), text);
    await beat(clock, owner);
    expect(lines).to.have.length(2);
    expect(owner.held).to.equal(true);
  });

  it('ends even when its file cannot be removed, and says what that means', async () => {
    const dir = join(await tempDir(), 'state');
    const owner = await lock(dir, new ManualClock());
    await rm(dir, { recursive: true });
    await writeFile(dir, 'a file in the place of the folder');
    await owner[Symbol.asyncDispose]();
    expect(owner.held).to.equal(false);
    expect(lines).to.have.length(1);
    expect(lines[0]).to.include('the lock file stays');
  });

  it('leaves no timer, no descriptor and no file behind, however often it ends', async () => {
    const dir = await tempDir();
    const clock = new ManualClock();
    const descriptors = async (): Promise<number> => (await readdir('/proc/self/fd')).length;
    const before = await descriptors();
    const owner = await lock(dir, clock);
    await beat(clock, owner, FIRST_BEAT_MS);
    await Promise.all([owner[Symbol.asyncDispose](), owner[Symbol.asyncDispose]()]);
    expect(clock.pending).to.equal(0);
    expect(await descriptors()).to.equal(before);
    expect(await readdir(dir)).to.deep.equal([]);
  });
});

describe('a state folder that takes no file', () => {
  const { tempDir, lines, lock } = lockTests();

  /** No process may make a file in it, root included. */
  const TAKES_NO_FILE = '/sys';

  /** A folder that takes no file until `mend`. */
  async function readOnly(): Promise<{ dir: string; mend: () => Promise<void> }> {
    const dir = join(await tempDir(), 'state');
    await symlink(TAKES_NO_FILE, dir);
    return {
      dir,
      mend: async () => {
        await rm(dir);
        await mkdir(dir);
      },
    };
  }

  it('is used without a lock, with a warning', async () => {
    const { dir } = await readOnly();
    const clock = new ManualClock();
    const unheld = await lock(dir, clock);
    expect(unheld.held).to.equal(false);
    await beat(clock, unheld, FIRST_BEAT_MS);
    expect(lines).to.have.length(1);
    expect(lines[0]).to.include('takes no lock file').and.include('hint');
  });

  it('is locked as soon as it does', async () => {
    const { dir, mend } = await readOnly();
    const clock = new ManualClock();
    const late = await lock(dir, clock);
    await mend();
    await beat(clock, late, FIRST_BEAT_MS);
    expect(late.held).to.equal(true);
    expect(lines).to.have.length(2);
    expect(await readdir(dir)).to.deep.equal(['delegate.lock']);
    await late[Symbol.asyncDispose]();
    expect(await readdir(dir)).to.deep.equal([]);
  });

  it('is lost to a process that was quicker then', async () => {
    const { dir, mend } = await readOnly();
    const clock = new ManualClock();
    const late = await lock(dir, clock);
    await mend();
    const quicker = await lock(dir, new ManualClock());
    await beat(clock, late, FIRST_BEAT_MS);
    expect(await within('the loss to be told', late.lost)).to.include({ code: 'state-folder-in-use' });
    expect([quicker.held, late.held]).to.deep.equal([true, false]);
  });

  it('is unusable when it cannot even be a folder', async () => {
    const file = join(await tempDir(), 'file');
    await writeFile(file, '');
    for (const dir of [file, join(file, 'state')]) {
      const error = await failureOf(lock(dir, new ManualClock()));
      expect(error).to.include({ code: 'state-folder-unusable' });
      expect(error.message).to.include(dir);
      expect(error.hint).to.include('DELEGATE_STATE_DIR');
    }
  });
});
