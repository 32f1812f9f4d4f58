import { spawn } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { exitOf } from '../support/child.ts';
import { leavesNothingOpen } from '../support/open-handles.ts';
import { tempDirs } from '../support/temp-dir.ts';

const CLI = fileURLToPath(new URL('../../src/cli/index.ts', import.meta.url));
const POLICY = fileURLToPath(new URL('../../examples/policy.yaml', import.meta.url));

describe('servicenow-delegate policy explain', function () {
  this.timeout(20_000);
  const directory = tempDirs();
  leavesNothingOpen();

  const explain = async (task: string): Promise<number | string> => {
    const folder = await directory();
    const path = join(folder, 'task.json');
    await writeFile(path, task);
    const args = ['policy', 'explain', path, `--policy-file=${POLICY}`, `--state-dir=${folder}`];
    const child = spawn(process.execPath, ['--import', 'tsx', CLI, ...args], {
      env: { PATH: process.env['PATH'] ?? '' },
      stdio: 'ignore',
    });
    return await exitOf(child);
  };

  it('ends otherwise for a task that it cannot read than for one that is denied', async () => {
    const spec = {
      serviceNowUrl: 'https://evil.example',
      auth: { type: 'UsernamePassword', spec: { username: 'u', passwordRef: 'env:X' } },
    };
    const connector = { name: 'A', identifier: 'a', type: 'ServiceNow', spec };
    const codes = await Promise.all([
      explain(JSON.stringify({ connector })),
      explain('{ "connector": { "name": "A" } }'),
      explain('{ "name": "no.such.task", "input": {} }'),
      explain('"no mapping"'),
    ]);
    expect(codes).to.deep.equal([1, 2, 2, 2]);
  });
});
