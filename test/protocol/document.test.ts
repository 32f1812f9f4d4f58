import { readFileSync, readdirSync } from 'node:fs';
import { expect } from 'chai';
import { ERROR_CATEGORIES } from '../../src/kit/errors.ts';
import { CloseCode } from '../../src/protocol/close-codes.ts';
import * as limits from '../../src/protocol/limits.ts';
import {
  REJECT_CODES,
  TASK_EFFECTS,
  toDelegateSchemas,
  toManagerSchemas,
} from '../../src/protocol/messages.ts';
import { inputHash, taskSignatureClaimsSchema } from '../../src/protocol/task-signature.ts';

const SRC = new URL('../../src/', import.meta.url);
const document = readFileSync(new URL('protocol/PROTOCOL.md', SRC), 'utf8');

/** The text under a heading, up to the next heading of the same or a higher level. */
function section(heading: string): string {
  const level = /^#+/.exec(heading)?.[0].length ?? 0;
  const start = document.indexOf(`\n${heading}`);
  expect(start, `heading "${heading}"`).to.be.at.least(0);
  const rest = document.slice(start + heading.length + 1);
  const end = rest.search(new RegExp(`^#{1,${level}} `, 'm'));
  return end < 0 ? rest : rest.slice(0, end);
}

/** Cells of the table rows in a text, without code marks. */
function rows(text: string): string[][] {
  return text
    .split('\n')
    .filter((line) => line.startsWith('|') && !/^\|[\s|-]+$/.test(line))
    .map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim().replaceAll('`', '')),
    );
}

/** The first column, header left out, of the one table whose first header this is. */
function column(text: string, header: string): string[] {
  const tables = text.split(/\n(?!\|)/).map(rows);
  const table = tables.find(([first]) => first?.[0] === header);
  expect(table, `table "${header}"`).to.be.an('array');
  return (table ?? []).slice(1).map(([cell]) => cell ?? '');
}

/** Field → whether it may be absent, of a frame's schema (`task.result`: of all its outcomes together). */
function fieldsOf(schema: (typeof allSchemas)[keyof typeof allSchemas]): Map<string, boolean> {
  const shapes = 'options' in schema ? schema.options.map((option) => option.shape) : [schema.shape];
  const fields = shapes.flatMap((shape) =>
    Object.entries<{ safeParse(value: undefined): { success: boolean } }>(shape),
  );
  return new Map(fields.map(([name, field]) => [name, field.safeParse(undefined).success]));
}

const allSchemas = { ...toManagerSchemas, ...toDelegateSchemas };

const directions = [
  ['delegate → manager', toManagerSchemas],
  ['manager → delegate', toDelegateSchemas],
] as const;

describe('PROTOCOL.md and the code', () => {
  for (const [direction, schemas] of directions) {
    for (const [type, schema] of Object.entries(schemas)) {
      it(`agree on the fields of ${type} (${direction})`, () => {
        const fields = fieldsOf(schema);
        fields.delete('type');
        const named = [...fields].map(([field, optional]) => (optional ? `${field}?` : field));
        const text = section(`#### \`${type}\` (${direction})`);
        expect(named.length === 0 ? [] : column(text, 'field')).to.have.members(named);
      });
    }
  }

  it('name no frame that the code does not have', () => {
    const headings = [...document.matchAll(/^#### `([^`]+)` \((.+)\)$/gm)].map((match) => match[1]);
    expect(headings).to.have.members(Object.keys(allSchemas));
  });

  it('agree on every close code, by number and name', () => {
    const documented = rows(section('### 3.6 Close codes')).map(([code, name]) => [name, Number(code)]);
    expect(documented.slice(1)).to.have.deep.members(Object.entries(CloseCode));
  });

  it('agree on every reject code', () => {
    expect(column(section('#### `task.reject`'), 'code')).to.have.members([...REJECT_CODES]);
  });

  it('agree on every effect of a task type', () => {
    expect(column(section('#### `hello`'), 'effect')).to.have.members([...TASK_EFFECTS]);
  });

  it('agree on every outcome and every error category', () => {
    const text = section('#### `task.result`');
    const outcomes = toManagerSchemas['task.result'].options.flatMap((option) => [
      ...option.shape.outcome.values,
    ]);
    expect(column(text, 'outcome')).to.have.members(outcomes);
    expect(column(text, 'category')).to.have.members([...ERROR_CATEGORIES]);
  });

  it('agree on every limit, by name and value', () => {
    const documented = rows(section('## 7. Limits')).map(([name, value]) => [name, value]);
    const constants = Object.entries(limits).map(([name, value]) => [name, String(value)]);
    expect(documented.slice(1)).to.have.deep.members(constants);
  });

  it('agree on the claims of a task signature, and on the example of a hash', () => {
    const text = section('## 5. Signed tasks');
    expect(column(text, 'claim')).to.have.members(Object.keys(taskSignatureClaimsSchema.shape));
    expect(text).to.contain(`inputHash = ${inputHash({ b: 1, a: [true, null] })}\n`);
  });

  it('agree on the sections that the code refers to', () => {
    const sources = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter((path) =>
      path.endsWith('.ts'),
    );
    for (const path of sources) {
      const text = readFileSync(new URL(path, SRC), 'utf8');
      for (const [, number] of text.matchAll(/PROTOCOL\.md, section (\d+(?:\.\d+)?)/g)) {
        expect(document, `${path}, section ${number}`).to.match(new RegExp(`^#+ ${number}\\.? `, 'm'));
      }
    }
  });
});
