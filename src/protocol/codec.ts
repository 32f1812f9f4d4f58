import { z } from 'zod';
import { CloseCode } from './close-codes.ts';
import { MAX_FRAME_BYTES, MAX_JSON_DEPTH } from './limits.ts';
import { toDelegateSchemas, toManagerSchemas, type ToDelegate, type ToManager } from './messages.ts';

/** A peer broke the contract. The connection ends with `closeCode`; `message` names the field, not its value. */
export class ProtocolViolation extends Error {
  override readonly name = 'ProtocolViolation';
  readonly closeCode: CloseCode;

  constructor(message: string, closeCode: CloseCode = CloseCode.MalformedFrame) {
    super(message);
    this.closeCode = closeCode;
  }
}

/** A frame that was read: a typed message, or one of a type that this version does not know. */
export type Decoded<M> = { known: true; message: M } | { known: false; type: string };

export interface WireFrame {
  bytes: Uint8Array;
  /** True for a binary WebSocket frame, which the protocol does not use. */
  binary: boolean;
}

export function decodeToDelegate(frame: WireFrame): Decoded<ToDelegate> {
  return decode<ToDelegate>(toDelegateSchemas, frame);
}

export function decodeToManager(frame: WireFrame): Decoded<ToManager> {
  return decode<ToManager>(toManagerSchemas, frame);
}

/** The text to send. Throws `ProtocolViolation` for a message that its reader would refuse. */
export function encodeToManager(message: ToManager, maxFrameBytes: number = MAX_FRAME_BYTES): string {
  return encode(toManagerSchemas[message.type], message, maxFrameBytes);
}

/** The text to send. Throws `ProtocolViolation` for a message that its reader would refuse. */
export function encodeToDelegate(message: ToDelegate, maxFrameBytes: number = MAX_FRAME_BYTES): string {
  return encode(toDelegateSchemas[message.type], message, maxFrameBytes);
}

const envelope = z.looseObject({ type: z.string().min(1) });

function decode<M>(schemas: Readonly<Record<string, z.ZodType<M>>>, frame: WireFrame): Decoded<M> {
  if (frame.binary) throw new ProtocolViolation('binary frame; the protocol is JSON text');
  if (frame.bytes.byteLength > MAX_FRAME_BYTES) {
    throw new ProtocolViolation(`frame of ${frame.bytes.byteLength} bytes`, CloseCode.FrameTooLarge);
  }
  const json = parseJson(frame.bytes);
  const head = envelope.safeParse(json);
  if (!head.success) throw new ProtocolViolation(`not a message: ${firstIssue(head.error)}`);
  const { type } = head.data;
  const schema = Object.hasOwn(schemas, type) ? schemas[type] : undefined;
  if (schema === undefined) return { known: false, type };
  const parsed = schema.safeParse(json);
  if (!parsed.success) throw new ProtocolViolation(`${type}: ${firstIssue(parsed.error)}`);
  return { known: true, message: parsed.data };
}

function encode(schema: z.ZodType, message: ToManager | ToDelegate, maxFrameBytes: number): string {
  const checked = schema.safeParse(message);
  if (!checked.success) throw new ProtocolViolation(`${message.type}: ${firstIssue(checked.error)}`);
  const text = stringify(message.type, checked.data);
  if (nestsDeeperThan(text, MAX_JSON_DEPTH)) {
    throw new ProtocolViolation(`${message.type}: nested deeper than ${MAX_JSON_DEPTH}`);
  }
  const bytes = Buffer.byteLength(text);
  if (bytes > maxFrameBytes) {
    throw new ProtocolViolation(
      `${message.type}: ${bytes} bytes, over ${maxFrameBytes}`,
      CloseCode.FrameTooLarge,
    );
  }
  return text;
}

/** Cycles, big integers and nesting past the stack are the writer's mistakes, like any other field it got wrong. */
function stringify(type: string, checked: unknown): string {
  try {
    return JSON.stringify(checked);
  } catch {
    throw new ProtocolViolation(`${type}: has no JSON form`);
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function parseJson(bytes: Uint8Array): unknown {
  let text: string;
  try {
    text = utf8.decode(bytes);
  } catch {
    throw new ProtocolViolation('not UTF-8');
  }
  if (nestsDeeperThan(text, MAX_JSON_DEPTH)) {
    throw new ProtocolViolation(`nested deeper than ${MAX_JSON_DEPTH}`);
  }
  try {
    return JSON.parse(text);
  } catch {
    throw new ProtocolViolation('not JSON');
  }
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPENING = new Set([0x7b, 0x5b]);
const CLOSING = new Set([0x7d, 0x5d]);

/** Counts brackets outside strings in one pass, before any recursive reader sees the text. */
function nestsDeeperThan(json: string, limit: number): boolean {
  let depth = 0;
  let inString = false;
  for (let index = 0; index < json.length; index += 1) {
    const char = json.charCodeAt(index);
    if (char === QUOTE) inString = !inString;
    else if (inString) {
      if (char === BACKSLASH) index += 1;
    } else if (OPENING.has(char)) {
      depth += 1;
      if (depth > limit) return true;
    } else if (CLOSING.has(char)) depth -= 1;
  }
  return false;
}

/** Path and complaint of the first issue; never the value, which may be anything. */
function firstIssue(error: z.ZodError): string {
  const issue = error.issues[0];
  if (issue === undefined) return 'invalid';
  const path = issue.path.map(String).join('.');
  return path === '' ? issue.message : `${path}: ${issue.message}`;
}
