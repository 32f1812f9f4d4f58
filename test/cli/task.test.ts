import { expect } from 'chai';
import { runTask, untilSettled, type TaskSurroundings } from '../../src/cli/local/task.ts';
import type { PreparedTask, TaskContext } from '../../src/connectors/connector.ts';
import { DelegateError } from '../../src/kit/errors.ts';
import { deferred } from '../../src/kit/flow.ts';
import { Redactor } from '../../src/kit/secret.ts';
import { rejectionOf } from '../support/failure.ts';
import { ManualClock } from '../support/manual-clock.ts';

const READS = { effect: 'reads' } as const;
const CANARY = 'canary-secret-of-the-task';

function surroundings(clock: ManualClock, more: Partial<TaskSurroundings> = {}): TaskSurroundings {
  const redactor = new Redactor();
  redactor.register(CANARY);
  const quiet = (): void => {};
  return {
    clock,
    log: { debug: quiet, info: quiet, warn: quiet },
    redactor,
    signal: new AbortController().signal,
    onProgress: quiet,
    timeoutMs: 5_000,
    ...more,
  };
}

/** Ends when its signal does, as every task must. */
const stalled: PreparedTask = {
  run: (context) =>
    new Promise((_resolve, reject) => {
      context.signal.addEventListener('abort', () => reject(new Error('aborted')));
    }),
};

describe('a task that is run locally', () => {
  it('answers scrubbed, as a delegate in service would', async () => {
    const clock = new ManualClock();
    const answering = { run: () => Promise.resolve({ detail: `it was ${CANARY}` }) };
    expect(await runTask(READS, answering, surroundings(clock))).to.deep.equal({
      outcome: { outcome: 'succeeded', output: { detail: 'it was [secret]' } },
      answer: { detail: `it was ${CANARY}` },
    });
    expect(clock.pending).to.equal(0);
  });

  it('fails with its own error, scrubbed', async () => {
    const failing = {
      run: () =>
        Promise.reject(
          new DelegateError('secret-empty', `${CANARY} is empty`, { category: 'secret', retryable: true }),
        ),
    };
    const error = { code: 'secret-empty', message: '[secret] is empty', category: 'secret', retryable: true };
    expect(await runTask(READS, failing, surroundings(new ManualClock()))).to.deep.equal({
      outcome: { outcome: 'failed', error },
      answer: undefined,
    });
  });

  it('is told its deadline, and has timed out when that has passed', async () => {
    const clock = new ManualClock();
    const seen: TaskContext[] = [];
    const running = runTask(
      READS,
      { run: (context) => (seen.push(context), stalled.run(context)) },
      surroundings(clock),
    );
    await clock.advance(4_999);
    expect(seen[0]?.deadline).to.equal(5_000);
    expect(seen[0]?.signal.aborted).to.equal(false);
    await clock.advance(1);
    const { outcome } = await running;
    expect(outcome).to.have.property('outcome', 'failed');
    expect(outcome).to.have.nested.property('error.code', 'timeout');
    expect(outcome).to.have.nested.property('error.retryable', true);
  });

  it('ends at once with a signal, even if its work does not', async () => {
    const clock = new ManualClock();
    const stop = new AbortController();
    const deaf = { run: () => new Promise<never>(() => {}) };
    const reason = rejectionOf(runTask(READS, deaf, surroundings(clock, { signal: stop.signal })));
    stop.abort(new Error('Ctrl+C'));
    expect(await reason).to.have.property('message', 'Ctrl+C');
    expect(clock.pending).to.equal(0);
  });

  it('tells what it is doing', async () => {
    const told: string[] = [];
    const telling = {
      run: (context: TaskContext) => {
        context.fence();
        context.progress('Secrets resolve');
        return Promise.resolve(null);
      },
    };
    const onProgress = (message: string): void => void told.push(message);
    await runTask(READS, telling, surroundings(new ManualClock(), { onProgress }));
    expect(told).to.deep.equal(['Secrets resolve']);
  });
});

describe('waiting for a decision', () => {
  async function wait(
    answers: readonly string[],
    forMs: number,
  ): Promise<{ answer: string; looks: number; pauses: readonly string[]; atMs: number }> {
    const clock = new ManualClock();
    const pauses: string[] = [];
    let looks = 0;
    const signal = new AbortController().signal;
    const waiting = untilSettled(
      () => Promise.resolve(answers[Math.min(looks++, answers.length - 1)] ?? ''),
      (answer) => answer === 'pending',
      { forMs, intervalMs: 60_000, clock, signal },
      (answer) => pauses.push(answer),
    );
    await clock.advance(forMs);
    return { answer: await waiting, looks, pauses, atMs: clock.monotonic() };
  }

  it('is one look if no time is given', async () => {
    expect(await wait(['pending'], 0)).to.deep.include({ answer: 'pending', looks: 1, pauses: [] });
  });

  it('ends with the decision', async () => {
    expect(await wait(['pending', 'pending', 'approved'], 3_600_000)).to.deep.include({
      answer: 'approved',
      looks: 3,
      pauses: ['pending', 'pending'],
    });
  });

  it('ends with the last look that the time allows', async () => {
    expect(await wait(['pending'], 150_000)).to.deep.include({ answer: 'pending', looks: 3 });
    expect(await wait(['pending'], 120_000)).to.deep.include({ answer: 'pending', looks: 3 });
    expect(await wait(['pending'], 59_000)).to.deep.include({ answer: 'pending', looks: 1 });
  });

  it('ends at once with a signal', async () => {
    const clock = new ManualClock();
    const stop = new AbortController();
    const paused = deferred<void>();
    const reason = rejectionOf(
      untilSettled(
        () => Promise.resolve('pending'),
        () => true,
        { forMs: 3_600_000, intervalMs: 60_000, clock, signal: stop.signal },
        () => paused.resolve(),
      ),
    );
    await paused.promise;
    stop.abort(new Error('Ctrl+C'));
    expect(await reason).to.have.property('message', 'Ctrl+C');
    expect(clock.pending).to.equal(0);
  });
});
