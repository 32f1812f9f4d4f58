import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { errorOf, evaluateText, ticket } from './support.ts';
import {
  MAX_EXPRESSION_CHARS,
  MAX_NESTING,
  parseExpression,
} from '../../../../src/connectors/servicenow/approval/expression/parser.ts';
import {
  MAX_MATCHED_CHARS,
  MAX_PATTERN_CHARS,
  MAX_PATTERNS,
  MAX_PROGRAM_SIZE,
} from '../../../../src/connectors/servicenow/approval/pattern.ts';

const DOCUMENT = readFileSync(new URL('../../../../docs/expressions.md', import.meta.url), 'utf8');

/** The ticket that the document describes. */
const FIELDS = ticket({
  state: ['-1', 'Implement'],
  risk: ['3', 'Moderate'],
  active: 'true',
  assigned_to: ['46d44a23a9fe19810012d100cca80666', 'Beth Anglin'],
  'assigned_to.name': 'Beth Anglin',
  short_description: 'Upgrade CHG database',
  start_date: ['2026-03-01 10:00:00', '01/03/2026 11:00'],
  end_date: ['2026-03-01 12:00:00', '01/03/2026 13:00'],
  close_code: '',
});

function examples(kind: string): string[] {
  const blocks = [...DOCUMENT.matchAll(new RegExp(`^\`\`\`expression ${kind}\\n(.*?)^\`\`\`$`, 'gms'))];
  const lines = blocks.flatMap(([, body = '']) => body.trim().split('\n'));
  expect(lines, `examples marked "${kind}"`).not.to.have.length(0);
  return lines;
}

describe('docs/expressions.md', () => {
  for (const outcome of [true, false]) {
    for (const example of examples(String(outcome))) {
      it(`is right that this is ${outcome}: ${example}`, () => {
        expect(evaluateText(example, FIELDS).met).to.equal(outcome);
      });
    }
  }

  for (const example of examples('invalid')) {
    it(`is right that this is refused: ${example}`, () => {
      errorOf('servicenow.expression-invalid', () => parseExpression(example));
    });
  }

  for (const example of examples('not-comparable')) {
    it(`is right that this can't be compared: ${example}`, () => {
      errorOf('servicenow.not-comparable', () => evaluateText(example, FIELDS));
    });
  }

  for (const [what, bounds] of [
    ['expression', [MAX_EXPRESSION_CHARS]],
    ['nesting of parentheses', [MAX_NESTING]],
    ['pattern', [MAX_PATTERN_CHARS, MAX_PROGRAM_SIZE]],
    ['patterns in one expression', [MAX_PATTERNS]],
    ['text that a pattern is matched against', [MAX_MATCHED_CHARS]],
  ] as const) {
    it(`names the bound on ${what} as it is`, () => {
      const [, bound = ''] = new RegExp(`^\\| ${what}(?: |,)[^|]*\\|([^|]*)\\|$`, 'm').exec(DOCUMENT) ?? [];
      const numbers = bound.match(/\d[\d,]*/g)?.map((number) => Number(number.replaceAll(',', '')));
      expect(numbers).to.deep.equal(bounds);
    });
  }

  it('shows the very message that a mistake gives', () => {
    const [, message = ''] = /```text\napprovalCriteria\.spec\.expression: (.*?)\n```/s.exec(DOCUMENT) ?? [];
    const [, source = ''] = message.split('\n');
    const error = errorOf('servicenow.expression-invalid', () => parseExpression(source));
    expect(message).to.equal(`${error.message}\n${String(error.details?.['excerpt'])}`);
  });
});
