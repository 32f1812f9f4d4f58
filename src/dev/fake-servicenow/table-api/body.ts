import { z } from 'zod';
import { bodyTooLarge, unreadableBody, unsupportedMediaType } from '../http/failures.ts';
import type { Reply } from '../http/reply.ts';
import type { ReceivedRequest } from '../http/request.ts';

/** `glide.rest.max_content_length` as it is shipped. */
const MAX_CONTENT_BYTES = 10_485_760;

/** The fields that a request sends, or the answer that refuses it. */
export type RecordBody =
  | { readonly values: Readonly<Record<string, string>>; readonly refusal?: never }
  | { readonly values?: never; readonly refusal: Reply };

const recordSchema = z.record(z.string(), z.unknown());

/** Reads the body of an insert or an update, in the order media type, size, syntax. */
export function readRecordBody({ headers, body }: ReceivedRequest): RecordBody {
  const mediaType = headers['content-type'] ?? 'application/json';
  if (!/^application\/([a-z.-]+\+)?json\b/i.test(mediaType)) return { refusal: unsupportedMediaType() };
  const bytes = Buffer.byteLength(body);
  if (bytes > MAX_CONTENT_BYTES) return { refusal: bodyTooLarge(bytes, MAX_CONTENT_BYTES) };
  try {
    const parsed = parseLeniently(body === '' ? '{}' : body);
    // One record at a time: of several the first is taken and the rest ignored.
    const record = recordSchema.safeParse(Array.isArray(parsed) ? parsed[0] : parsed);
    return record.success
      ? { values: scalars(record.data) }
      : { refusal: unreadableBody('a JSON object is expected') };
  } catch (error) {
    if (error instanceof SyntaxError) return { refusal: unreadableBody(error.message) };
    throw error;
  }
}

/** The samples of the API's own reference quote with apostrophes, which is no JSON, but is understood. */
function parseLeniently(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const requoted = text.replaceAll(STRINGS, (string, single: string | undefined) =>
      single === undefined
        ? string
        : `"${single.replaceAll(String.raw`\'`, "'").replaceAll('"', String.raw`\"`)}"`,
    );
    if (requoted === text) throw error;
    return JSON.parse(requoted);
  }
}

/** A string in quotation marks, or one in apostrophes. */
const STRINGS = /"(?:[^"\\]|\\.)*"|'((?:[^'\\]|\\.)*)'/g;

/** Everything is stored as a string; a value with parts has no place in a field and is dropped. */
function scalars(record: Readonly<Record<string, unknown>>): Record<string, string> {
  const entries: [string, string][] = [];
  for (const [name, value] of Object.entries(record)) {
    if (value === null) entries.push([name, '']);
    else if (typeof value === 'string') entries.push([name, value]);
    else if (typeof value === 'number' || typeof value === 'boolean') entries.push([name, String(value)]);
  }
  return Object.fromEntries(entries);
}
