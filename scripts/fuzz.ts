import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { startDelegateSide } from '../test/protocol/conformance/delegate-side.ts';
import { fuzz } from '../test/protocol/conformance/fuzz.ts';
import type { Side } from '../test/protocol/conformance/line.ts';
import { startManagerSide } from '../test/protocol/conformance/manager-side.ts';
import { say, wholeNumber } from './arguments.ts';

/**
 * Sends fuzzed frames to a real delegate and to a real manager, and compares what becomes of each connection
 * with what PROTOCOL.md says.
 *
 *     npm run test:fuzz -- --frames 100000 --seed 7
 *
 * Exit code 1, with the seed and the frames in base64, if a side does something else.
 */

const { values } = parseArgs({
  options: {
    frames: { type: 'string', default: '100000' },
    seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
  },
});
const frames = wholeNumber('frames', values.frames);
const seed = wholeNumber('seed', values.seed);

const stateDir = await mkdtemp(join(tmpdir(), 'delegate-fuzz-'));
try {
  await run('delegate', () => startDelegateSide(stateDir));
  await run('manager', () => startManagerSide());
} catch (thrown) {
  process.stderr.write(`${thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown)}\n`);
  process.exitCode = 1;
} finally {
  await rm(stateDir, { recursive: true, force: true });
}

async function run(name: string, start: () => Promise<Side>): Promise<void> {
  await using side = await start();
  const startedAt = performance.now();
  const { closes, grownBytes } = await fuzz(side, { frames, seed });
  const seconds = ((performance.now() - startedAt) / 1_000).toFixed(1);
  const ends = Object.entries(closes)
    .map(([code, count]) => `${code} × ${count}`)
    .join(', ');
  const grown = `${Math.round(grownBytes / 1_048_576)} MiB grown`;
  say(`${name}: ${frames} frames, seed ${seed}, ${seconds} s, ${grown}; closes: ${ends}`);
}
