import * as fc from 'fast-check';
import type { WireFrame } from '../../../src/protocol/codec.ts';
import { MAX_FRAME_BYTES } from '../../../src/protocol/limits.ts';
import { toDelegateMessage, toManagerMessage } from '../arbitraries.ts';
import { vectors, type Direction } from '../vectors.ts';
import { isHurriedWelcome } from './oracle.ts';

/** Frames for the fuzzer: most of them nearly right, because what is plainly wrong is refused at the first step. */

const text = (value: string): WireFrame => ({ bytes: Buffer.from(value), binary: false });
const jsonText = (value: unknown): WireFrame => text(JSON.stringify(value));

type Path = readonly (string | number)[];

/** Every place in a JSON value, the value itself included. */
function placesOf(value: unknown, at: Path = []): Path[] {
  if (typeof value !== 'object' || value === null) return [at];
  return [at, ...Object.entries(value).flatMap(([key, item]) => placesOf(item, [...at, key]))];
}

/** A copy with another value at one place; without the member when there is no value. */
function replaced(value: unknown, [key, ...rest]: Path, by: unknown): unknown {
  if (key === undefined) return by;
  if (typeof value !== 'object' || value === null) return value;
  const changed = Object.entries(value)
    .map(([name, item]): [string, unknown] => [name, name === key ? replaced(item, rest, by) : item])
    .filter(([, item]) => item !== undefined);
  return Array.isArray(value) ? changed.map(([, item]) => item) : Object.fromEntries(changed);
}

const anything = fc.oneof(
  fc.jsonValue({ maxDepth: 3 }),
  fc.constantFrom(
    -1,
    0,
    1,
    2 ** 31,
    2 ** 53,
    1e308,
    -0.5,
    '',
    ' ',
    '\u0000',
    '\ud800',
    '2026-11-23T13:10:35Z',
  ),
  fc.integer(),
  fc.constant(undefined),
);

/** A member changed, added or taken away. */
function mutatedJson(source: fc.Arbitrary<unknown>): fc.Arbitrary<WireFrame> {
  return fc
    .record({
      message: source,
      where: fc.nat(),
      by: anything,
      extra: fc.option(fc.string(), { nil: undefined }),
    })
    .map(({ message, where, by, extra }) => {
      const places = placesOf(message);
      const mutated = replaced(message, places[where % places.length] ?? [], by);
      const widened =
        typeof mutated === 'object' && extra !== undefined ? { ...mutated, [extra]: by } : mutated;
      return text(JSON.stringify(widened) ?? '');
    });
}

/** Bytes changed, put in, taken out or cut off. */
function mutatedBytes(source: fc.Arbitrary<WireFrame>): fc.Arbitrary<WireFrame> {
  return fc
    .record({
      frame: source,
      at: fc.nat(),
      by: fc.uint8Array({ maxLength: 4 }),
      drop: fc.nat({ max: 4 }),
      cut: fc.boolean(),
    })
    .map(({ frame, at, by, drop, cut }) => {
      const from = at % (frame.bytes.byteLength + 1);
      const tail = cut ? [] : [frame.bytes.subarray(from + drop)];
      return { bytes: Buffer.concat([frame.bytes.subarray(0, from), by, ...tail]), binary: frame.binary };
    });
}

const deep = fc
  .record({
    depth: fc.integer({ min: 50, max: 100_000 }),
    open: fc.constantFrom('[', '{"a":'),
    tail: fc.string(),
  })
  .map(({ depth, open, tail }) => text(open.repeat(depth) + tail));

const huge = fc
  .record({
    around: fc.integer({ min: -64, max: 64 }),
    type: fc.constantFrom('resume', 'pause', 'later', 'goodbye'),
  })
  .map(({ around, type }) => {
    const head = `{"type":"${type}","zz":"`;
    return text(`${head}${'x'.repeat(MAX_FRAME_BYTES + around - head.length - 2)}"}`);
  });

/** Vectors of this size and above are left to the tests that send each once. */
const MAX_SEED_BYTES = 16_384;

export function fuzzFrame(direction: Direction): fc.Arbitrary<WireFrame> {
  const known = vectors
    .filter((vector) => vector.direction === direction && vector.bytes.byteLength < MAX_SEED_BYTES)
    .map(({ bytes, binary }) => ({ bytes, binary }));
  const messages: unknown[] = vectors
    .filter(({ verdict, bytes }) => verdict === 'valid' && bytes.byteLength < MAX_SEED_BYTES)
    .map(({ bytes }) => JSON.parse(Buffer.from(bytes).toString('utf8')));
  const vector = fc.constantFrom(...known);
  const message: fc.Arbitrary<unknown> = direction === 'to-delegate' ? toDelegateMessage : toManagerMessage;
  const valid = message.map(jsonText);
  const frames = fc.oneof(
    { weight: 400, arbitrary: valid },
    { weight: 100, arbitrary: vector },
    { weight: 200, arbitrary: mutatedJson(fc.oneof(message, fc.constantFrom(...messages))) },
    { weight: 100, arbitrary: mutatedBytes(fc.oneof(vector, valid)) },
    { weight: 80, arbitrary: fc.string({ minLength: 1 }).map((type) => jsonText({ type })) },
    { weight: 40, arbitrary: fc.json().map(text) },
    { weight: 40, arbitrary: fc.uint8Array({ maxLength: 200 }).map((bytes) => ({ bytes, binary: false })) },
    { weight: 20, arbitrary: valid.map((frame) => ({ ...frame, binary: true })) },
    { weight: 10, arbitrary: deep },
    { weight: 2, arbitrary: huge },
  );
  return frames.filter((frame) => !isHurriedWelcome(frame));
}
