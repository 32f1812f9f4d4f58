import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { expect } from 'chai';
import { exitOf } from '../support/child.ts';
import { CLI } from '../support/cli.ts';
import { leavesNothingOpen } from '../support/open-handles.ts';
import { until } from '../support/until.ts';

/** Five processes on two busy cores. */
const WORLD_STANDS_WITHIN_MS = 30_000;

describe('the lines that `npm run dev` prints', function () {
  this.timeout(60_000);
  leavesNothingOpen();

  const environment = { PATH: process.env['PATH'] ?? '' };

  async function shell(command: string): Promise<{ code: number | string; stdout: string }> {
    const child = spawn('bash', ['--norc', '-c', command], {
      env: environment,
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    let stdout = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    return { code: await exitOf(child), stdout };
  }

  it('test a connector and have a ticket approved, with the manager and without it', async () => {
    const world = spawn(process.execPath, [CLI, 'dev'], {
      env: environment,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let text = '';
    let complaints = '';
    let settingsFile = '';
    world.stdout.setEncoding('utf8').on('data', (more: string) => (text += more));
    world.stderr.setEncoding('utf8').on('data', (more: string) => (complaints += more));
    const ended = exitOf(world);
    try {
      await until('the world stands', () => /^printf .* check - /m.test(text), WORLD_STANDS_WITHIN_MS);
      const lines = text.split('\n');
      const [test = '', ask = '', move = ''] = lines.filter((line) => line.startsWith('curl '));
      const settings = lines.find((line) => line.startsWith('. /')) ?? '';
      settingsFile = settings.slice(2);
      expect(existsSync(settingsFile)).to.equal(true);
      const exports = [settings, ...lines.filter((line) => line.startsWith('export '))].join('\n');
      const [status = '', doctor = ''] = lines.filter((line) => /^node .* (status|doctor)$/.test(line));
      const [validate = '', check = ''] = lines.filter((line) => line.startsWith('printf '));

      expect((await shell(`${settings}\n${status}`)).stdout).to.contain('✓ eu-1 is ready');
      expect((await shell(`${settings}\n${doctor}`)).stdout).to.contain(' 0 with a warning, 0 failed');
      expect((await shell(test)).stdout).to.contain('SUCCESS');
      expect((await shell(ask)).stdout).to.contain('"status":"waiting"');
      expect(await shell(`${exports}\n${validate}`)).to.include({ code: 0 });
      const pending = check.replace('--wait=600 --interval=10', '');
      expect(await shell(`${exports}\n${pending}`)).to.include({ code: 10 });
      expect(await shell(move)).to.include({ code: 0 });
      const approved = await shell(`${exports}\n${check}`);
      expect(approved).to.include({ code: 0 });
      expect(approved.stdout).to.match(/^✓ approved: state is Implement/m);
    } finally {
      world.kill('SIGTERM');
      await ended;
    }
    expect(existsSync(settingsFile)).to.equal(false);
    expect(complaints).to.equal('');
    expect(await ended).to.equal(0);
  });
});
