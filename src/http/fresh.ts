import { open, stat } from 'node:fs/promises';
import { reasonOf } from '../kit/errors.ts';
import type { Clock } from '../kit/time.ts';
import { httpError } from './errors.ts';

/** A changed file is seen this long after the last look at the latest, when somebody needs what it holds. */
export const LOOK_EVERY_MS = 1_000;
/** Above any bundle of authorities; the whole list of Mozilla's has 220 KiB. */
const MAX_FILE_BYTES = 4 * 1_048_576;

export interface FreshLog {
  info(fields: Record<string, unknown>, message: string): void;
  error(fields: Record<string, unknown>, message: string): void;
}

export interface FreshOptions<T> {
  /** What it is, as the log calls it: "the CA bundle (DELEGATE_CA_FILE)". */
  what: string;
  paths: readonly string[];
  /** Throws for contents that are of no use, in words that quote nothing of them. */
  make: (contents: readonly string[]) => T;
  clock: Clock;
  log: FreshLog;
}

/**
 * A value made from files, and made anew when one of them has changed. By looking at the files when it is needed, not
 * by watching them: the links that Kubernetes swaps, network disks and replaced folders all look alike to `stat`, and
 * there is no watcher to end. What cannot be used leaves the last good value in place, and is logged once.
 */
export class Fresh<T> {
  readonly #options: FreshOptions<T>;
  #value: { readonly made: T } | undefined;
  /** Of the files as they were last judged, good or not. */
  #judged: string | undefined;
  #lookedAt = Number.NEGATIVE_INFINITY;
  #looking: Promise<void> | undefined;

  constructor(options: FreshOptions<T>) {
    this.#options = options;
  }

  /**
   * Rejects with `network.file-unusable` only if there never was a good value.
   *
   * @param now look at the files now, however short the last look is ago
   */
  async current({ now = false }: { now?: boolean } = {}): Promise<T> {
    const at = this.#options.clock.monotonic();
    if (now || this.#value === undefined || at - this.#lookedAt >= LOOK_EVERY_MS) {
      this.#lookedAt = at;
      this.#looking ??= this.#look().finally(() => (this.#looking = undefined));
    }
    // Nobody is to take the old one while a look at the new one is under way.
    await this.#looking;
    if (this.#value === undefined) throw this.#unusable('they could not be read');
    return this.#value.made;
  }

  async #look(): Promise<void> {
    const { paths, make, what, log } = this.#options;
    const before = await signatureOf(paths);
    if (before === this.#judged) return;
    const isFirst = this.#value === undefined;
    try {
      const contents = await Promise.all(paths.map(readBounded));
      // Whoever replaces two files does it one after the other: what changed meanwhile is looked at again next time.
      if ((await signatureOf(paths)) !== before) {
        this.#lookedAt = Number.NEGATIVE_INFINITY;
        if (!isFirst) return;
      }
      this.#value = { made: make(contents) };
      if (!isFirst) log.info({ what }, 'changed files were taken up; the next connection uses them');
    } catch (thrown) {
      const failure = this.#unusable(reasonOf(thrown));
      if (isFirst) throw failure;
      log.error({ err: failure }, 'changed files cannot be used; the last good ones stay in use');
    }
    this.#judged = before;
  }

  #unusable(why: string): Error {
    const { what, paths } = this.#options;
    return httpError('network.file-unusable', `${what}: ${why}.`, { details: { files: [...paths] } });
  }
}

/** What tells one state of the files from another. A file that is not there is a state too. */
async function signatureOf(paths: readonly string[]): Promise<string> {
  const each = await Promise.all(
    paths.map(async (path) => {
      try {
        const { dev, ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
        return [dev, ino, size, mtimeNs, ctimeNs].join();
      } catch (thrown) {
        return reasonOf(thrown);
      }
    }),
  );
  return each.join(';');
}

async function readBounded(path: string): Promise<string> {
  await using file = await open(path);
  if ((await file.stat()).size > MAX_FILE_BYTES) throw new Error('a file is too large');
  return await file.readFile('utf8');
}
