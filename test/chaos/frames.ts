/** One WebSocket frame as it crossed the wire. */
export interface Frame {
  /** Header, mask and payload. */
  readonly raw: Buffer;
  readonly isText: boolean;
  /** The first characters of the payload, unmasked. */
  beginning(): string;
}

const TEXT_OPCODE = 0x1;
const MASK_BYTES = 4;
const BEGINNING_BYTES = 64;

/** Cuts a stream into frames (RFC 6455, section 5.2). Reads what `ws` writes: no fragments, no extensions. */
export class FrameSplitter {
  #bytes = Buffer.alloc(0);

  /** The frames that the chunk completes. */
  push(chunk: Buffer): Frame[] {
    this.#bytes = Buffer.concat([this.#bytes, chunk]);
    const frames: Frame[] = [];
    for (let frame = this.#next(); frame !== undefined; frame = this.#next()) frames.push(frame);
    return frames;
  }

  #next(): Frame | undefined {
    const bytes = this.#bytes;
    const first = bytes[0];
    const second = bytes[1];
    if (first === undefined || second === undefined) return undefined;
    const short = second & 0x7f;
    const lengthBytes = short === 126 ? 2 : short === 127 ? 8 : 0;
    const masked = (second & 0x80) !== 0;
    const payloadAt = 2 + lengthBytes + (masked ? MASK_BYTES : 0);
    if (bytes.length < payloadAt) return undefined;
    const length =
      lengthBytes === 0
        ? short
        : lengthBytes === 2
          ? bytes.readUInt16BE(2)
          : Number(bytes.readBigUInt64BE(2));
    const end = payloadAt + length;
    if (bytes.length < end) return undefined;
    this.#bytes = bytes.subarray(end);
    const payload = bytes.subarray(payloadAt, end);
    const mask = masked ? bytes.subarray(payloadAt - MASK_BYTES, payloadAt) : undefined;
    return {
      raw: bytes.subarray(0, end),
      isText: (first & 0x0f) === TEXT_OPCODE,
      beginning: () => unmasked(payload.subarray(0, BEGINNING_BYTES), mask).toString('utf8'),
    };
  }
}

function unmasked(payload: Buffer, mask: Buffer | undefined): Buffer {
  if (mask === undefined) return payload;
  return Buffer.from(payload.map((byte, index) => byte ^ (mask[index % MASK_BYTES] ?? 0)));
}
