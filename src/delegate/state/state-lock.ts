import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { DelegateError, reasonOf, systemCode } from '../../kit/errors.ts';
import { deferred } from '../../kit/flow.ts';
import { sleep, toTimestamp, type Clock } from '../../kit/time.ts';
import type { Logger } from '../../observability/logger.ts';
import { delegateError } from '../errors.ts';
import {
  createUnlessThere,
  isUnchanged,
  lockText,
  lookAt,
  removeIf,
  touch,
  type LockRecord,
  type LockSight,
} from './lock-file.ts';
import { existenceOf, whoAmI, type ProcessFacts } from './process-facts.ts';
import { FOLDER_MODE, stateFolderUnusable } from './state-folder.ts';

export const LOCK_FILE = 'delegate.lock';

/** How often the owner shows that it lives. Not more often: FAT keeps a file's time in steps of 2 s. */
export const BEAT_EVERY_MS = 2_000;
/** Soon, because by then the other newcomers are done: see `acquire`. */
const FIRST_BEAT_AFTER_MS = 100;
const LOOK_EVERY_MS = 1_000;
/**
 * How many looks without a change make a lock stale: 7 s, in which three beats have failed to come. Looks are
 * counted, rather than time: after a pause of the whole machine one interval has come to nothing, not all of them.
 */
const LOOKS_BEFORE_STALE = 7;
/** Newcomers that change the file under each other's hands are done long before. */
const MAX_ROUNDS = 20;
const REMOVED_HINT =
  'If the state folder was moved or replaced, restart the delegate: identity and journal went with it.';

/**
 * A folder that takes no file for this process. EROFS, ENOSPC and EDQUOT keep out everybody. With EACCES and EPERM
 * another user might get in, but could then not read the identity, which is for its owner alone.
 */
const TAKES_NOTHING: readonly (string | undefined)[] = ['EROFS', 'ENOSPC', 'EDQUOT', 'EACCES', 'EPERM'];

export interface StateLockOptions {
  readonly clock: Clock;
  readonly log: Logger;
  /** Ends the wait for a sign of life of another owner. */
  readonly signal?: AbortSignal;
  /** What the process says of itself to others; only a test knows better. */
  readonly facts?: ProcessFacts;
}

/**
 * Makes this process the only one that uses the state folder, and makes the folder if there is none.
 *
 * An owner on the same system is asked for at once: it lives, then this rejects with `state-folder-in-use`, or it
 * doesn't, then the lock changes hands. An owner elsewhere (another container or host with the same volume) is given
 * 7 s to show that it lives. Only changes are compared, never clocks: hosts do not agree on the time.
 *
 * Rejects with `state-folder-in-use`, with `state-folder-unusable`, or with the signal's reason.
 */
export async function lockState(stateDir: string, options: StateLockOptions): Promise<StateLock> {
  const { clock, log, signal = new AbortController().signal } = options;
  const facts = options.facts ?? (await whoAmI());
  const text = lockText(facts, toTimestamp(clock.now()));
  const claim: Claim = { stateDir, path: join(stateDir, LOCK_FILE), text, facts, clock, log };
  const held = await acquire(claim, signal, (owner) => {
    const withinMs = LOOKS_BEFORE_STALE * LOOK_EVERY_MS;
    log.info({ path: claim.path, owner, withinMs }, 'the state folder is locked; waiting for a sign of life');
  });
  return new StateLock(claim, held);
}

interface Claim {
  readonly stateDir: string;
  readonly path: string;
  /** What this process writes into the lock file; no other writes the same. */
  readonly text: string;
  readonly facts: ProcessFacts;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Owns the beat, and the file while it is this process's own. */
export class StateLock {
  readonly #claim: Claim;
  readonly #end = new AbortController();
  readonly #lost = deferred<DelegateError>();
  readonly #beating: Promise<void>;
  #held: boolean;
  /** Whether the last beat failed: trouble is told when it begins and when it ends. */
  #inTrouble = false;
  #ending: Promise<void> | undefined;

  constructor(claim: Claim, held: boolean) {
    this.#claim = claim;
    this.#held = held;
    if (!held) this.#sayNotHeld();
    this.#beating = this.#keepBeating(this.#end.signal);
  }

  /** False while the folder takes no file; each beat tries again. False for good once the lock is lost. */
  get held(): boolean {
    return this.#held;
  }

  /**
   * Resolves if another process has the folder after all: one that saw no sign of life of this one, which was frozen
   * or cut off from the disk, or one that was quicker while the folder took no file. Never rejects.
   */
  get lost(): Promise<DelegateError> {
    return this.#lost.promise;
  }

  /** Frees the folder. Idempotent. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#ending ??= this.#free();
    return this.#ending;
  }

  async #free(): Promise<void> {
    const { path, text, log } = this.#claim;
    this.#end.abort(new Error('the lock is given up'));
    await this.#beating;
    if (!this.#held) return;
    this.#held = false;
    try {
      await removeIf(path, (sight) => sight.text === text);
    } catch (thrown) {
      log.warn(
        { path, code: systemCode(thrown) },
        'the lock file stays; the next start may have to wait for it',
      );
    }
  }

  async #keepBeating(signal: AbortSignal): Promise<void> {
    const { clock, path, log } = this.#claim;
    for (let waitMs = FIRST_BEAT_AFTER_MS; !signal.aborted; waitMs = BEAT_EVERY_MS) {
      try {
        await sleep(clock, waitMs, signal);
        await this.#beat(signal);
        if (this.#inTrouble) log.info({ path }, 'the lock file is in order again');
        this.#inTrouble = false;
      } catch (thrown) {
        if (signal.aborted) return;
        if (thrown instanceof DelegateError && thrown.code === IN_USE) {
          this.#held = false;
          this.#lost.resolve(thrown);
          return;
        }
        // Not lost: whoever can't write the file may still be its owner, and the next beat sees.
        if (!this.#inTrouble) log.warn({ path, why: reasonOf(thrown) }, 'the lock file cannot be kept up');
        this.#inTrouble = true;
      }
    }
  }

  async #beat(signal: AbortSignal): Promise<void> {
    const { path, text, clock, log, stateDir } = this.#claim;
    const sight = await lookAt(path);
    if (sight?.text === text) {
      await touch(path, clock.now());
      return;
    }
    if (this.#held) {
      if (sight !== undefined) throw takenOver(stateDir, sight.record);
      log.error({ path, hint: REMOVED_HINT }, 'the lock file was removed by another hand; making it anew');
    }
    const held = await acquire(this.#claim, signal, () => {});
    if (this.#held && !held) this.#sayNotHeld();
    if (held && !this.#held) log.info({ path }, 'the state folder is locked now');
    this.#held = held;
  }

  #sayNotHeld(): void {
    const { path, log } = this.#claim;
    const hint = 'Make room, or give the delegate a state folder that it may write.';
    log.warn({ path, hint }, 'the state folder takes no lock file, and nothing else; trying again');
  }
}

/**
 * Creates the lock file, out of the way of a stale one if there is one. False if the folder takes no file.
 *
 * Two newcomers that find the same stale file are told apart by the rename: one moves it. The other may move the
 * fresh file of the first, sees that, and puts it back. What remains is that moment between the two moves, in which a
 * third newcomer can create the file, or in which the second can be killed: then the first finds at its first beat
 * that the folder is another's, or that its file is missing. A file system has no "replace if still the same" that
 * would end this, and a lock around the lock would have the same moment.
 */
async function acquire(claim: Claim, signal: AbortSignal, onWait: (owner: string) => void): Promise<boolean> {
  const { stateDir, path, text } = claim;
  try {
    await mkdir(stateDir, { recursive: true, mode: FOLDER_MODE });
    for (let round = 0; round < MAX_ROUNDS; round += 1) {
      // Whether it was made, the look tells: what counts is whose it is then.
      await createUnlessThere(path, text);
      const sight = await lookAt(path);
      if (sight?.text === text) return true;
      if (sight === undefined) continue;
      await mustBeStale(sight, claim, signal, onWait);
      const displaced = await removeIf(path, (removed) => isUnchanged(sight, removed));
      if (displaced !== undefined) throw inUse(stateDir, displaced.record);
    }
  } catch (thrown) {
    if (thrown instanceof DelegateError || signal.aborted) throw thrown;
    if (TAKES_NOTHING.includes(systemCode(thrown))) return false;
    throw stateFolderUnusable(`The state folder ${stateDir} cannot be locked`, thrown);
  }
  throw inUse(stateDir, undefined);
}

/** Rejects with `state-folder-in-use` if the owner lives, or if the file shows that somebody does. */
async function mustBeStale(
  sight: LockSight,
  claim: Claim,
  signal: AbortSignal,
  onWait: (owner: string) => void,
): Promise<void> {
  const { stateDir, path, facts, clock } = claim;
  const { record } = sight;
  const existence = record === undefined ? 'unknown' : await existenceOf(record, facts);
  if (existence === 'alive') throw inUse(stateDir, record);
  if (existence === 'gone') return;
  onWait(nameOf(record));
  for (let looks = 0; looks < LOOKS_BEFORE_STALE; looks += 1) {
    await sleep(clock, LOOK_EVERY_MS, signal);
    const now = await lookAt(path);
    if (now === undefined) return;
    if (!isUnchanged(sight, now)) throw inUse(stateDir, now.record);
  }
}

const IN_USE = 'state-folder-in-use';

function inUse(stateDir: string, owner: LockRecord | undefined): DelegateError {
  return refusal(`The state folder ${stateDir} is in use by ${nameOf(owner)}.`, undefined, owner);
}

function takenOver(stateDir: string, owner: LockRecord | undefined): DelegateError {
  return refusal(
    `The state folder ${stateDir} was taken over by ${nameOf(owner)}.`,
    'Give each delegate a state folder of its own (DELEGATE_STATE_DIR). If it has one, this process was frozen or cut off from its disk, and another was started in its place.',
    owner,
  );
}

function refusal(message: string, hint: string | undefined, owner: LockRecord | undefined): DelegateError {
  const details =
    owner === undefined ? undefined : { pid: owner.pid, host: owner.hostName, since: owner.since };
  return delegateError(IN_USE, message, { hint, details });
}

function nameOf(owner: LockRecord | undefined): string {
  if (owner === undefined) return 'a process whose lock file cannot be read';
  return `process ${owner.pid} on host ${owner.hostName}, since ${owner.since}`;
}
