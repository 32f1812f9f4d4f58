import { createReadStream } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { addAbortSignal, type Readable } from 'node:stream';
import { parse as parseYaml, YAMLParseError, type ErrorCode } from 'yaml';
import { DelegateError, systemCode } from '../../kit/errors.ts';
import { localError } from './errors.ts';

/** Many times what a connector or an approval takes; a task's input has a similar bound on the wire. */
const MAX_FILE_BYTES = 1_048_576;

const STANDARD_INPUT = '-';

type Mapping = Readonly<Record<string, unknown>>;

/** What an approval is made of. A misspelt `rejectionCriteria` would be a rejection that never comes. */
const APPROVAL_KEYS: readonly string[] = [
  'connector',
  'ticket',
  'approvalCriteria',
  'rejectionCriteria',
  'changeWindow',
];

export interface InputSource {
  /** As typed; `-` is standard input. */
  readonly path: string;
  readonly standardInput: Readable;
  readonly signal: AbortSignal;
}

/**
 * The input of servicenow.connector.validate, from a file with the connector at its top or below `connector`, so
 * that an approval's file serves as well. Rejects with `input-file-unusable`; the fields are for the task to judge.
 */
export async function readConnectorFile(source: InputSource): Promise<{ connector: unknown }> {
  const file = await readMapping(source);
  return { connector: Object.hasOwn(file, 'connector') ? await connectorOf(file, source) : file };
}

/** The input of servicenow.approval.check. Rejects with `input-file-unusable`. */
export async function readApprovalFile(source: InputSource): Promise<Mapping> {
  const file = await readMapping(source);
  const unknown = Object.keys(file).find((key) => !APPROVAL_KEYS.includes(key));
  if (unknown !== undefined) {
    throw unusable(source, `"${unknown}" is none of ${APPROVAL_KEYS.join(', ')}`);
  }
  return { ...file, connector: await connectorOf(file, source) };
}

/**
 * A task by its name and input, as a manager assigns it; or else what an approval's or a connector's file stands for.
 * Rejects with `input-file-unusable`.
 */
export async function readTaskFile(source: InputSource): Promise<{ name: string; input: unknown }> {
  const file = await readMapping(source);
  const { name, input } = file;
  if (typeof name === 'string' && input !== undefined) return { name, input };
  const connector = Object.hasOwn(file, 'connector') ? await connectorOf(file, source) : file;
  return Object.hasOwn(file, 'ticket')
    ? { name: 'servicenow.approval.check', input: { ...file, connector } }
    : { name: 'servicenow.connector.validate', input: { connector } };
}

/** The same approval for another ticket of the same type. */
export function withTicket(approval: Mapping, number: string): Mapping {
  const { ticket } = approval;
  const { sysId: _replaced, ...others } = isMapping(ticket) ? ticket : {};
  return { ...approval, ticket: { ...others, number } };
}

/**
 * A connector, or the path of the file that holds it. Only here: a manager that could name a file would read this
 * machine's disk.
 */
async function connectorOf({ connector }: Mapping, source: InputSource): Promise<unknown> {
  if (typeof connector !== 'string') return connector;
  if (connector === STANDARD_INPUT) throw unusable(source, 'connector must be the path of a file');
  const folder = source.path === STANDARD_INPUT ? '.' : dirname(source.path);
  const file = await readMapping({ ...source, path: resolve(folder, connector) });
  return Object.hasOwn(file, 'connector') ? file['connector'] : file;
}

async function readMapping(source: InputSource): Promise<Mapping> {
  const contents = parse(await readText(source), source);
  if (isMapping(contents)) return contents;
  throw unusable(source, 'must be a mapping, such as a file of the folder examples holds');
}

async function readText(source: InputSource): Promise<string> {
  const { path, standardInput, signal } = source;
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  try {
    const stream: AsyncIterable<unknown> = addAbortSignal(
      signal,
      path === STANDARD_INPUT ? standardInput : createReadStream(path),
    );
    for await (const chunk of stream) {
      if (!(chunk instanceof Uint8Array)) throw new TypeError('the stream has an encoding');
      bytes += chunk.length;
      if (bytes > MAX_FILE_BYTES) throw unusable(source, `has more than ${MAX_FILE_BYTES} bytes`);
      chunks.push(chunk);
    }
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks));
  } catch (thrown) {
    if (signal.aborted || thrown instanceof DelegateError) throw thrown;
    throw unusable(source, whyUnreadable(systemCode(thrown)), thrown);
  }
}

function whyUnreadable(code: string | undefined): string {
  if (code === 'ENOENT') return 'there is no such file';
  if (code === 'EISDIR') return 'is a folder';
  if (code === 'EACCES') return 'this user may not read it';
  if (code === 'ERR_ENCODING_INVALID_ENCODED_DATA') return 'is not text in UTF-8';
  return `cannot be read (${code ?? 'unknown'})`;
}

/** The slips that people make in YAML, in our words: the parser's own quote the file, where a secret may stand. */
const SLIPS: Partial<Record<ErrorCode, string>> = {
  BAD_INDENT: 'has lines whose indentation does not fit together',
  BAD_SCALAR_START: 'has a value that needs quotes because of its first character',
  BLOCK_AS_IMPLICIT_KEY: 'has a value that needs quotes because of the colon in it',
  DUPLICATE_KEY: 'has the same key twice',
  MISSING_CHAR: 'lacks a quote or a bracket',
  MULTIPLE_DOCS: 'holds more than one document',
  TAB_AS_INDENT: 'is indented with a tab, where YAML takes nothing but spaces',
};

function parse(text: string, source: InputSource): unknown {
  try {
    // Errors throw all the same; warnings would be printed past the log.
    return parseYaml(text, { logLevel: 'error' });
  } catch (thrown) {
    throw unusable(source, whyUnparsable(thrown));
  }
}

function whyUnparsable(thrown: unknown): string {
  // What the parser throws for an alias without an anchor, and for those that make much of little.
  if (thrown instanceof ReferenceError)
    return 'has aliases (*name) that lead nowhere, or unfold to far too much';
  if (!(thrown instanceof YAMLParseError)) return 'is not valid YAML or JSON';
  const [at] = thrown.linePos ?? [];
  const where = at === undefined ? '' : `, at line ${at.line}, column ${at.col}`;
  return `${SLIPS[thrown.code] ?? 'is not valid YAML or JSON'}${where}`;
}

function unusable({ path }: InputSource, what: string, cause?: unknown): DelegateError {
  const name = path === STANDARD_INPUT ? 'Standard input' : path;
  return localError('input-file-unusable', `${name}: ${what}.`, { cause });
}

function isMapping(value: unknown): value is Mapping {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
