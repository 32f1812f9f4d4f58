import * as fc from 'fast-check';
import { CloseCode } from '../../../src/protocol/close-codes.ts';
import type { WireFrame } from '../../../src/protocol/codec.ts';
import { fuzzFrame } from './fuzz-frames.ts';
import type { Fate, Line, Side } from './line.ts';
import { Oracle } from './oracle.ts';

/** Frames that may be on the wire before the fuzzer asks what has become of the connection. */
const MAX_BATCH = 32;
/** Frames made at once. */
const CHUNK = 1_000;
/** Of so many connections, one is left for the fuzz to open. */
const ONE_UNOPENED_OF = 4;
/** Growth of the process that a peer's frames may cause. Both ends of the sockets are in it. */
const MAX_GROWTH_BYTES = 512 * 1_048_576;

interface FuzzReport {
  frames: number;
  /** How many connections ended with each code. */
  closes: Record<number, number>;
  grownBytes: number;
}

/** The side did what the document does not allow. */
class FuzzFailure extends Error {
  override readonly name = 'FuzzFailure';

  constructor(side: Side, seed: number, batch: readonly WireFrame[], expected: Fate, found: unknown) {
    const frames = batch.map(
      ({ bytes, binary }) => `${binary ? 'binary' : 'text'} ${Buffer.from(bytes).toString('base64')}`,
    );
    super(
      `${side.direction}, seed ${seed}: expected ${expected}, found ${String(found)}, after the last of\n${frames.join('\n')}`,
    );
  }
}

/**
 * Sends `frames` frames to the side, on as many connections as that takes, and compares what becomes of each
 * connection with the oracle. Rejects with `FuzzFailure`; resolves when the side has shown that it still works.
 */
export async function fuzz(side: Side, options: { frames: number; seed: number }): Promise<FuzzReport> {
  const { frames, seed } = options;
  const before = process.memoryUsage.rss();
  const report: FuzzReport = { frames: 0, closes: {}, grownBytes: 0 };
  const stage = new Stage(side);
  const arbitrary = fuzzFrame(side.direction);
  let batch: WireFrame[] = [];

  const settle = async (expected: Fate): Promise<void> => {
    let found: unknown;
    try {
      found = await stage.settle(expected);
    } catch (thrown) {
      found = thrown;
    }
    if (found !== expected) throw new FuzzFailure(side, seed, batch, expected, found);
    if (expected !== 'open') report.closes[expected] = (report.closes[expected] ?? 0) + 1;
    batch = [];
  };

  for (let chunk = 0; report.frames < frames; chunk += 1) {
    const numRuns = Math.min(CHUNK, frames - report.frames);
    for (const frame of fc.sample(arbitrary, { seed: seed + chunk, numRuns })) {
      report.frames += 1;
      batch.push(frame);
      const expected = await stage.send(frame);
      if (expected !== 'open' || batch.length === MAX_BATCH) await settle(expected);
    }
    if (batch.length > 0) await settle('open');
  }
  await stage.clear();
  await side.assertAlive();
  report.grownBytes = Math.max(0, process.memoryUsage.rss() - before);
  if (report.grownBytes > MAX_GROWTH_BYTES) {
    throw new Error(`${side.direction}, seed ${seed}: the process grew by ${report.grownBytes} bytes`);
  }
  return report;
}

/** One connection after the other, each with its oracle. */
class Stage {
  readonly #side: Side;
  #now: { line: Line; oracle: Oracle } | undefined;
  #connections = 0;

  constructor(side: Side) {
    this.#side = side;
  }

  /** Returns what must become of the connection. */
  async send(frame: WireFrame): Promise<Fate> {
    const { line, oracle } = (this.#now ??= await this.#next());
    const expected = oracle.judge(frame);
    line.send(frame);
    if (oracle.opened) line.markOpened();
    return expected;
  }

  /** What has become of it. A connection whose end is expected is waited for until it has ended. */
  async settle(expected: Fate): Promise<Fate> {
    if (this.#now === undefined) throw new Error('there is no connection');
    const { line, oracle } = this.#now;
    if (expected === 'open') {
      oracle.open();
      return await line.fate();
    }
    this.#now = undefined;
    // A delegate that is asked to move closes the old connection when the new one is open.
    if (expected === CloseCode.Goodbye) this.#now = await this.#next('opened');
    return await line.closed();
  }

  async clear(): Promise<void> {
    await this.#now?.line.end();
    this.#now = undefined;
  }

  async #next(as?: 'opened'): Promise<{ line: Line; oracle: Oracle }> {
    const line = await this.#side.connect();
    const oracle = new Oracle(this.#side.direction, this.#side.delegateId);
    this.#connections += 1;
    if (as === 'opened' || this.#connections % ONE_UNOPENED_OF !== 0) {
      line.open();
      oracle.open();
    }
    return { line, oracle };
  }
}
