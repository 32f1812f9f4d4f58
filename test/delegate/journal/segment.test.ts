import { randomBytes } from 'node:crypto';
import { expect } from 'chai';
import {
  MAX_RECORD_BYTES,
  PREAMBLE_BYTES,
  readSegment,
  SegmentWriter,
} from '../../../src/delegate/journal/segment.ts';

const KEY = randomBytes(32);
const TEXTS = ['{"n":0}', '{"n":1,"text":"é and more"}', '', '{"n":3}', 'x'.repeat(300)];

function segment(texts: readonly string[] = TEXTS, key = KEY): { bytes: Buffer; ends: number[] } {
  const writer = new SegmentWriter(key);
  const records = texts.map((text) => writer.encode(text));
  let end = PREAMBLE_BYTES;
  const ends = records.map((record) => (end += record.length));
  return { bytes: Buffer.concat([writer.preamble, ...records]), ends };
}

describe('a segment of the journal', () => {
  it('gives back what was written, in order', () => {
    expect(readSegment(segment().bytes, KEY)).to.deep.equal({ texts: TEXTS, condition: 'sound' });
    expect(readSegment(segment([]).bytes, KEY)).to.deep.equal({ texts: [], condition: 'sound' });
  });

  it('shows nothing of it to who has no key', () => {
    const { bytes } = segment(['a ticket number that is nobody’s business']);
    expect(bytes.toString('latin1')).to.not.contain('ticket');
    expect(readSegment(bytes, randomBytes(32))).to.deep.equal({ texts: [], condition: 'other-key' });
  });

  it('never holds the same bytes for the same text', () => {
    const [a, b] = [segment(['same', 'same']), segment(['same', 'same'])];
    const bodies = [a, b].flatMap(({ bytes, ends: [first = 0] }) => [
      bytes.subarray(first - 20, first).toString('hex'),
      bytes.subarray(-20).toString('hex'),
    ]);
    expect(new Set(bodies).size).to.equal(4);
  });

  it('loses at most one record to any flipped byte, wherever that is', () => {
    const { bytes } = segment();
    for (let at = 0; at < bytes.length; at += 1) {
      for (const mask of [0x01, 0xff]) {
        const flipped = Buffer.from(bytes);
        flipped.writeUInt8(flipped.readUInt8(at) ^ mask, at);
        const { texts, condition } = readSegment(flipped, KEY);
        const lost = TEXTS.filter((text) => !texts.includes(text));
        expect(lost.length, `byte ${at}`).to.be.at.most(1);
        expect(texts, `byte ${at}`).to.deep.equal(TEXTS.filter((text) => !lost.includes(text)));
        expect(condition, `byte ${at}`).to.equal('damaged');
      }
    }
  });

  it('is torn, and keeps every whole record, wherever it was cut', () => {
    const { bytes, ends } = segment();
    for (let length = 0; length < bytes.length; length += 1) {
      const { texts, condition } = readSegment(bytes.subarray(0, length), KEY);
      const whole = ends.filter((end) => end <= length).length;
      expect(texts).to.deep.equal(TEXTS.slice(0, whole));
      const isWhole = length === PREAMBLE_BYTES || ends.includes(length);
      expect(condition, `${length} bytes`).to.equal(isWhole ? 'sound' : 'torn');
    }
  });

  it('is torn where a file system has left zeros', () => {
    const { bytes } = segment();
    expect(readSegment(Buffer.concat([bytes, Buffer.alloc(4_096)]), KEY)).to.deep.equal({
      texts: TEXTS,
      condition: 'torn',
    });
  });

  it('is torn when nothing of it but its length has reached the disk', () => {
    expect(readSegment(Buffer.alloc(4_096), KEY)).to.deep.equal({ texts: [], condition: 'torn' });
  });

  it('takes no record that was copied, moved, or brought from another segment', () => {
    const { bytes, ends } = segment();
    const [first = 0, second = 0] = ends;
    const copied = Buffer.concat([bytes, bytes.subarray(PREAMBLE_BYTES, first)]);
    expect(readSegment(copied, KEY)).to.deep.equal({ texts: TEXTS, condition: 'damaged' });
    const swapped = Buffer.concat([
      bytes.subarray(0, PREAMBLE_BYTES),
      bytes.subarray(first, second),
      bytes.subarray(PREAMBLE_BYTES, first),
      bytes.subarray(second),
    ]);
    expect(readSegment(swapped, KEY).texts).to.deep.equal(TEXTS.slice(1));
    const other = segment(['made elsewhere']).bytes.subarray(PREAMBLE_BYTES);
    expect(readSegment(Buffer.concat([bytes, other]), KEY).texts).to.deep.equal(TEXTS);
  });

  it('takes an absurd length for damage, not for an order to allocate it', () => {
    const { bytes } = segment();
    bytes.writeUInt32BE(MAX_RECORD_BYTES + 1, PREAMBLE_BYTES + 8);
    expect(readSegment(bytes, KEY)).to.deep.equal({ texts: TEXTS.slice(1), condition: 'damaged' });
  });

  it('is damaged, not torn, when it is no segment at all', () => {
    expect(readSegment(Buffer.alloc(500, 'rubbish'), KEY)).to.deep.equal({ texts: [], condition: 'damaged' });
  });
});
