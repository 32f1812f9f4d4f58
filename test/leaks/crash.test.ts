import { fork } from 'node:child_process';
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { exitOf, type Ending } from '../support/child.ts';
import { leavesNothingOpen } from '../support/open-handles.ts';
import { tempDirs } from '../support/temp-dir.ts';
import type { Order } from './crash-process.ts';
import { piecesIn } from './finder.ts';
import { ENCODINGS, KINDS, type Kind } from './shapes.ts';

const PROCESS = fileURLToPath(new URL('crash-process.ts', import.meta.url));
const SECRETS = Object.values(KINDS);

/** One kind of secret in every encoding. */
function textOf({ value }: Kind): string {
  return Object.values(ENCODINGS)
    .map((encode) => encode(value))
    .join('\n\n');
}

const ENDINGS: readonly { end: Order['end']; what: string; code: number; says: string }[] = [
  { end: 'throw', what: 'throws', code: 1, says: '"fatal"' },
  { end: 'report', what: 'throws, and is to write reports of it', code: 1, says: '"fatal"' },
  { end: 'reject', what: 'leaves a rejection to itself', code: 1, says: '"fatal"' },
  { end: 'reject-no-error', what: 'rejects with what is no error', code: 1, says: '"fatal"' },
  { end: 'warn', what: 'is warned by Node', code: 0, says: 'Warning' },
  { end: 'print', what: 'has a library that prints', code: 0, says: 'a library says' },
  { end: 'print-bytes', what: 'prints byte by byte', code: 0, says: 'password=' },
  {
    end: 'before-any-secret',
    what: 'throws before it knows its secrets',
    code: 1,
    says: 'Unexpected Error\n    at ',
  },
];

describe('a process that', function () {
  this.timeout(60_000);
  const folder = tempDirs();
  leavesNothingOpen();

  async function lastWords(
    order: Order,
    execArgv: readonly string[] = [],
  ): Promise<{ ending: Ending; text: string; files: readonly string[] }> {
    const reports = await folder();
    const child = fork(PROCESS, [], {
      execArgv: ['--import', 'tsx', `--report-directory=${reports}`, ...execArgv],
      silent: true,
    });
    const ended = exitOf(child);
    let text = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
    }
    await once(child, 'message');
    child.send(order);
    return { ending: await ended, text, files: await readdir(reports) };
  }

  for (const [index, { end, what, code, says }] of ENDINGS.entries()) {
    it(`${what} says so, and no secret`, async () => {
      const execArgv = end === 'report' ? ['--report-uncaught-exception', '--report-on-fatalerror'] : [];
      const kind = SECRETS[index % SECRETS.length] ?? expect.fail();
      const order = { secrets: SECRETS.map(({ value }) => value), text: textOf(kind), end };
      const { ending, text, files } = await lastWords(order, execArgv);
      expect(ending).to.equal(code);
      expect(text).to.contain(says);
      expect(files).to.deep.equal([]);
      expect(piecesIn(text, kind.pieces)).to.deep.equal([]);
    });
  }

  it('throws would say its secrets, if they were not known', async () => {
    for (const kind of SECRETS.slice(0, 2)) {
      const { text } = await lastWords({ secrets: [], text: textOf(kind), end: 'throw' });
      expect(piecesIn(text, kind.pieces)).to.not.deep.equal([]);
    }
  });
});
