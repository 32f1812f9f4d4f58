import type { AppendFile, JournalFolder } from '../../src/delegate/journal/folder.ts';
import { deferred } from '../../src/kit/flow.ts';
import type { Random } from '../support/random.ts';
import type { SimulatedProcess } from './process.ts';
import type { SimulatedTime } from './time.ts';

/** What ails a disk. `stuck` answers nothing until it is over. */
export const DISK_FAULTS = ['full', 'failing', 'read-only', 'stuck'] as const;
export type DiskFault = (typeof DISK_FAULTS)[number];

export interface Crash {
  /** A process that is killed leaves the kernel's cache behind it; a power cut takes that along. */
  readonly is: 'killed' | 'power-cut';
  /** One byte of one file is another one afterwards. */
  readonly flipsByte: boolean;
}

/** From the end of a fault until everything that it kept from the disk has been written. */
const SETTLED_AFTER_MS = 30_000;
const SLOW_CHANCE = 0.02;
const SLOW_MS = 300;
const USUAL_MS = 4;

class SimulatedFile {
  bytes = Buffer.alloc(0);
  /** So many of them would survive a power cut. */
  synced = 0;
}

/** One folder of one machine. It outlives processes, and forgets what a real one may forget. */
export class SimulatedDisk {
  readonly #time: SimulatedTime;
  readonly #random: Random;
  #files = new Map<string, SimulatedFile>();
  /** What the folder held when it was last synced, and what was done to it since. */
  #synced = new Map<string, SimulatedFile>();
  #changes: ((files: Map<string, SimulatedFile>) => void)[] = [];
  #fault: DiskFault | undefined;
  #hasAiled = false;
  #ailedUntil = -SETTLED_AFTER_MS;
  #mayHaveLost = false;
  #stuck: (() => void)[] = [];

  constructor(time: SimulatedTime, random: Random) {
    this.#time = time;
    this.#random = random;
  }

  get fault(): DiskFault | undefined {
    return this.#fault;
  }

  set fault(fault: DiskFault | undefined) {
    this.#fault = fault;
    this.#hasAiled = true;
    this.#ailedUntil = this.#time.monotonic();
    if (fault !== 'stuck') for (const goOn of this.#stuck.splice(0)) goOn();
  }

  /** At some time it has not done what it was told: whoever uses it may complain. */
  get hasAiled(): boolean {
    return this.#hasAiled;
  }

  /** Some of what it was given may be gone: a byte flipped, or a process ended before it could write again. */
  get mayHaveLost(): boolean {
    return this.#mayHaveLost;
  }

  get fileCount(): number {
    return this.#files.size;
  }

  /** The folder as one process sees it. */
  folderOf(process: SimulatedProcess): JournalFolder {
    return {
      list: () => this.#reading(process, () => [...this.#files.keys()]),
      read: (name) => this.#reading(process, () => Buffer.from(this.#file(name).bytes)),
      create: (name) =>
        this.#writing(
          process,
          () => {
            if (this.#files.has(name)) throw systemError('EEXIST');
            const file = new SimulatedFile();
            this.#change((files) => files.set(name, file));
            return this.#appendFile(process, file);
          },
          { needsRoom: true },
        ),
      rename: (from, to) =>
        this.#writing(process, () => {
          const file = this.#file(from);
          this.#change((files) => {
            files.delete(from);
            files.set(to, file);
          });
        }),
      remove: (name) => this.#writing(process, () => this.#change((files) => files.delete(name))),
      sync: () =>
        this.#writing(process, () => {
          this.#synced = new Map(this.#files);
          this.#changes = [];
        }),
    };
  }

  /**
   * To be called when the process that used it has ended.
   *
   * @param hinderedUntil until when that process could not write because of itself; on the world's monotonic clock
   */
  crash({ is, flipsByte }: Crash, hinderedUntil = -Infinity): void {
    const settledMs = this.#time.monotonic() - Math.max(this.#ailedUntil, hinderedUntil);
    if (this.#fault !== undefined || settledMs < SETTLED_AFTER_MS) this.#mayHaveLost = true;
    if (is === 'power-cut') {
      const kept = this.#changes.slice(0, this.#random.int(this.#changes.length + 1));
      for (const change of kept) change(this.#synced);
      this.#files = new Map(this.#synced);
      for (const file of this.#files.values()) this.#tear(file);
    }
    this.#synced = new Map(this.#files);
    this.#changes = [];
    const damageable = [...this.#files.values()].filter(({ bytes }) => bytes.length > 0);
    if (!flipsByte || damageable.length === 0) return;
    this.#flipByte(this.#random.pick(damageable));
    this.#hasAiled = true;
    this.#mayHaveLost = true;
  }

  /** What was not synced survives in part, or as zeros: the length may reach the disk before the content. */
  #tear(file: SimulatedFile): void {
    const unsynced = file.bytes.length - file.synced;
    file.bytes = Buffer.from(file.bytes.subarray(0, file.synced + this.#random.int(unsynced + 1)));
    if (this.#random.chance(0.2)) file.bytes.fill(0, file.synced);
    file.synced = file.bytes.length;
  }

  #flipByte(file: SimulatedFile): void {
    const at = this.#random.int(file.bytes.length);
    file.bytes.writeUInt8(file.bytes.readUInt8(at) ^ (1 << this.#random.int(8)), at);
  }

  #appendFile(process: SimulatedProcess, file: SimulatedFile): AppendFile {
    return {
      append: (bytes) =>
        this.#writing(
          process,
          () => {
            file.bytes = Buffer.concat([file.bytes, bytes]);
          },
          {
            needsRoom: true,
            inPart: () => {
              const part = bytes.subarray(0, this.#random.int(bytes.length + 1));
              file.bytes = Buffer.concat([file.bytes, part]);
            },
          },
        ),
      sync: () =>
        this.#writing(process, () => {
          file.synced = file.bytes.length;
        }),
      close: () => this.#reading(process, () => undefined),
    };
  }

  #change(change: (files: Map<string, SimulatedFile>) => void): void {
    change(this.#files);
    this.#changes.push(change);
  }

  #file(name: string): SimulatedFile {
    const file = this.#files.get(name);
    if (file === undefined) throw systemError('ENOENT');
    return file;
  }

  #reading<T>(process: SimulatedProcess, effect: () => T): Promise<T> {
    return this.#operation(process, effect, () => {});
  }

  /**
   * @param needsRoom whether it can't be done on a full disk
   * @param inPart what a failure, or a kill in the middle of it, may leave behind
   */
  #writing<T>(
    process: SimulatedProcess,
    effect: () => T,
    { needsRoom = false, inPart = () => {} }: { needsRoom?: boolean; inPart?: () => void } = {},
  ): Promise<T> {
    return this.#operation(
      process,
      () => {
        const code = this.#refusal(needsRoom);
        if (code === undefined) return effect();
        if (code !== 'EROFS') inPart();
        throw systemError(code);
      },
      inPart,
    );
  }

  #refusal(needsRoom: boolean): string | undefined {
    switch (this.#fault) {
      case undefined:
      case 'stuck':
        return undefined;
      case 'full':
        return needsRoom ? 'ENOSPC' : undefined;
      case 'failing':
        return 'EIO';
      case 'read-only':
        return 'EROFS';
    }
  }

  /** The effect comes some time after the call, and the answer some time after the effect. */
  async #operation<T>(process: SimulatedProcess, effect: () => T, inPart: () => void): Promise<T> {
    const answer = deferred<T>();
    const slow = this.#random.chance(SLOW_CHANCE);
    const halfMs = this.#random.between(0, slow ? SLOW_MS : USUAL_MS);
    const act = (): void => {
      if (!process.alive) {
        if (this.#random.chance(0.5)) inPart();
        return;
      }
      const reply = settled(answer, effect);
      this.#time.after(halfMs, () => process.enter(reply));
    };
    this.#time.after(halfMs, () => {
      if (this.#fault === 'stuck') this.#stuck.push(act);
      else act();
    });
    return await answer.promise;
  }
}

/** Does it now; the outcome is told when the returned function is called. */
function settled<T>(answer: ReturnType<typeof deferred<T>>, effect: () => T): () => void {
  try {
    const value = effect();
    return () => answer.resolve(value);
  } catch (thrown) {
    const error = thrown instanceof Error ? thrown : new Error('no error was thrown', { cause: thrown });
    return () => answer.reject(error);
  }
}

function systemError(code: string): Error {
  return Object.assign(new Error(code), { code });
}
