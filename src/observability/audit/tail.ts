import { z } from 'zod';
import { systemCode } from '../../kit/errors.ts';
import { faultOf, GENESIS, linesOf, readLine, type Head } from './chain.ts';
import type { AuditEvent } from './events.ts';
import type { AuditFolder } from './folder.ts';
import { HEAD_NAME, listSegments } from './segments.ts';

/** What a start has to know of the run before. */
export interface Tail {
  /** Of the newest record that can be read. */
  readonly head: Head;
  /** The file to go on with, and how much of it is whole lines; undefined if a new one is to be begun. */
  readonly current: { readonly name: string; readonly number: number; readonly bytes: number } | undefined;
  /** Of the youngest file; numbers only grow. */
  readonly lastNumber: number;
  /** What is not as it was left. */
  readonly found: readonly AuditEvent[];
}

/**
 * Reads the newest file, and more only if that one holds no record. It does not verify the whole log, which would hold
 * up every start; what was changed in older files is found by `verifyAuditLog`.
 */
export async function readTail(folder: AuditFolder): Promise<Tail> {
  const segments = await listSegments(folder);
  const newest = segments.at(-1);
  const found: AuditEvent[] = [];
  let current: Tail['current'];
  let head: Head | undefined;
  for (const segment of segments.toReversed()) {
    const bytes = await folder.read(segment.name);
    const { lines, tornBytes } = linesOf(bytes);
    const { last, fault } = follow(lines);
    if (segment === newest && fault !== undefined) {
      found.push({ event: 'damaged', file: segment.name, ...fault });
    } else if (segment === newest) {
      current = { name: segment.name, number: segment.number, bytes: bytes.length - tornBytes };
      if (tornBytes > 0) found.push({ event: 'repaired', file: segment.name, cutBytes: tornBytes });
    }
    head = last;
    if (head !== undefined) break;
  }
  head ??= GENESIS;
  const before = await readHead(folder);
  if (before !== undefined && isMissing(before, head)) {
    found.push({ event: 'missing', lastSeq: before.seq, lastHash: before.hash });
  }
  return { head, current, lastNumber: newest?.number ?? 0, found };
}

/** The newest record that could be read, and the first thing that is wrong. */
function follow(lines: readonly Buffer[]): {
  last: Head | undefined;
  fault: { line: number; why: string } | undefined;
} {
  let last: Head | undefined;
  let fault: { line: number; why: string } | undefined;
  for (const [index, bytes] of lines.entries()) {
    const read = readLine(bytes);
    const why = read === undefined ? 'the line is no record' : faultOf(read, last)?.why;
    if (why !== undefined) fault ??= { line: index + 1, why };
    if (read !== undefined) last = { seq: read.record.seq, hash: read.record.hash };
  }
  return { last, fault };
}

/** Whether a log that ends here lacks the record that was once its newest. */
function isMissing(before: Head, head: Head): boolean {
  return before.seq > head.seq || (before.seq === head.seq && before.hash !== head.hash);
}

const headSchema = z.object({ seq: z.number().int().min(1), hash: z.string().regex(/^[0-9a-f]{64}$/) });

export function encodeHead({ seq, hash }: Head): Buffer {
  return Buffer.from(`${JSON.stringify({ seq, hash })}\n`);
}

/** Undefined if there is none, or if it was torn by a crash: it is a hint, and the chain stands without it. */
export async function readHead(folder: AuditFolder): Promise<Head | undefined> {
  try {
    const parsed = headSchema.safeParse(JSON.parse((await folder.read(HEAD_NAME)).toString('utf8')));
    return parsed.success ? parsed.data : undefined;
  } catch (thrown) {
    if (thrown instanceof SyntaxError || systemCode(thrown) === 'ENOENT') return undefined;
    throw thrown;
  }
}
