import { constants } from 'node:fs';
import { mkdir, open, type FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { fileCalls, removeUnfinished, writeDurably, type FileCalls } from '../kit/durable-file.ts';
import { DelegateError, reasonOf, systemCode } from '../kit/errors.ts';
import { toTimestamp, type Clock } from '../kit/time.ts';
import { policyError } from './errors.ts';
import { isReference, mayBeSameSecret, shownReference } from './secret-reference.ts';
import { underLock } from './short-lock.ts';

/** In the state folder. */
export const PINS_FILE = 'secret-pins.json';

const MAX_PINS = 1_000;
const MAX_ORIGINS = 50;
/** How long a look at the file holds: hundreds of tasks in a second share a few, and the operator's change counts at once. */
export const LOOK_HOLDS_MS = 250;
/** More than so many pins of the usual length take. */
const MAX_BYTES = 1_048_576;
const MODES = { mode: 0o600, folderMode: 0o700 } as const;

const pinSchema = z.strictObject({
  /** The provider reference. */
  reference: z.string().min(1).max(1_024),
  /** Where the secret may go; none: it stays on this machine. */
  origins: z.array(z.string().min(1).max(1_024)).max(MAX_ORIGINS),
  /** Of its first use, RFC 3339. */
  since: z.iso.datetime(),
});
const fileSchema = z.strictObject({ version: z.literal(1), pins: z.array(pinSchema).max(MAX_PINS) });

export type SecretPin = z.output<typeof pinSchema>;

/** Where secrets may go without a policy file: where they first went, and where the operator has agreed to since. */
export interface SecretPins {
  /** Undefined if the secret was not used yet, or has its place among these origins. Rejects for nothing. */
  denialOf(reference: string, origins: readonly string[]): Promise<DelegateError | undefined>;
  /** Resolves when the secret's first origins would survive a power cut. Rejects for others, and if they can't be kept. */
  pin(reference: string, origins: readonly string[], signal?: AbortSignal): Promise<void>;
  list(): Promise<readonly SecretPin[]>;
}

export interface PinFileOptions {
  readonly stateDir: string;
  readonly clock: Clock;
  readonly calls?: FileCalls;
}

/**
 * The pins in one file, which the operator's commands change while a delegate runs: a look reads it anew if it is
 * another one than before, and whoever changes it holds a lock for as long.
 */
export class PinFile implements SecretPins {
  readonly #path: string;
  readonly #clock: Clock;
  readonly #calls: FileCalls;
  /** What was read last, and by what to tell that it is still the same. */
  #known: { readonly stamp: string; readonly pins: readonly SecretPin[] } | undefined;
  /** The last look, and until when it holds (monotonic). */
  #look: { readonly pins: Promise<readonly SecretPin[]>; readonly until: number } | undefined;

  constructor({ stateDir, clock, calls = fileCalls }: PinFileOptions) {
    this.#path = join(stateDir, PINS_FILE);
    this.#clock = clock;
    this.#calls = calls;
  }

  async denialOf(reference: string, origins: readonly string[]): Promise<DelegateError | undefined> {
    if (!isReference(reference)) return notPlain(reference);
    try {
      return denialBy(await this.#glance(), reference, origins);
    } catch (thrown) {
      if (thrown instanceof DelegateError) return thrown;
      throw thrown;
    }
  }

  async pin(reference: string, origins: readonly string[], signal?: AbortSignal): Promise<void> {
    // Most secrets have their pin; no lock is needed to see that.
    const known = await this.#glance();
    if (pinOf(known, reference) !== undefined && denialBy(known, reference, origins) === undefined) return;
    await this.#change(signal, (pins) => {
      const refused = denialBy(pins, reference, origins);
      if (refused !== undefined) throw refused;
      if (pinOf(pins, reference) !== undefined) return pins;
      return [...pins, this.#newPin(reference, origins)];
    });
  }

  /** The operator agrees. A secret that has no pin yet gets one, with what its other names let it do so far. */
  async allow(reference: string, origin: string): Promise<void> {
    await this.#change(undefined, (pins) => {
      const pin = pinOf(pins, reference) ?? this.#newPin(reference, originsByOthers(pins, reference));
      const origins = [...new Set([...pin.origins, origin])].sort();
      return [...pins.filter((one) => one.reference !== reference), { ...pin, origins }];
    });
  }

  /** False if there is no such pin. */
  async forget(reference: string): Promise<boolean> {
    if (pinOf(await this.list(), reference) === undefined) return false;
    await this.#change(undefined, (pins) => pins.filter((one) => one.reference !== reference));
    return true;
  }

  /** In the order of their first use. Rejects with `policy.pins-unusable`. */
  async list(): Promise<readonly SecretPin[]> {
    try {
      await using file = await open(this.#path, constants.O_RDONLY | constants.O_NONBLOCK);
      const stamp = await stampOf(file);
      if (this.#known?.stamp !== stamp) this.#known = { stamp, pins: parsed(await textOf(file)) };
      return this.#known.pins;
    } catch (thrown) {
      if (systemCode(thrown) === 'ENOENT') return [];
      throw unusable(this.#path, thrown);
    }
  }

  /** As `list`, or what it said a moment ago. */
  #glance(): Promise<readonly SecretPin[]> {
    const now = this.#clock.monotonic();
    if (this.#look === undefined || now >= this.#look.until) {
      this.#look = { pins: this.list(), until: now + LOOK_HOLDS_MS };
    }
    return this.#look.pins;
  }

  async #change(
    signal: AbortSignal | undefined,
    change: (pins: readonly SecretPin[]) => readonly SecretPin[],
  ): Promise<void> {
    try {
      await mkdir(dirname(this.#path), { recursive: true, mode: MODES.folderMode });
      await underLock(`${this.#path}.lock`, { clock: this.#clock, signal }, async () => {
        const before = await this.list();
        const pins = change(before);
        if (pins === before) return;
        await removeUnfinished(this.#path);
        if (pins.length > MAX_PINS) throw notKept(`${MAX_PINS} secrets are pinned already`);
        await writeDurably(
          this.#path,
          `${JSON.stringify({ version: 1, pins }, null, 2)}\n`,
          MODES,
          this.#calls,
        );
      });
    } catch (thrown) {
      signal?.throwIfAborted();
      throw thrown instanceof DelegateError ? thrown : notKept(reasonOf(thrown), thrown);
    } finally {
      this.#look = undefined;
    }
  }

  #newPin(reference: string, origins: readonly string[]): SecretPin {
    return { reference, origins: [...new Set(origins)].sort(), since: toTimestamp(this.#clock.now()) };
  }
}

function pinOf(pins: readonly SecretPin[], reference: string): SecretPin | undefined {
  return pins.find((pin) => pin.reference === reference);
}

/** A file that was replaced, or written in place, has another one. */
async function stampOf(file: FileHandle): Promise<string> {
  const { ino, size, mtimeNs, ctimeNs } = await file.stat({ bigint: true });
  return [ino, size, mtimeNs, ctimeNs].join(' ');
}

async function textOf(file: FileHandle): Promise<string> {
  const buffer = Buffer.alloc(MAX_BYTES + 1);
  let length = 0;
  for (;;) {
    const { bytesRead } = await file.read(buffer, length, buffer.length - length, length);
    length += bytesRead;
    if (length > MAX_BYTES) throw new Error(`more than ${MAX_BYTES} bytes`);
    if (bytesRead === 0) return buffer.toString('utf8', 0, length);
  }
}

/** What went wrong is not quoted: an error of JSON or of a schema holds pieces of the file. */
function parsed(text: string): readonly SecretPin[] {
  const file = fileSchema.safeParse(jsonOf(text));
  if (!file.success) throw new Error('it is damaged');
  return file.data.pins;
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/**
 * By its own pin, or else by those of all other names that it may have: a name can't have more than those had before it,
 * and what one is used for takes nothing from another.
 */
function denialBy(
  pins: readonly SecretPin[],
  reference: string,
  origins: readonly string[],
): DelegateError | undefined {
  const own = pinOf(pins, reference);
  for (const pin of own === undefined ? pinsOfOthers(pins, reference) : [own]) {
    const refused = denial(pin, reference, origins);
    if (refused !== undefined) return refused;
  }
  return undefined;
}

/** The pins of what may be the same secret. */
function pinsOfOthers(pins: readonly SecretPin[], reference: string): readonly SecretPin[] {
  return pins.filter((pin) => mayBeSameSecret(pin.reference, reference));
}

/** Where a secret may go that has no pin of its own; none if it has no other name. */
function originsByOthers(pins: readonly SecretPin[], reference: string): readonly string[] {
  const [first, ...more] = pinsOfOthers(pins, reference);
  return first?.origins.filter((origin) => more.every(({ origins }) => origins.includes(origin))) ?? [];
}

function denial(pin: SecretPin, reference: string, origins: readonly string[]): DelegateError | undefined {
  const refused = origins.filter((origin) => !pin.origins.includes(origin));
  if (refused.length === 0) return undefined;
  const name = shownReference(reference);
  const pinned = shownReference(pin.reference);
  const place = pin.origins.length === 0 ? 'this machine alone' : pin.origins.join(' and ');
  const commands = refused.map((origin) => `servicenow-delegate secrets allow ${name} ${origin}`);
  return policyError(
    'policy.secret-pinned',
    `The secret ${pinned} is pinned to ${place} since its first use, and would go to ${refused.join(' and ')}${name === pinned ? '' : ` as ${name}`}.`,
    {
      hint: `If that is right, the operator says so on the delegate's machine: ${commands.join(' && ')}`,
      details: { rule: `pin ${pinned}`, reference: name, pinnedTo: pin.origins, asked: refused },
    },
  );
}

/** What could be a second name of a secret would be pinned apart from the first. */
function notPlain(reference: string): DelegateError {
  const name = shownReference(reference);
  return policyError(
    'policy.secret-not-allowed',
    `The reference ${name} is not plain: one secret would have several names.`,
    {
      hint: 'Name the secret by its plain path: no white space or backslash, no segment that is empty, "." or begins with "..".',
      details: { rule: 'secret pins', reference: name },
    },
  );
}

function unusable(path: string, cause: unknown): DelegateError {
  return policyError(
    'policy.pins-unusable',
    `The list of where each secret may go cannot be used (${reasonOf(cause)}): ${path}`,
    { details: { rule: 'secret pins', path }, cause },
  );
}

function notKept(why: string, cause?: unknown): DelegateError {
  return policyError('policy.pins-not-kept', `Where the secret may go could not be kept: ${why}.`, {
    details: { rule: 'secret pins' },
    cause,
  });
}
