import { randomBytes } from 'node:crypto';
import { expect } from 'chai';
import * as fc from 'fast-check';
import { seededRandom } from '../support/random.ts';
import { FrameSplitter, type Frame } from './frames.ts';
import { disturbed } from './mischief.ts';
import type { MischiefRates } from './plan.ts';

/** A frame as `ws` writes it: a client's are masked. */
function frameBytes(payload: Buffer, masked: boolean): Buffer {
  const length =
    payload.length < 126
      ? Buffer.from([payload.length])
      : payload.length < 65_536
        ? Buffer.from([126, payload.length >> 8, payload.length & 0xff])
        : Buffer.concat([Buffer.from([127, 0, 0, 0, 0]), uint32(payload.length)]);
  const second = length[0] ?? 0;
  const header = Buffer.from([0x81, masked ? second | 0x80 : second, ...length.subarray(1)]);
  if (!masked) return Buffer.concat([header, payload]);
  const mask = randomBytes(4);
  return Buffer.concat([header, mask, payload.map((byte, index) => byte ^ (mask[index % 4] ?? 0))]);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

describe('the frame splitter', () => {
  it('finds every frame, of any length, masked or not, wherever the stream is cut', () => {
    const frame = fc.record({
      length: fc.constantFrom(0, 1, 125, 126, 65_535, 65_536, 70_000),
      masked: fc.boolean(),
    });
    const anyCut = fc.integer({ min: 1, max: 100_000 });
    fc.assert(
      fc.property(fc.array(frame, { maxLength: 5 }), anyCut, (wanted, chunkBytes) => {
        const sent = wanted.map(({ length, masked }) => frameBytes(Buffer.alloc(length, 'x'), masked));
        const stream = Buffer.concat(sent);
        const splitter = new FrameSplitter();
        const found: Frame[] = [];
        for (let at = 0; at < stream.length; at += chunkBytes) {
          found.push(...splitter.push(stream.subarray(at, at + chunkBytes)));
        }
        expect(found.map(({ raw }) => raw.toString('base64'))).to.deep.equal(
          sent.map((raw) => raw.toString('base64')),
        );
        const beginnings = wanted.map(({ length }) => 'x'.repeat(Math.min(length, 64)));
        expect(found.map((each) => each.beginning())).to.deep.equal(beginnings);
      }),
      { numRuns: 50 },
    );
  });
});

describe('mischief with frames', () => {
  const only = new Set(['task.assign', 'accept.ack']);
  const none: MischiefRates = { twice: 0, swapped: 0, replayed: 0 };

  function frameOf(type: string, n: number): Frame {
    const text = JSON.stringify({ type, n });
    return { raw: Buffer.from(text), isText: true, beginning: () => text };
  }

  /** What comes out, as `type n`. */
  function pass(rates: MischiefRates | undefined, types: readonly string[], seed = 1): string[] {
    const through = disturbed({ now: { rates }, random: seededRandom(seed), only, assigns: [] });
    return types
      .flatMap((type, n) => through(frameOf(type, n)))
      .map((raw) => raw.toString().replace(/^.*:"([a-z.]+)","n":(\d+)}$/, '$1 $2'));
  }

  it('lets everything through as it is once it is healed', () => {
    const types = ['task.assign', 'accept.ack', 'heartbeat.ack', 'task.assign'];
    expect(pass(undefined, types)).to.deep.equal(types.map((type, n) => `${type} ${n}`));
  });

  it('lets a frame overtake the one before, and sends another twice', () => {
    expect(pass({ ...none, swapped: 1 }, ['task.assign', 'accept.ack'])).to.deep.equal([
      'accept.ack 1',
      'task.assign 0',
    ]);
    expect(pass({ ...none, twice: 1 }, ['accept.ack', 'heartbeat.ack'])).to.deep.equal([
      'accept.ack 0',
      'accept.ack 0',
      'heartbeat.ack 1',
    ]);
  });

  it('brings an assign of some time ago again', () => {
    expect(pass({ ...none, replayed: 1 }, ['task.assign', 'accept.ack'])).to.deep.equal([
      'task.assign 0',
      'accept.ack 1',
      'task.assign 0',
    ]);
  });

  it('loses nothing, invents nothing, and leaves alone what has no meaning as a copy', () => {
    const type = fc.constantFrom('task.assign', 'accept.ack', 'heartbeat.ack', 'welcome');
    const rates = { twice: 0.3, swapped: 0.3, replayed: 0.3 };
    fc.assert(
      fc.property(fc.array(type, { minLength: 1 }), fc.integer(), (types, seed) => {
        // The last one lets go of a frame that is held back.
        const sent = [...types, 'goodbye'].map((each, n) => `${each} ${n}`);
        const got = pass(rates, [...types, 'goodbye'], seed);
        expect([...new Set(got)].toSorted()).to.deep.equal(sent.toSorted());
        const untouched = (each: string): boolean => !only.has(each.split(' ')[0] ?? '');
        expect(got.filter(untouched)).to.deep.equal(sent.filter(untouched));
      }),
    );
  });
});
