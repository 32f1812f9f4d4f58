import { readdirSync, readFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Reads the commands out of the documents: what stands in a fenced block of a shell, one statement each. */

export const ROOT = fileURLToPath(new URL('../../..', import.meta.url));

export interface Statement {
  /** `docs/network.md:18` */
  readonly place: string;
  /** Without comments, lines joined, and white space as one space where it means no more than that. */
  readonly text: string;
  /** What a console block shows below the command; undefined in a block of commands alone. */
  readonly output: string | undefined;
}

export interface Page {
  /** From the root, with forward slashes. */
  readonly name: string;
  readonly text: string;
}

const ELSEWHERE = new Set(['node_modules', 'dist', 'bundle', 'bench-results', 'coverage', '.git']);

/** Every document of the product, but for test notes and the records of decisions, which tell no one what to type. */
export function pages(folder = ROOT): Page[] {
  return readdirSync(folder, { withFileTypes: true })
    .flatMap((entry): Page[] => {
      const path = join(folder, entry.name);
      const name = relative(ROOT, path).split(sep).join('/');
      if (ELSEWHERE.has(entry.name) || name === 'test' || name === 'docs/decisions') return [];
      if (entry.isDirectory()) return pages(path);
      return entry.name.endsWith('.md') ? [{ name, text: readFileSync(path, 'utf8') }] : [];
    })
    .toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

export interface Block {
  readonly place: string;
  /** `sh`, `console`, `yaml`; empty if the fence names none. */
  readonly language: string;
  readonly lines: readonly string[];
}

export function blocksOf({ name, text }: Page): Block[] {
  return Array.from(text.matchAll(/^([ \t]*)```(\w*)[^\n]*\n([\s\S]*?)^[ \t]*```$/gm), (match) => {
    const [, indent = '', language = '', body = ''] = match;
    const line = text.slice(0, match.index).split('\n').length;
    const lines = body.replace(/\n$/, '').split('\n');
    return { place: `${name}:${line}`, language, lines: lines.map((one) => one.slice(indent.length)) };
  });
}

export const SHELLS: ReadonlySet<string> = new Set(['sh', 'bash', 'shell', 'zsh', 'fish']);

export function statementsOf(page: Page): Statement[] {
  return blocksOf(page).flatMap((block) => {
    if (SHELLS.has(block.language)) {
      return split(block.lines).map((text) => ({ place: block.place, text, output: undefined }));
    }
    return block.language === 'console' ? shown(block) : [];
  });
}

/** A console block: each command behind `$ `, and what it prints. */
function shown({ place, lines }: Block): Statement[] {
  const statements: { place: string; text: string; output: string }[] = [];
  for (const line of lines) {
    const last = statements.at(-1);
    if (line.startsWith('$ ')) statements.push({ place, text: withoutComment(line.slice(2)), output: '' });
    else if (last !== undefined) last.output += `${line}\n`;
  }
  return statements;
}

/** Words that open and close what several lines are one statement of. */
const OPENS = /(?:^|[\s;])(?:while|for|until|case|if)\s/g;
const CLOSES = /(?:^|[\s;])(?:done|esac|fi)(?=$|[\s;<>|&])/g;

export function split(lines: readonly string[]): string[] {
  const statements: string[] = [];
  let open: string[] = [];
  let depth = 0;
  let heredoc: string | undefined;
  for (const raw of lines) {
    if (heredoc !== undefined) {
      open.push(raw);
      if (raw.trim() === heredoc) heredoc = undefined;
      if (heredoc === undefined) statements.push(open.splice(0).join('\n'));
      continue;
    }
    const line = withoutComment(raw);
    if (line.trim() === '') continue;
    open.push(line);
    heredoc = /<<-?\s*['"]?(\w+)/.exec(line)?.[1];
    depth += (line.match(OPENS) ?? []).length - (line.match(CLOSES) ?? []).length;
    if (heredoc !== undefined || depth > 0 || line.endsWith('\\') || isWithinQuotes(open)) continue;
    const statement = joined(open.splice(0));
    // `case $?` asks how the statement before it ended.
    if (statement.startsWith('case $?')) statements.push(`${statements.pop() ?? ''}\n${statement}`);
    else statements.push(statement);
  }
  if (open.length > 0) statements.push(joined(open));
  return statements;
}

/** Whether a text in single quotes goes on in the next line. None of our commands has an apostrophe elsewhere. */
function isWithinQuotes(lines: readonly string[]): boolean {
  return lines.join('').split("'").length % 2 === 0;
}

/** Lines that a backslash joins become one; those of a loop or a case stay. */
function joined(lines: readonly string[]): string {
  return lines
    .join('\n')
    .replaceAll(/\s*\\\n\s*/g, ' ')
    .trim();
}

/** A `#` behind white space begins a comment; none of our commands has one within quotes. */
function withoutComment(line: string): string {
  return line.replace(/(?:^|\s+)#(?:\s.*)?$/, '').trimEnd();
}
