import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  hkdfSync,
  randomBytes,
  timingSafeEqual,
} from 'node:crypto';
import { crc32 } from 'node:zlib';

/**
 * One file of the journal, written once from its beginning to its end:
 *
 *   header, header                     twice, so that no single damaged byte costs the whole file
 *   record, record, …
 *
 *   header   magic 8 · segment id 16 · key check 8 · CRC-32 of these 4
 *   record   mark 4 · sequence number 4 · length of the body 4 · CRC-32 of these 4 · CRC-32 of the body 4 · body
 *   body     ciphertext · tag 16       AES-256-GCM (NIST SP 800-38D)
 *
 * Each segment has a key of its own, derived from the state key and the segment id (HKDF, RFC 5869), and no segment
 * is ever continued by a later process: so the sequence number is a nonce that is not used twice. The CRCs tell a
 * damaged record from one that was never finished, without the key; the tag tells one that somebody has made up.
 */

const MAGIC = Buffer.from('SNDJRNL1', 'latin1');
const SEGMENT_ID_BYTES = 16;
const KEY_CHECK_BYTES = 8;
const CRC_BYTES = 4;
const HEADER_BYTES = MAGIC.length + SEGMENT_ID_BYTES + KEY_CHECK_BYTES + CRC_BYTES;
/** Both copies of the header. */
export const PREAMBLE_BYTES = 2 * HEADER_BYTES;

const MARK = Buffer.from([0xf5, 0x4a, 0x52, 0xfa]);
const RECORD_HEAD_BYTES = 20;
const TAG_BYTES = 16;
const NONCE_BYTES = 12;
/** A result fills a frame of 1 MiB at most; a length above this is damage. */
export const MAX_RECORD_BYTES = 4 * 1_048_576;

/** Turns texts into the bytes of one segment, in order. */
export class SegmentWriter {
  readonly preamble: Buffer;
  readonly #key: Buffer;
  readonly #segmentId: Buffer;
  #seq = 0;

  /** @param stateKey 32 bytes */
  constructor(stateKey: Buffer) {
    this.#segmentId = randomBytes(SEGMENT_ID_BYTES);
    this.#key = segmentKey(stateKey, this.#segmentId);
    const head = Buffer.concat([MAGIC, this.#segmentId, keyCheck(this.#key)]);
    const header = Buffer.concat([head, crcOf(head)]);
    this.preamble = Buffer.concat([header, header]);
  }

  encode(text: string): Buffer {
    const seq = this.#seq++;
    const cipher = createCipheriv('aes-256-gcm', this.#key, nonceOf(seq)).setAAD(this.#segmentId);
    const ciphertext = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
    const body = Buffer.concat([ciphertext, cipher.getAuthTag()]);
    if (body.length > MAX_RECORD_BYTES) throw new RangeError(`a record of ${body.length} bytes`);
    const numbers = Buffer.alloc(8);
    numbers.writeUInt32BE(seq, 0);
    numbers.writeUInt32BE(body.length, 4);
    return Buffer.concat([MARK, numbers, crcOf(MARK, numbers), crcOf(body), body]);
  }
}

/**
 * - `sound`: every byte is accounted for.
 * - `torn`: the end is missing, as after a power cut; what is missing was never promised to anybody.
 * - `damaged`: records in it can't be read; those that can be are given all the same.
 * - `other-key`: it was written with another key.
 */
export type SegmentCondition = 'sound' | 'torn' | 'damaged' | 'other-key';

export interface ReadSegment {
  readonly texts: readonly string[];
  readonly condition: SegmentCondition;
}

export function readSegment(bytes: Buffer, stateKey: Buffer): ReadSegment {
  // All zeros: the power went before its first bytes were on the disk, and its length already was.
  if (bytes.length < PREAMBLE_BYTES || isZero(bytes)) return { texts: [], condition: 'torn' };
  const headers = [0, HEADER_BYTES].map((offset) => readHeader(bytes, offset));
  const header = headers.find((one) => one !== undefined);
  if (header === undefined) return { texts: [], condition: 'damaged' };
  const key = segmentKey(stateKey, header.segmentId);
  if (!timingSafeEqual(keyCheck(key), header.keyCheck)) return { texts: [], condition: 'other-key' };

  const texts: string[] = [];
  let condition: SegmentCondition = headers.includes(undefined) ? 'damaged' : 'sound';
  let lastSeq = -1;
  for (let offset = PREAMBLE_BYTES; offset < bytes.length;) {
    const record = readRecord(bytes, offset);
    const text =
      record === undefined || record.seq <= lastSeq ? undefined : decrypt(record, key, header.segmentId);
    if (record === undefined || text === undefined) {
      if (isUnfinished(bytes, offset))
        return { texts, condition: condition === 'sound' ? 'torn' : condition };
      condition = 'damaged';
      const next = bytes.indexOf(MARK, offset + 1);
      if (next < 0) break;
      offset = next;
      continue;
    }
    texts.push(text);
    lastSeq = record.seq;
    offset = record.end;
  }
  return { texts, condition };
}

interface Header {
  readonly segmentId: Buffer;
  readonly keyCheck: Buffer;
}

function readHeader(bytes: Buffer, offset: number): Header | undefined {
  const header = bytes.subarray(offset, offset + HEADER_BYTES);
  if (header.length < HEADER_BYTES || !header.subarray(0, MAGIC.length).equals(MAGIC)) return undefined;
  const head = header.subarray(0, -CRC_BYTES);
  if (!crcOf(head).equals(header.subarray(-CRC_BYTES))) return undefined;
  return {
    segmentId: head.subarray(MAGIC.length, MAGIC.length + SEGMENT_ID_BYTES),
    keyCheck: head.subarray(-KEY_CHECK_BYTES),
  };
}

interface RecordHead {
  readonly seq: number;
  readonly length: number;
  readonly bodyCrc: Buffer;
}

/** Undefined if no undamaged head is there. */
function readHead(bytes: Buffer, offset: number): RecordHead | undefined {
  const head = bytes.subarray(offset, offset + RECORD_HEAD_BYTES);
  if (head.length < RECORD_HEAD_BYTES || !head.subarray(0, MARK.length).equals(MARK)) return undefined;
  if (!crcOf(head.subarray(0, 12)).equals(head.subarray(12, 16))) return undefined;
  const length = head.readUInt32BE(8);
  if (length < TAG_BYTES || length > MAX_RECORD_BYTES) return undefined;
  return { seq: head.readUInt32BE(4), length, bodyCrc: head.subarray(16) };
}

interface RawRecord {
  readonly seq: number;
  readonly body: Buffer;
  /** Where the next one begins. */
  readonly end: number;
}

/** Undefined if no whole and undamaged record begins there. */
function readRecord(bytes: Buffer, offset: number): RawRecord | undefined {
  const head = readHead(bytes, offset);
  if (head === undefined) return undefined;
  const start = offset + RECORD_HEAD_BYTES;
  const end = start + head.length;
  const body = bytes.subarray(start, end);
  if (end > bytes.length || !crcOf(body).equals(head.bodyCrc)) return undefined;
  return { seq: head.seq, body, end };
}

function isZero(bytes: Buffer): boolean {
  return bytes.every((byte) => byte === 0);
}

/** Whether the file just stops here: in the middle of a record, or in the zeros that some file systems leave. */
function isUnfinished(bytes: Buffer, offset: number): boolean {
  const rest = bytes.subarray(offset);
  if (isZero(rest)) return true;
  if (rest.length < RECORD_HEAD_BYTES)
    return rest.subarray(0, MARK.length).equals(MARK.subarray(0, rest.length));
  const head = readHead(bytes, offset);
  return head !== undefined && RECORD_HEAD_BYTES + head.length > rest.length;
}

/** Undefined if it was not written with this key, at this place. */
function decrypt({ seq, body }: RawRecord, key: Buffer, segmentId: Buffer): string | undefined {
  const decipher = createDecipheriv('aes-256-gcm', key, nonceOf(seq), { authTagLength: TAG_BYTES })
    .setAAD(segmentId)
    .setAuthTag(body.subarray(-TAG_BYTES));
  try {
    return Buffer.concat([decipher.update(body.subarray(0, -TAG_BYTES)), decipher.final()]).toString('utf8');
  } catch {
    // The one thing that `final` refuses is a tag that does not fit.
    return undefined;
  }
}

function segmentKey(stateKey: Buffer, segmentId: Buffer): Buffer {
  return Buffer.from(hkdfSync('sha256', stateKey, segmentId, 'servicenow-delegate journal segment', 32));
}

function keyCheck(key: Buffer): Buffer {
  return createHmac('sha256', key).update('key check').digest().subarray(0, KEY_CHECK_BYTES);
}

function nonceOf(seq: number): Buffer {
  const nonce = Buffer.alloc(NONCE_BYTES);
  nonce.writeUInt32BE(seq, NONCE_BYTES - 4);
  return nonce;
}

function crcOf(...parts: readonly Buffer[]): Buffer {
  const crc = Buffer.alloc(CRC_BYTES);
  crc.writeUInt32BE(parts.reduce((value, part) => crc32(part, value), 0));
  return crc;
}
