import { gzipSync } from 'node:zlib';
import type { Reply } from '../http/reply.ts';

/** How an answer goes onto the socket, step by step. */
export interface Delivery {
  readonly status: number;
  readonly headers: Reply['headers'];
  /** Silence before the status line, milliseconds. */
  readonly waitMs: number;
  /** The body in pieces, each after a silence of its own. */
  readonly chunks: readonly { readonly waitMs: number; readonly bytes: Buffer }[];
  /** Where the connection is reset instead of going on. */
  readonly reset: 'never' | 'before-headers' | 'after-chunks';
}

export function plainDelivery(reply: Reply): Delivery {
  const bytes = Buffer.from(reply.body, 'utf8');
  return {
    status: reply.status,
    headers: reply.headers,
    waitMs: 0,
    chunks: bytes.length === 0 ? [] : [{ waitMs: 0, bytes }],
    reset: 'never',
  };
}

export function gzipDelivery(reply: Reply): Delivery {
  const plain = plainDelivery(reply);
  return {
    ...plain,
    headers: [...plain.headers, ['Content-Encoding', 'gzip']],
    chunks: [{ waitMs: 0, bytes: gzipSync(reply.body) }],
  };
}

export function bytesOf(delivery: Delivery): Buffer {
  return Buffer.concat(delivery.chunks.map(({ bytes }) => bytes));
}

/** The same delivery with its body sent in these pieces. */
export function inPieces(delivery: Delivery, pieces: readonly Buffer[], waitMs: number): Delivery {
  return {
    ...delivery,
    chunks: pieces.map((bytes, index) => ({ waitMs: index === 0 ? 0 : waitMs, bytes })),
  };
}

/** Cuts bytes in `count` pieces of about equal length. */
export function slices(bytes: Buffer, count: number): Buffer[] {
  const size = Math.max(1, Math.ceil(bytes.length / count));
  return Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) =>
    bytes.subarray(index * size, (index + 1) * size),
  );
}

/** Cuts bytes after the first byte of the first character that has several; in the middle if there is none. */
export function splitInsideCharacter(bytes: Buffer): Buffer[] {
  const lead = bytes.findIndex((byte) => byte >= 0xc0);
  const cut = lead === -1 ? Math.floor(bytes.length / 2) : lead + 1;
  return [bytes.subarray(0, cut), bytes.subarray(cut)];
}
