import { createHash } from 'node:crypto';
import { constants, closeSync, fstatSync, openSync, readSync } from 'node:fs';
import {
  isAlias,
  isMap,
  isNode,
  isPair,
  isScalar,
  LineCounter,
  parseDocument,
  visit,
  type Document,
  type ErrorCode,
} from 'yaml';
import type { z } from 'zod';
import { systemCode } from '../kit/errors.ts';
import { policySchema, type PolicyDocument } from './document.ts';

/** Many times what a large customer's policy takes. */
export const MAX_POLICY_BYTES = 262_144;
/** Of one report; a file that is something else altogether would fill the screen. */
const MAX_COMPLAINTS = 50;
/** Of anybody's indentation; the document itself has four levels. */
const MAX_DEPTH = 16;
/** Of a key that nobody knows, as it is quoted. */
const MAX_KEY_CHARS = 64;

/** One mistake in the file, where it stands. */
export interface Complaint {
  /** From 1; undefined if it is about the whole file. */
  readonly line: number | undefined;
  readonly column: number | undefined;
  /** `instances[0].url`; '' for the whole. */
  readonly path: string;
  readonly message: string;
}

/** A policy file that has been read. */
export interface PolicyFile {
  readonly document: PolicyDocument;
  /** `sha-256:` and the base64url of the hash of the file's bytes. */
  readonly hash: string;
}

export type PolicyReading =
  | { readonly ok: true; readonly file: PolicyFile }
  | { readonly ok: false; readonly complaints: readonly Complaint[] };

/** `7:12 instances[0].url: must be …` */
export function complaintText({ line, column, path, message }: Complaint): string {
  const place = line === undefined ? '' : `${line}:${column ?? 1} `;
  return `${place}${path === '' ? '' : `${path}: `}${message}`;
}

/**
 * Reads a file from the disk, without waiting and never more than the bound of it.
 *
 * @throws the system's error
 */
function readPolicyBytes(path: string): Uint8Array {
  // Not blocking: to open a FIFO would otherwise wait for whoever writes to it.
  const file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    if (!fstatSync(file).isFile()) throw Object.assign(new Error('not a file'), { code: 'EISDIR' });
    const buffer = Buffer.alloc(MAX_POLICY_BYTES + 1);
    let length = 0;
    for (;;) {
      const read = readSync(file, buffer, length, buffer.length - length, null);
      length += read;
      if (read === 0 || length === buffer.length) return buffer.subarray(0, length);
    }
  } finally {
    closeSync(file);
  }
}

const WHY_UNREADABLE: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  EISDIR: 'this is a folder, or no plain file',
  EACCES: 'this user may not read the file',
};

/** Reads the file; one that can't be read is a complaint about the whole. */
export function readPolicyFile(path: string): PolicyReading {
  try {
    return readPolicy(readPolicyBytes(path));
  } catch (thrown) {
    const code = systemCode(thrown);
    if (code === undefined) throw thrown;
    // The path is not quoted: somebody may have given the policy, or a secret, where its path belongs.
    return refused(whole(WHY_UNREADABLE[code] ?? `the file cannot be read (${code})`));
  }
}

/** Every mistake at once, as far as one does not hide another. Nothing of the file is taken if there is one. */
export function readPolicy(bytes: Uint8Array): PolicyReading {
  if (bytes.length > MAX_POLICY_BYTES) return refused(whole(`has more than ${MAX_POLICY_BYTES} bytes`));
  const text = decoded(bytes);
  if (text === undefined) return refused(whole('is not text in UTF-8'));
  const lines = new LineCounter();
  const yaml = parse(text, lines);
  if (yaml === undefined) return refused(whole('is nested too deeply'));
  const syntax = syntaxComplaints(text, yaml, lines);
  if (syntax.length > 0) return refused(...syntax);
  const parsed = policySchema.safeParse(yaml.toJS({ maxAliasCount: 0 }), { error: plainWords });
  if (!parsed.success) {
    return refused(...parsed.error.issues.flatMap((issue) => complaintsOf(issue, yaml, lines)));
  }
  const hash = `sha-256:${createHash('sha256').update(bytes).digest('base64url')}`;
  return { ok: true, file: { document: parsed.data, hash } };
}

function refused(...complaints: readonly Complaint[]): PolicyReading {
  const distinct = [...new Map(complaints.map((one) => [complaintText(one), one])).values()];
  const ordered = distinct.sort(
    (one, other) => (one.line ?? 0) - (other.line ?? 0) || (one.column ?? 0) - (other.column ?? 0),
  );
  const rest = ordered.length - MAX_COMPLAINTS;
  const more = rest > 0 ? [whole(`has ${rest} more mistakes`)] : [];
  return { ok: false, complaints: [...ordered.slice(0, MAX_COMPLAINTS), ...more] };
}

function whole(message: string): Complaint {
  return { line: undefined, column: undefined, path: '', message };
}

function decoded(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

/** Undefined if the parser gave up at the depth of it. */
function parse(text: string, lineCounter: LineCounter): Document.Parsed | undefined {
  try {
    return parseDocument(text, { lineCounter, prettyErrors: false, strict: true, uniqueKeys: true });
  } catch (thrown) {
    if (thrown instanceof RangeError) return undefined;
    throw thrown;
  }
}

const TAGGED = 'tags (!name) are not taken';

/** Before the document, where alone they stand: one of them could make it YAML 1.1, which reads it otherwise. */
const DIRECTIVE = /^(?:[ \t]*(?:#.*)?\r?\n)*%/;

/** In our words: the parser's own quote the file, which may be another one than was meant, with a secret in it. */
const SLIPS: Partial<Record<ErrorCode, string>> = {
  BAD_INDENT: 'the indentation does not fit the lines before',
  BAD_SCALAR_START: 'a value needs quotes because of its first character',
  BLOCK_AS_IMPLICIT_KEY: 'a value needs quotes because of the colon in it',
  DUPLICATE_KEY: 'the same key stands here twice',
  MISSING_CHAR: 'a quote or a bracket is missing',
  MULTIPLE_DOCS: 'a second document begins here; a policy is one',
  TAB_AS_INDENT: 'is indented with a tab, where YAML takes nothing but spaces',
  TAG_RESOLVE_FAILED: TAGGED,
};

function syntaxComplaints(text: string, yaml: Document.Parsed, lines: LineCounter): Complaint[] {
  const complaints = [...yaml.errors, ...yaml.warnings].map(({ code, pos }) =>
    at(lines, pos[0], '', SLIPS[code] ?? 'is not valid YAML'),
  );
  if (DIRECTIVE.test(text)) complaints.push(at(lines, 0, '', 'directives (%NAME) are not taken'));
  visit(yaml, {
    Node: (_, node, path) => {
      if (isAlias(node) || node.anchor !== undefined) {
        complaints.push(at(lines, node.range?.[0], '', 'anchors and aliases (&name, *name) are not taken'));
      }
      if (!isAlias(node) && node.tag !== undefined) complaints.push(at(lines, node.range?.[0], '', TAGGED));
      if (path.filter((parent) => !isPair(parent)).length <= MAX_DEPTH) return undefined;
      complaints.push(at(lines, node.range?.[0], '', 'is nested too deeply'));
      return visit.BREAK;
    },
  });
  return complaints;
}

/** Where a mistake stands: at the key that nobody knows, at the value, or at the mapping that lacks it. */
function complaintsOf(issue: z.core.$ZodIssue, yaml: Document.Parsed, lines: LineCounter): Complaint[] {
  const { path } = issue;
  if (issue.code === 'unrecognized_keys') {
    const node = path.length === 0 ? yaml.contents : yaml.getIn(path, true);
    return issue.keys.map((key) => {
      const pair = isMap(node)
        ? node.items.find((item) => isScalar(item.key) && String(item.key.value) === key)
        : undefined;
      const place = pair !== undefined && isNode(pair.key) ? pair.key.range?.[0] : undefined;
      return at(lines, place, pathText(path), `there is no "${key.slice(0, MAX_KEY_CHARS)}" here`);
    });
  }
  return [at(lines, offsetOf(yaml, path), pathText(path), issue.message)];
}

/** Of the value at the path, or of the nearest that there is around it. */
function offsetOf(yaml: Document.Parsed, path: readonly PropertyKey[]): number | undefined {
  for (let length = path.length; length >= 0; length -= 1) {
    const node = length === 0 ? yaml.contents : yaml.getIn(path.slice(0, length), true);
    if (isNode(node) && node.range) return node.range[0];
  }
  return undefined;
}

function at(lines: LineCounter, offset: number | undefined, path: string, message: string): Complaint {
  const place = offset === undefined ? undefined : lines.linePos(offset);
  return { line: place?.line, column: place?.col, path, message };
}

/** `instances[0].tables[2]` */
function pathText(path: readonly PropertyKey[]): string {
  return path
    .map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`))
    .join('')
    .replace(/^\./, '');
}

const PLAIN_WORDS: Readonly<Record<string, string>> = {
  string: 'must be text; a number, true or false needs quotes',
  number: 'must be a number',
  array: 'must be a list',
  object: 'must be a mapping of keys',
};

/** For what the schema itself says nothing better of. */
function plainWords({ code, expected, input }: z.core.$ZodRawIssue): string | undefined {
  if (input === undefined && (code === 'invalid_type' || code === 'invalid_value')) return 'is missing';
  return code === 'invalid_type' && typeof expected === 'string' ? PLAIN_WORDS[expected] : undefined;
}
