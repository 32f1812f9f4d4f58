import { spawn } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { expect } from 'chai';
import { z } from 'zod';
import { startWorld, type World } from '../../src/dev/world.ts';
import { CLI } from '../support/cli.ts';
import { until } from '../support/until.ts';
import { leavesNothingOpen } from '../support/open-handles.ts';

const task = z.object({
  taskId: z.string(),
  state: z.string(),
  outcome: z.string().nullable(),
  error: z.object({ code: z.string() }).optional(),
});

const readiness = z.object({ ready: z.boolean(), phase: z.string() });

/** Whether anybody listens there. */
async function answers(port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

/** Real processes and real signals: what an orchestrator does to a delegate. */
describe('leaving', function () {
  this.timeout(60_000);
  let world: World;
  let lines: string[];

  beforeEach(async () => {
    lines = [];
    world = await startWorld({
      cli: [CLI],
      environment: process.env,
      onLine: (name, line) => lines.push(`${name} ${line}`),
    });
    await world.manager.post('/api/v1/connectors', world.connectors.password, z.unknown());
  });

  afterEach(() => world.stop());

  /** A test of the connector whose answer from ServiceNow takes `ms`. */
  async function startSlowTask(ms: number): Promise<string> {
    await world.serviceNowAdmin.post(
      '/__sim/faults/add',
      { fault: 'stall-headers', ms, match: { route: 'table' } },
      z.unknown(),
    );
    const { taskId } = await world.manager.post(
      `/api/v1/connectors/${world.connectors.password.identifier}/test`,
      undefined,
      task,
    );
    await world.delegate.line((line) => line['taskId'] === taskId && line['to'] === 'running');
    return taskId;
  }

  leavesNothingOpen();

  it('answers /livez and /readyz while it runs', async () => {
    const live = await fetch(`${world.addresses.health}/livez`);
    const ready = await fetch(`${world.addresses.health}/readyz`);
    expect([live.status, ready.status]).to.deep.equal([200, 200]);
    expect(readiness.parse(await ready.json())).to.deep.equal({ ready: true, phase: 'ready' });
  });

  it('stays live and stops being ready when the manager is gone', async () => {
    await world.stopManager();
    await world.delegate.line((line) => line['from'] === 'ready' && line['to'] === 'connecting');
    const live = await fetch(`${world.addresses.health}/livez`);
    const ready = await fetch(`${world.addresses.health}/readyz`);
    expect([live.status, ready.status]).to.deep.equal([200, 503]);
  });

  it('SIGTERM lets a running task end, delivers its result and exits 0', async () => {
    const taskId = await startSlowTask(1_500);
    expect(await world.delegate.stop()).to.equal(0);
    const { outcome } = await world.manager.get(`/api/v1/tasks/${taskId}?wait=1000`, task);
    expect(outcome).to.equal('succeeded');
    expect(lines.some((line) => line.startsWith('delegate ') && line.includes('delegate stopped'))).to.equal(
      true,
    );
  });

  it('SIGINT while idle exits 0', async () => {
    world.delegate.kill('SIGINT');
    expect(await world.delegate.exited).to.equal(0);
  });

  it('a process of the world ends in order when the one that started it is killed', async () => {
    const parent = spawn(process.execPath, [CLI, 'demo', '--verbose'], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let said = '';
    parent.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
    const isOpen = (name: string): boolean => new RegExp(`^\\[${name}\\].*session open`, 'm').test(said);
    await until('everybody is ready', () => isOpen('delegate') && isOpen('old-delegate'), 20_000);
    const folder = /"stateDir":"([^"]+)\/eu-1"/.exec(said)?.[1] ?? '';
    const ports = new Set(
      [...said.matchAll(/http:\/\/127\.0\.0\.1:(\d+)/g)].map((match) => Number(match[1])),
    );
    expect(ports.size).to.be.at.least(6);
    parent.kill('SIGKILL');
    const giveUpAt = performance.now() + 20_000;
    for (const port of ports) {
      while (await answers(port)) expect(performance.now()).to.be.lessThan(giveUpAt);
    }
    await rm(folder, { recursive: true });
  });

  it('a second signal ends the process at once, with the code that says so', async () => {
    await startSlowTask(20_000);
    world.delegate.kill('SIGTERM');
    await world.delegate.line((line) => line['to'] === 'draining');
    world.delegate.kill('SIGTERM');
    // What a shell reports as 143.
    expect(await world.delegate.exited).to.equal('SIGTERM');
  });
});
