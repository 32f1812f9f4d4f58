import { readFileSync, readdirSync } from 'node:fs';
import { z } from 'zod';

/** Reads `vectors/*.json` (form: `vectors/README.md`) into frames that can be put on a socket as they are. */

export type Direction = 'to-delegate' | 'to-manager';

/** What the reader does: take it, ignore it (unknown `type`), close with 4400, close with 1009. */
export type Verdict = 'valid' | 'ignored' | 'malformed' | 'too-large';

/**
 * When the frame may come. `anytime` for all that is not `valid`, because its verdict does not depend on the
 * session; a valid frame elsewhere than where it is legal closes the connection with 4400.
 */
type Legal = 'opening' | 'session' | 'anytime';

export interface Vector {
  /** File and name: unique among all vectors. */
  readonly name: string;
  readonly direction: Direction;
  readonly bytes: Uint8Array;
  readonly binary: boolean;
  readonly verdict: Verdict;
  readonly why: string;
  readonly legal: Legal;
  /** What else of the session decides whether a valid frame is in order, in words. */
  readonly dependsOn: string | undefined;
}

const directionSchema = z.enum(['to-delegate', 'to-manager']);
const frameSchema = z.record(z.string(), z.json());

const vectorSchema = z
  .strictObject({
    name: z.string().min(1),
    direction: directionSchema.optional(),
    frame: z.json().optional(),
    text: z.json().optional(),
    base64: z.base64().optional(),
    of: z.string().optional(),
    set: z.record(z.string().startsWith('/'), z.json()).optional(),
    remove: z.array(z.string().startsWith('/')).optional(),
    binary: z.literal(true).optional(),
    verdict: z.enum(['valid', 'ignored', 'malformed', 'too-large']),
    why: z.string().min(1),
  })
  .refine(
    ({ frame, text, base64, of }) =>
      [frame, text, base64, of].filter((one) => one !== undefined).length === 1,
    'exactly one of frame, text, base64, of',
  );

const fileSchema = z.strictObject({
  about: z.string(),
  direction: directionSchema.optional(),
  legal: z.enum(['opening', 'session']),
  dependsOn: z.string().optional(),
  base: z.record(z.string(), frameSchema).optional(),
  vectors: z.array(vectorSchema).min(1),
});

const repeatSchema = z.strictObject({
  repeat: z.union([z.string(), z.tuple([z.json()])]),
  times: z.number().int().min(0),
});
const concatSchema = z.strictObject({ concat: z.array(z.string()) });

type Json = z.infer<ReturnType<typeof z.json>>;
type VectorFile = z.infer<typeof fileSchema>;
type VectorEntry = z.infer<typeof vectorSchema>;

const FOLDER = new URL('vectors/', import.meta.url);

export const vectors: readonly Vector[] = readdirSync(FOLDER)
  .filter((file) => file.endsWith('.json'))
  .flatMap((file) => readVectors(file));

function readVectors(fileName: string): Vector[] {
  const file = fileSchema.parse(JSON.parse(readFileSync(new URL(fileName, FOLDER), 'utf8')));
  return file.vectors.map((entry) => {
    const name = `${fileName}: ${entry.name}`;
    const direction = entry.direction ?? file.direction;
    if (direction === undefined) throw new Error(`${name}: no direction`);
    return {
      name,
      direction,
      bytes: bytesOf(name, file, entry),
      binary: entry.binary ?? false,
      verdict: entry.verdict,
      why: entry.why,
      legal: entry.verdict === 'valid' ? file.legal : 'anytime',
      dependsOn: file.dependsOn,
    };
  });
}

function bytesOf(name: string, file: VectorFile, entry: VectorEntry): Uint8Array {
  if (entry.base64 !== undefined) return Buffer.from(entry.base64, 'base64');
  if (entry.text !== undefined) return Buffer.from(z.string().parse(expand(entry.text)));
  if (entry.frame !== undefined) return Buffer.from(JSON.stringify(expand(entry.frame)));
  const base = file.base?.[entry.of ?? ''];
  if (base === undefined) throw new Error(`${name}: no base frame "${entry.of}"`);
  const frame = structuredClone(base);
  for (const pointer of entry.remove ?? []) change(frame, pointer, undefined);
  for (const [pointer, value] of Object.entries(entry.set ?? {})) change(frame, pointer, expand(value));
  return Buffer.from(JSON.stringify(frame));
}

/** Sets the member at a JSON Pointer, or takes it out when there is no value. */
function change(frame: Json, pointer: string, value: Json | undefined): void {
  const path = pointer
    .slice(1)
    .split('/')
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
  const last = path.pop() ?? '';
  const parent = path.reduce<unknown>((at, part) => memberOf(at, part, pointer), frame);
  if (typeof parent !== 'object' || parent === null) throw new Error(`${pointer}: no parent`);
  if (value !== undefined) {
    // Not an assignment: `__proto__` has to become a member like any other.
    Object.defineProperty(parent, last, { value, enumerable: true, configurable: true, writable: true });
  } else if (!Reflect.has(parent, last) || !Reflect.deleteProperty(parent, last)) {
    throw new Error(`${pointer}: nothing to remove`);
  }
}

function memberOf(at: unknown, part: string, pointer: string): unknown {
  if (typeof at !== 'object' || at === null || !Object.hasOwn(at, part))
    throw new Error(`${pointer}: no parent`);
  return Reflect.get(at, part);
}

/** Replaces the `repeat` and `concat` directives, from the inside out. */
function expand(value: Json): Json {
  if (Array.isArray(value)) return value.map(expand);
  if (typeof value !== 'object' || value === null) return value;
  const inner = Object.fromEntries(Object.entries(value).map(([key, item]) => [key, expand(item)]));
  const repeat = repeatSchema.safeParse(inner);
  if (repeat.success) {
    const { repeat: what, times } = repeat.data;
    return typeof what === 'string' ? what.repeat(times) : Array.from({ length: times }, () => what[0]);
  }
  const concat = concatSchema.safeParse(inner);
  return concat.success ? concat.data.concat.join('') : inner;
}
