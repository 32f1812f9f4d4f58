import { posix } from 'node:path';
import { blank } from './source-text.ts';

/** The rules that keep the floors apart, as pure functions over source text. */

interface SourceFile {
  /** Relative to `src/`, with forward slashes: `delegate/session.ts`. */
  readonly path: string;
  readonly text: string;
}

interface Breach {
  readonly path: string;
  /** From 1. */
  readonly line: number;
  readonly rule: Rule;
  readonly found: string;
}

export type Rule =
  | 'unknown-room'
  | 'imports-up'
  | 'imports-sideways'
  | 'imports-outside'
  | 'kit-imports-node-only'
  | 'process-by-import'
  | 'process-exit'
  | 'process-env'
  | 'module-level-variable'
  | 'unfinished'
  | 'cast'
  | 'cast-json';

/** Room (folder or file at the top of `src/`) → floor. */
const FLOORS: Readonly<Record<string, number>> = {
  kit: 0,
  protocol: 1,
  config: 2,
  observability: 2,
  http: 2,
  oauth: 2,
  secrets: 2,
  policy: 2,
  connectors: 3,
  delegate: 4,
  manager: 4,
  'compose.ts': 5,
  compose: 5,
  dev: 5,
  cli: 6,
};

/** The one floor whose rooms may import each other: wiring. */
const WIRING_FLOOR = 5;

/** A finding before it knows its file: where in the text, and what. */
type Finding = readonly [at: number, rule: Rule, found: string];

export function breachesOf(file: SourceFile): Breach[] {
  const code = blank(file.text, 'comment', 'literal');
  const findings = [
    ...importFindings(file),
    ...processFindings(file, code),
    ...moduleVariables(code),
    ...matches(file.text, /\b(?:TODO|FIXME)\b/g, 'unfinished'),
    ...matches(code, /\bas\s+(?:any\b|unknown\s+as\b)/g, 'cast'),
    ...castJson(code),
  ];
  return findings
    .toSorted(([a], [b]) => a - b)
    .map(([at, rule, found]) => ({
      path: file.path,
      line: file.text.slice(0, at).split('\n').length,
      rule,
      found,
    }));
}

function roomOf(path: string): string {
  return path.split('/', 1)[0] ?? '';
}

function* matches(text: string, pattern: RegExp, rule: Rule): Generator<Finding> {
  for (const match of text.matchAll(pattern)) yield [match.index, rule, match[0]];
}

// --- imports ----------------------------------------------------------------------------------------------

const SPECIFIER = /(?<![.\w$])(?:from|import|require)\s*\(?\s*(['"`])([^'"`]+)\1/g;

function* importFindings(file: SourceFile): Generator<Finding> {
  if (FLOORS[roomOf(file.path)] === undefined) yield [0, 'unknown-room', roomOf(file.path)];
  const code = blank(file.text, 'comment', 'literal');
  for (const match of blank(file.text, 'comment').matchAll(SPECIFIER)) {
    // The keyword has to be code: `from './x.ts'` within a string imports nothing.
    if (code.charAt(match.index) === ' ') continue;
    const specifier = match[2] ?? '';
    const rule = judgeImport(file.path, specifier);
    if (rule !== undefined) yield [match.index, rule, specifier];
  }
}

function judgeImport(from: string, specifier: string): Rule | undefined {
  const room = roomOf(from);
  if (!specifier.startsWith('.')) {
    if (room === 'kit' && !specifier.startsWith('node:')) return 'kit-imports-node-only';
    if (/^(?:node:)?process$/.test(specifier) && room !== 'cli') return 'process-by-import';
    return undefined;
  }
  const target = posix.join(posix.dirname(from), specifier);
  if (target.startsWith('..')) return 'imports-outside';
  const targetRoom = roomOf(target);
  if (targetRoom === room) return undefined;
  const [floor, targetFloor] = [FLOORS[room], FLOORS[targetRoom]];
  if (floor === undefined || targetFloor === undefined) return 'unknown-room';
  if (targetFloor > floor) return room === 'kit' ? 'kit-imports-node-only' : 'imports-up';
  return targetFloor === floor && floor !== WIRING_FLOOR ? 'imports-sideways' : undefined;
}

// --- process ----------------------------------------------------------------------------------------------

function* processFindings(file: SourceFile, code: string): Generator<Finding> {
  const room = roomOf(file.path);
  if (room !== 'cli') yield* processMember(code, 'exit|exitCode', 'process-exit');
  if (room !== 'config') yield* processMember(code, 'env', 'process-env');
}

function* processMember(code: string, names: string, rule: Rule): Generator<Finding> {
  yield* matches(code, new RegExp(String.raw`\bprocess\s*\??\.\s*(?:${names})\b`, 'g'), rule);
  yield* matches(code, new RegExp(String.raw`\{[^{}]*\b(?:${names})\b[^{}]*\}\s*=\s*process\b`, 'g'), rule);
}

// --- state and casts --------------------------------------------------------------------------------------

function* moduleVariables(code: string): Generator<Finding> {
  let depth = 0;
  for (const match of code.matchAll(/[([{]|[)\]}]|(?<![.\w$])(?:let|var)\s+(?=[\w$[{])/g)) {
    const [token] = match;
    if (/^[([{]/.test(token)) depth += 1;
    else if (/^[)\]}]/.test(token)) depth -= 1;
    else if (depth === 0) yield [match.index, 'module-level-variable', token.trim()];
  }
}

function* castJson(code: string): Generator<Finding> {
  for (const match of code.matchAll(/\bJSON\s*\.\s*parse\s*\(/g)) {
    let at = match.index + match[0].length;
    for (let depth = 1; depth > 0 && at < code.length; at += 1) {
      if (code[at] === '(') depth += 1;
      else if (code[at] === ')') depth -= 1;
    }
    if (/^[\s)]*as\b/.test(code.slice(at))) yield [match.index, 'cast-json', 'JSON.parse(…) as'];
  }
}
