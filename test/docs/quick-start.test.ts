import { readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { expect } from 'chai';
import { SEED } from '../../src/dev/fake-servicenow/index.ts';
import { leavesNothingOpen } from '../support/open-handles.ts';
import { listenOnLoopback } from '../support/listen.ts';
import { Sandbox, type Ran, type Running } from './commands/sandbox.ts';
import { expectShown } from './commands/shown.ts';
import { ROOT, statementsOf } from './commands/statements.ts';

const NAME = 'docs/quick-start.md';
/** Installing and the demonstration have tests of their own. */
const ELSEWHERE = /^npm /;
/** What the reader lets run behind the terminal, its log in a file, runs beside the test, which reads its log. */
const BEHIND = /^(.*) > \w+\.log 2>&1 &$/;
const LOOKS = 200;

describe(NAME, function () {
  this.timeout(90_000);
  leavesNothingOpen();

  it('leads to an approved ticket: every command of the page, in its order', async () => {
    const text = await readFile(join(ROOT, NAME), 'utf8');
    await using sandbox = await Sandbox.open();
    // The reader has written down what the page shows.
    for (const [, file = '', yaml = ''] of text.matchAll(/^```yaml\n# (\S+)\n([\s\S]*?)^```$/gm)) {
      await writeFile(sandbox.path(file), sandbox.here(yaml));
    }
    const env = { DELEGATE_HTTP_PORT: String(await freePort()), DELEGATE_LOG_LEVEL: 'info' };
    const lasting: Running[] = [];
    const done: string[] = [];
    try {
      for (const statement of statementsOf({ name: NAME, text })) {
        const { text: command } = statement;
        if (ELSEWHERE.test(command)) continue;
        done.push(command);
        const [, lastingCommand] = BEHIND.exec(command) ?? [];
        if (lastingCommand !== undefined) {
          const running = sandbox.start(lastingCommand, { env });
          lasting.push(running);
          await running.says(/"to":"ready"|"manager ready"/);
          continue;
        }
        const ran = await sandbox.run(command, { env, input: 'typed\n' });
        expect(ran.code, `${command}\n${ran.output}`).to.equal(0);
        expectShown(statement, ran.output, sandbox);
      }
      const last = done.at(-1) ?? '';
      const { output } = await repeatedly(
        () => sandbox.run(last, { env }),
        (ran) => ran.output.includes('"status":"approved"'),
      );
      expect(output).to.contain(SEED.changes.implement).and.contain('"status":"approved"');
    } finally {
      for (const running of lasting.toReversed()) expect((await running.stop()).code).to.equal(0);
    }
  });
});

/** Asks again until it holds, and gives the last answer in any case. */
async function repeatedly(work: () => Promise<Ran>, holds: (ran: Ran) => boolean): Promise<Ran> {
  let ran = await work();
  for (let looks = 1; looks < LOOKS && !holds(ran); looks += 1) ran = await work();
  return ran;
}

/** One that was free a moment ago: two processes are to be told of the same. */
async function freePort(): Promise<number> {
  const server = createServer();
  const port = await listenOnLoopback(server);
  await new Promise((resolve) => {
    server.close(resolve);
  });
  return port;
}
