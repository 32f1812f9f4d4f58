import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { BoundedEvent } from './bounded.ts';
import { auditEventSchema, type AuditEvent } from './events.ts';

/**
 * The form of one line, and what ties it to the line before:
 *
 *   {"seq":7,"time":"…","event":"task", … ,"prev":"<hash of record 6>","hash":"<SHA-256>"}
 *
 * The hash is of the bytes of this very line without its last member, `,"hash":"…"`, so `sed` and `sha256sum` can
 * check it, and so that no two texts pass for one record: hashing a canonical form (RFC 8785) would leave white space,
 * escapes and doubled keys to whoever changes the file.
 *
 * There is no key. Whoever could change the files is the delegate's user or root, and could read a key that stands
 * beside them; what such a hand can't change is a copy of the newest hash elsewhere.
 */

/** A record by its place and its hash; the newest one stands for all before it. */
export interface Head {
  readonly seq: number;
  readonly hash: string;
}

/** What stands before the first record of all. */
export const GENESIS: Head = { seq: 0, hash: '0'.repeat(64) };

const HASH_MEMBER = /,"hash":"([0-9a-f]{64})"\}$/;
/** Characters of `,"hash":"…"}`; all of them are one byte. */
const HASH_MEMBER_CHARS = 75;

/** The next line of the chain, with its line break, and the head that it makes. */
export function seal(event: BoundedEvent, time: string, before: Head): { line: string; head: Head } {
  const seq = before.seq + 1;
  const text = lineOf({ seq, time, ...event, prev: before.hash });
  const hash = sha256(text);
  return { line: `${text.slice(0, -1)},"hash":"${hash}"}\n`, head: { seq, hash } };
}

/** One line of JSON that no pager, terminal or reading direction can be turned by. */
function lineOf(record: object): string {
  return JSON.stringify(record).replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (character) =>
    character
      .split('')
      .map((unit) => String.raw`\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
      .join(''),
  );
}

const envelopeSchema = z.looseObject({
  seq: z.number().int().min(1),
  time: z.string(),
  event: z.string(),
  prev: z.string(),
  hash: z.string(),
});

/** A record as it stands in a file; its other fields are those of its event, as far as this version knows it. */
export type AuditRecord = z.infer<typeof envelopeSchema>;

/** What the record tells; undefined of an event, or a form of one, that this version does not know. */
export function eventOf(record: AuditRecord): AuditEvent | undefined {
  const told = Object.entries(record).filter(([key]) => !OF_THE_CHAIN.has(key));
  return auditEventSchema.safeParse(Object.fromEntries(told)).data;
}

const OF_THE_CHAIN: ReadonlySet<string> = new Set(['seq', 'time', 'prev', 'hash']);

export interface ReadLine {
  readonly record: AuditRecord;
  /** Whether its text is what its hash was made of. */
  readonly isIntact: boolean;
}

/**
 * Undefined for what is no record at all.
 *
 * @param bytes of one line, without its line break. Not text: bytes that are no UTF-8 would pass for one another
 */
export function readLine(bytes: Buffer): ReadLine | undefined {
  const text = bytes.toString('utf8');
  const hash = HASH_MEMBER.exec(text)?.[1];
  if (hash === undefined) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  const parsed = envelopeSchema.safeParse(value);
  if (!parsed.success) return undefined;
  const hashed = Buffer.concat([bytes.subarray(0, -HASH_MEMBER_CHARS), Buffer.from('}')]);
  return { record: parsed.data, isIntact: sha256(hashed) === hash };
}

/** Lines of a file without their breaks, and the number of bytes behind the last break. */
export function linesOf(bytes: Buffer): { lines: Buffer[]; tornBytes: number } {
  const lines: Buffer[] = [];
  let from = 0;
  for (let end = bytes.indexOf(0x0a); end !== -1; end = bytes.indexOf(0x0a, from)) {
    lines.push(bytes.subarray(from, end));
    from = end + 1;
  }
  return { lines, tornBytes: bytes.length - from };
}

/** What is wrong with a record in its place; undefined if nothing is. */
export function faultOf(
  { record, isIntact }: ReadLine,
  before: Head | undefined,
): { kind: ChainFaultKind; why: string } | undefined {
  if (!isIntact)
    return { kind: 'changed', why: `record ${record.seq} was changed: its hash is of another text` };
  if (before === undefined || record.prev === before.hash) {
    if (before === undefined || record.seq === before.seq + 1) return undefined;
    return {
      kind: 'replaced',
      why: `record ${record.seq} has a number that is not the next after ${before.seq}`,
    };
  }
  if (record.seq > before.seq + 1) {
    return { kind: 'missing', why: `records ${before.seq + 1} to ${record.seq - 1} are missing` };
  }
  if (record.seq <= before.seq) {
    return { kind: 'out-of-order', why: `record ${record.seq} comes after record ${before.seq}` };
  }
  return {
    kind: 'replaced',
    why: `record ${record.seq} does not follow the record before it: that one, or this one, was put in its place`,
  };
}

export type ChainFaultKind = 'changed' | 'missing' | 'out-of-order' | 'replaced';

function sha256(text: string | Uint8Array): string {
  return createHash('sha256').update(text).digest('hex');
}
