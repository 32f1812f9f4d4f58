import { run, tasksOf, type Ending, type ReportCase } from '../test/report/case.ts';
import { CHAPTERS } from '../test/report/cases.ts';

/**
 * `npm run report:errors`: every case of what ServiceNow, AD FS, a token server or the network does, run for real
 * against the fakes, as Markdown with the sentence that the user reads. Ends with 1 if a case came out otherwise.
 */

const HEAD = [
  'case',
  'what the other side does',
  'code or decision',
  'category',
  'may pass',
  'what the user reads',
];

const row = (cells: readonly string[]): string =>
  `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;

function told({ id, title, server }: ReportCase, { came, error, sentence }: Ending): string {
  const judgement = error === undefined ? ['', ''] : [error.category, error.retryable ? 'yes' : 'no'];
  return row([`${id} ${title}`, server, `\`${came}\``, ...judgement, sentence]);
}

const otherwise: string[] = [];
let total = 0;
for (const { title, cases } of CHAPTERS) {
  process.stdout.write(`\n## ${title}\n\n${row(HEAD)}\n${row(HEAD.map(() => '---'))}\n`);
  for (const reportCase of cases) {
    const { id, expected } = reportCase;
    for (const [index, task] of tasksOf(reportCase).entries()) {
      const ending = await run(reportCase, task);
      if (index === 0) process.stdout.write(`${told(reportCase, ending)}\n`);
      if (ending.came !== expected) otherwise.push(`${id} (${task}): ${ending.came}, not ${expected}`);
    }
    total += 1;
  }
}
process.stdout.write(
  otherwise.length === 0
    ? `\n${total} cases, each as expected.\n`
    : `\nOtherwise than expected:\n${otherwise.map((line) => `- ${line}`).join('\n')}\n`,
);
process.exitCode = otherwise.length === 0 ? 0 : 1;
