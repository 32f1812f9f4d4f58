import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import type { TaskRef } from '../../src/protocol/messages.ts';
import { CompiledProcesses } from '../chaos/compile.ts';
import { crashSaid, type CrashOrder, type CrashPoint, type CrashSaid } from '../chaos/crash-steps.ts';
import { ProcessPool, type Worker } from '../chaos/worker.ts';
import { leavesNothingOpen } from '../support/open-handles.ts';
import { ScriptedManager, type ScriptedConnection } from '../support/scripted-manager.ts';
import { tempDirs } from '../support/temp-dir.ts';
import { within } from '../support/until.ts';

/** SIGKILL at every step of the way of a task, by the process itself or, where the step is a frame, from outside. */
type Step =
  | { readonly name: string; readonly dieAt: CrashPoint }
  | { readonly name: string; readonly killAt: 'task.accept' | 'task.result' };

const STEPS = [
  { name: 'before begin', dieAt: 'before begin' },
  { name: 'begin durable, accept not sent', dieAt: 'after begin' },
  { name: 'accept sent, no ack yet', killAt: 'task.accept' },
  { name: 'ack received, before the start record', dieAt: 'before start' },
  { name: 'start durable, before the work', dieAt: 'after start' },
  { name: 'in the work, before its effect', dieAt: 'before effect' },
  { name: 'in the work, after its effect', dieAt: 'after effect' },
  { name: 'work ended, before finish', dieAt: 'before finish' },
  { name: 'finish durable, result not sent', dieAt: 'after finish' },
  { name: 'result sent, before result.ack', killAt: 'task.result' },
  { name: 'result.ack received, before forget', dieAt: 'before forget' },
  { name: 'forget written', dieAt: 'after forget' },
] as const satisfies readonly Step[];

type StepName = (typeof STEPS)[number]['name'];

/** What the manager hears after the restart. */
type Outcome =
  /** No result, and the attempt is not known: it is done when it is assigned again. */
  | 'not begun'
  /** `failed`/`interrupted`, to be tried again by whoever likes. */
  | 'interrupted'
  /** `unknown`: it may have been done. */
  | 'unknown'
  | 'succeeded'
  /** No result, and the attempt is not done again. */
  | 'settled';

/** For a task that writes: the outcome, and the lines in the ledger when the process is dead. */
const WRITING: Readonly<Record<StepName, readonly [Outcome, lines: number]>> = {
  'before begin': ['not begun', 0],
  'begin durable, accept not sent': ['interrupted', 0],
  'accept sent, no ack yet': ['interrupted', 0],
  'ack received, before the start record': ['interrupted', 0],
  'start durable, before the work': ['unknown', 0],
  'in the work, before its effect': ['unknown', 0],
  'in the work, after its effect': ['unknown', 1],
  'work ended, before finish': ['unknown', 1],
  'finish durable, result not sent': ['succeeded', 1],
  'result sent, before result.ack': ['succeeded', 1],
  'result.ack received, before forget': ['succeeded', 1],
  'forget written': ['settled', 1],
};

/** A task that reads waits for no ack and has no start record: these two steps are not on its way. */
const READING: Readonly<Record<StepName, Outcome | 'not on its way'>> = {
  'before begin': 'not begun',
  'begin durable, accept not sent': 'interrupted',
  'accept sent, no ack yet': 'interrupted',
  'ack received, before the start record': 'not on its way',
  'start durable, before the work': 'not on its way',
  'in the work, before its effect': 'interrupted',
  'in the work, after its effect': 'interrupted',
  'work ended, before finish': 'interrupted',
  'finish durable, result not sent': 'succeeded',
  'result sent, before result.ack': 'succeeded',
  'result.ack received, before forget': 'succeeded',
  'forget written': 'settled',
};

/** Two for each test, and two that load meanwhile. */
const LOADED = 4;

const REF: TaskRef = { taskId: 't-1', attempt: 1 };

describe('a delegate that is killed', function () {
  this.timeout(30_000);
  const makeFolder = tempDirs();
  const visited: string[] = [];
  let compiled: CompiledProcesses;
  let pool: ProcessPool<CrashOrder, CrashSaid>;
  let manager: ScriptedManager;

  before(async () => {
    compiled = await CompiledProcesses.make();
    pool = new ProcessPool(compiled.entry('crash-steps'), crashSaid, LOADED);
  });
  after(async () => {
    await pool[Symbol.asyncDispose]();
    await compiled[Symbol.asyncDispose]();
  });
  beforeEach(async () => {
    manager = await ScriptedManager.start();
  });
  afterEach(() => manager[Symbol.asyncDispose]());
  leavesNothingOpen();

  async function start(folder: string, dieAt: CrashPoint | null): Promise<Worker<CrashOrder, CrashSaid>> {
    const worker = await pool.take();
    worker.order({
      managerUrl: manager.url,
      stateDir: join(folder, 'state'),
      ledgerPath: join(folder, 'ledger'),
      tracePath: join(folder, 'trace'),
      dieAt,
    });
    return worker;
  }

  /** Gives it the task, and resolves when it has died at the step. */
  async function killAtStep(step: Step, folder: string, name: string): Promise<void> {
    const killAt = 'killAt' in step ? step.killAt : undefined;
    manager.script.ackAccepts = killAt !== 'task.accept';
    manager.script.ackResults = killAt !== 'task.result';
    const worker = await start(folder, 'dieAt' in step ? step.dieAt : null);
    const connection = await manager.nextSession();
    connection.assign(REF, killAt === 'task.accept' && name === 'steps.read' ? 'steps.hang' : name);
    if (killAt !== undefined) {
      await connection.next(killAt);
      worker.kill('SIGKILL');
    }
    expect(await within('its death', worker.exited)).to.equal('SIGKILL');
    if ('dieAt' in step) expect(contentOf(join(folder, 'trace'))).to.equal(`${step.dieAt}\n`);
    visited.push(`${name}: ${step.name}`);
    manager.script.ackAccepts = true;
    manager.script.ackResults = false;
  }

  /** What the next run tells, and what it answers to the same assign once more: before and after the `result.ack`. */
  async function judge(connection: ScriptedConnection, name: string): Promise<Outcome> {
    const { running, unacknowledged } = await connection.next('hello');
    expect(running).to.deep.equal([]);
    if (unacknowledged.length > 0) {
      expect(unacknowledged).to.deep.equal([REF]);
      const result = await connection.next('task.result');
      connection.assign(REF, name);
      expect(await connection.next('task.result')).to.deep.equal(result);
      connection.send({ type: 'result.ack', ...REF });
      connection.assign(REF, name);
      expect(await connection.next('task.reject')).to.include({ ...REF, code: 'stale-attempt' });
      if (result.outcome === 'succeeded' || result.outcome === 'unknown') return result.outcome;
      expect(result).to.have.nested.include({ 'error.code': 'interrupted', 'error.retryable': true });
      return 'interrupted';
    }
    connection.assign(REF, name);
    await connection.synchronise();
    const [reject] = connection.all('task.reject').filter(({ taskId }) => taskId === REF.taskId);
    if (reject !== undefined) {
      expect(reject.code).to.equal('stale-attempt');
      return 'settled';
    }
    expect(await connection.next('task.result')).to.include({ ...REF, outcome: 'succeeded' });
    return 'not begun';
  }

  async function crash(
    step: Step,
    name: string,
  ): Promise<{ outcome: Outcome; lines: number; linesLater: number }> {
    const folder = await makeFolder();
    await killAtStep(step, folder, name);
    const lines = linesOf(folder);
    const worker = await start(folder, null);
    const outcome = await judge(await manager.nextConnection(), name);
    manager.script.ackResults = true;
    await worker.started;
    worker.kill('SIGTERM');
    expect(await within('its end', worker.exited)).to.equal(0);
    return { outcome, lines, linesLater: linesOf(folder) };
  }

  for (const step of STEPS) {
    const [outcome, lines] = WRITING[step.name];
    it(`${step.name}: what may write is ${outcome}, and done ${lines + Number(outcome === 'not begun')} ×`, async () => {
      const linesLater = outcome === 'not begun' ? 1 : lines;
      expect(await crash(step, 'steps.write')).to.deep.equal({ outcome, lines, linesLater });
    });
  }

  for (const step of STEPS) {
    const outcome = READING[step.name];
    if (outcome === 'not on its way') continue;
    it(`${step.name}: what only reads is ${outcome}`, async () => {
      expect(await crash(step, 'steps.read')).to.include({ outcome });
    });
  }

  it('was killed at every step of both ways', () => {
    const reading = STEPS.filter(({ name }) => READING[name] !== 'not on its way');
    expect(visited).to.deep.equal([
      ...STEPS.map(({ name }) => `steps.write: ${name}`),
      ...reading.map(({ name }) => `steps.read: ${name}`),
    ]);
  });
});

function contentOf(path: string): string {
  return existsSync(path) ? readFileSync(path, 'utf8') : '';
}

function linesOf(folder: string): number {
  return contentOf(join(folder, 'ledger')).split('\n').length - 1;
}
