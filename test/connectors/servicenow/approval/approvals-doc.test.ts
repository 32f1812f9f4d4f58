import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { parse as parseYaml } from 'yaml';
import { z } from 'zod';
import { changeWindowSchema } from '../../../../src/connectors/servicenow/approval/change-window.ts';
import {
  approvalCriteriaSchema,
  evaluate,
  MAX_CONDITIONS,
  MAX_EXPECTED_VALUE_CHARS,
  rejectionCriteriaSchema,
} from '../../../../src/connectors/servicenow/approval/criteria.ts';
import { decide } from '../../../../src/connectors/servicenow/approval/decide.ts';
import { MAX_NUMBER_DIGITS } from '../../../../src/connectors/servicenow/approval/order.ts';
import {
  MAX_MATCHED_CHARS,
  MAX_PATTERN_CHARS,
  MAX_PATTERNS,
  MAX_PROGRAM_SIZE,
} from '../../../../src/connectors/servicenow/approval/pattern.ts';
import type { FieldSides } from '../../../../src/connectors/servicenow/approval/ticket.ts';
import { MAX_TRACE_TEXT_CHARS, OPERATORS } from '../../../../src/connectors/servicenow/approval/trace.ts';
import { ticketWarnings } from '../../../../src/connectors/servicenow/approval/warnings.ts';
import { wrap } from '../../../../src/kit/errors.ts';
import { newApprovalSchema } from '../../../../src/manager/api-schemas.ts';
import { errorOf } from './support.ts';

const DOCUMENT = readFileSync(new URL('../../../../docs/approvals.md', import.meta.url), 'utf8');

/** The rows of the first table below a text, without its heading; code marks and padding are taken off. */
function tableBelow(text: string): string[][] {
  const from = DOCUMENT.indexOf(text);
  expect(from, `the text "${text}"`).not.to.equal(-1);
  return rowsOf(DOCUMENT.slice(from + text.length));
}

function rowsOf(text: string): string[][] {
  const [table = ''] = /^\|.*(?:\n\|.*)*/m.exec(text) ?? [];
  const rows = table.split('\n').map((row) =>
    row
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim().replaceAll('`', '')),
  );
  expect(rows.length, 'rows of a table').to.be.greaterThan(2);
  return rows.slice(2);
}

/** The ticket that the document describes. */
const FIELDS: ReadonlyMap<string, FieldSides> = new Map(
  tableBelow('## The ticket of the examples').map(([name = '', value = '', displayValue = '']) => [
    name,
    { value, displayValue },
  ]),
);

/** Each condition that stands in a block of this kind. */
function conditions(kind: string): string[] {
  const blocks = [...DOCUMENT.matchAll(new RegExp(`^\`\`\`yaml ${kind}\\n(.*?)^\`\`\`$`, 'gms'))];
  const lines = blocks.flatMap(([, body = '']) => body.trim().split('\n'));
  expect(lines, `examples marked "${kind}"`).not.to.have.length(0);
  return lines;
}

function criteriaOf(condition: string, options: { caseSensitive?: boolean } = {}): unknown {
  const parsed: unknown = parseYaml(condition);
  return { type: 'KeyValues', spec: { ...options, conditions: [parsed] } };
}

function isMet(condition: string, options?: { caseSensitive?: boolean }): boolean {
  return evaluate(approvalCriteriaSchema.parse(criteriaOf(condition, options)), FIELDS).met;
}

const questionSchema = z.strictObject({
  approvalCriteria: approvalCriteriaSchema,
  rejectionCriteria: rejectionCriteriaSchema.optional(),
  changeWindow: changeWindowSchema.optional(),
});

interface Look {
  question: z.infer<typeof questionSchema>;
  now: string;
  changes: string;
  answer: string;
  said: string;
  warning: string;
}

/** Each row of the table that follows a whole question. */
function looks(): Look[] {
  return [...DOCUMENT.matchAll(/^```yaml approval\n(.*?)^```$(.*?)(?=^```|^#|(?![^]))/gms)].flatMap(
    ([, body = '', below = '']) => {
      const question = questionSchema.parse(parseYaml(body));
      return rowsOf(below).map(([now = '', changes = '', answer = '', said = '', warning = '']) => ({
        question,
        now,
        changes,
        answer,
        said,
        warning,
      }));
    },
  );
}

/** The ticket with `state New, end_date blank` in it. */
function changed(changes: string): ReadonlyMap<string, FieldSides> {
  const fields = new Map(FIELDS);
  for (const change of changes.split(', ').filter((text) => text !== '')) {
    const [, name = '', text = ''] = /^(\w+) (.+)$/.exec(change) ?? [];
    expect([...FIELDS.keys()], change).to.include(name);
    const value = text === 'blank' ? '' : text;
    fields.set(name, { value, displayValue: value });
  }
  return fields;
}

/** As the document tells it: decision or code, reason or message, codes of warnings. */
function answerTo({ question, now, changes }: Look): [answer: string, said: string, warnings: string] {
  const { approvalCriteria: approval, rejectionCriteria: rejection = null } = question;
  const asked = { approval, rejection, window: question.changeWindow ?? null };
  const fields = changed(changes);
  try {
    const answer = decide({ ...asked, fields, now: Date.parse(`${now.replace(' ', 'T')}Z`) });
    const warnings = ticketWarnings(asked, answer, fields).map(({ code }) => code);
    return [answer.decision, answer.reason, warnings.join(', ')];
  } catch (thrown) {
    const { code, message } = wrap(thrown);
    return [code, message, ''];
  }
}

describe('docs/approvals.md', () => {
  for (const condition of conditions('met')) {
    it(`is right that this is met: ${condition}`, () => {
      expect(isMet(condition)).to.equal(true);
    });
  }

  for (const condition of conditions('met-ignoring-case')) {
    it(`is right that this is met without regard to letter case alone: ${condition}`, () => {
      expect(isMet(condition)).to.equal(false);
      expect(isMet(condition, { caseSensitive: false })).to.equal(true);
    });
  }

  for (const condition of conditions('not-met')) {
    it(`is right that this is not met: ${condition}`, () => {
      expect(isMet(condition)).to.equal(false);
    });
  }

  for (const condition of conditions('not-comparable')) {
    it(`is right that this can't be compared: ${condition}`, () => {
      errorOf('servicenow.not-comparable', () => isMet(condition));
    });
  }

  for (const condition of conditions('refused')) {
    it(`is right that this is refused: ${condition}`, () => {
      const { error } = approvalCriteriaSchema.safeParse(criteriaOf(condition));
      expect(error?.issues.map(({ path }) => path.slice(0, 3))).to.deep.equal([['spec', 'conditions', 0]]);
    });
  }

  for (const look of looks()) {
    const { now, changes, answer, said, warning } = look;
    it(`is right that it is ${answer} at ${now}${changes === '' ? '' : ` with ${changes}`}`, () => {
      expect(answerTo(look)).to.deep.equal([answer, said, warning]);
    });
  }

  it('shows a body that a manager takes, and that a delegate can read', () => {
    const [, body = ''] = /^```json\n(.*?)^```$/ms.exec(DOCUMENT) ?? [];
    const { approvalCriteria, changeWindow } = newApprovalSchema(10_000).parse(JSON.parse(body));
    expect(questionSchema.safeParse({ approvalCriteria, changeWindow }).success).to.equal(true);
  });

  it('explains every operator', () => {
    const explained = tableBelow('`true` and `false` need quotes in YAML.').flatMap(([operators = '']) =>
      operators.split(', '),
    );
    expect(explained).to.have.members(OPERATORS);
  });

  for (const [words, bound] of [
    ['A list of 1 to {} conditions', MAX_CONDITIONS],
    ['which is text of at most {} characters', MAX_EXPECTED_VALUE_CHARS],
    ['A pattern has at most {} characters', MAX_PATTERN_CHARS],
    ['characters and {} instructions', MAX_PROGRAM_SIZE],
    ['matched against fields of at most {} characters', MAX_MATCHED_CHARS],
    ['At most {} conditions of a criterion may use', MAX_PATTERNS],
    ['a number of at most {} digits', MAX_NUMBER_DIGITS],
    ['(each at most {} characters)', MAX_TRACE_TEXT_CHARS],
  ] as const) {
    it(`names a bound as it is: ${words}`, () => {
      expect(DOCUMENT).to.contain(words.replace('{}', bound.toLocaleString('en-US')));
    });
  }
});
