import { expect } from 'chai';
import { outcomeOf, outcomeOfUnstarted, type Outcome } from '../../../src/delegate/tasks/runner.ts';
import { TaskStopped, type StopReason } from '../../../src/delegate/tasks/task-state.ts';
import { DelegateError, ERROR_CATEGORIES } from '../../../src/kit/errors.ts';
import { Redactor } from '../../../src/kit/secret.ts';
import type { TaskEffect } from '../../../src/protocol/messages.ts';
import { outcomeOfWork } from '../../support/run-task.ts';

const UNAVAILABLE = { category: 'unavailable' } as const;

/** Outcome and error code that every ending comes to, for work that only reads and for work that may write. */
const ENDINGS: Record<StopReason, { reads: [string, string]; writes: [string, string] }> = {
  cancelled: { reads: ['cancelled', 'cancelled'], writes: ['unknown', 'cancelled'] },
  deadline: { reads: ['failed', 'timeout'], writes: ['unknown', 'timeout'] },
  shutdown: { reads: ['failed', 'interrupted'], writes: ['unknown', 'interrupted'] },
  'lease-lost': { reads: ['failed', 'lease-lost'], writes: ['unknown', 'lease-lost'] },
  revoked: { reads: ['failed', 'revoked-while-running'], writes: ['unknown', 'revoked-while-running'] },
  discarded: { reads: ['failed', 'discarded'], writes: ['unknown', 'discarded'] },
};
const REASONS = Object.keys(ENDINGS).filter((key): key is StopReason => key in ENDINGS);
const EFFECTS: readonly TaskEffect[] = ['reads', 'writes'];

describe('the outcome of a task', () => {
  for (const reason of REASONS) {
    for (const effect of EFFECTS) {
      const [outcome, code] = ENDINGS[reason][effect];
      it(`is ${outcome}/${code} when work that ${effect} is stopped by ${reason}, whatever it threw`, () => {
        for (const category of ERROR_CATEGORIES) {
          const ended = outcomeOf(new DelegateError('what-it-threw', '', { category }), reason, effect);
          expect(ended.outcome).to.equal(outcome);
          expect(ended.error.code).to.equal(code);
        }
      });
    }

    it(`is never unknown when ${reason} came before the work began`, () => {
      const ended = outcomeOfUnstarted(new TaskStopped(reason, ''), reason);
      expect(ended.outcome).to.equal(ENDINGS[reason].reads[0]);
    });
  }

  for (const category of ERROR_CATEGORIES) {
    for (const effect of EFFECTS) {
      const unknown = effect === 'writes' && category === 'ambiguous';
      it(`is ${unknown ? 'unknown' : 'failed'} after an error of category ${category} in work that ${effect}`, () => {
        const ended = outcomeOf(new DelegateError('some-code', '', { category }), undefined, effect);
        expect(ended.outcome).to.equal(unknown ? 'unknown' : 'failed');
        expect(ended.error).to.include({ code: 'some-code', category });
      });
    }
  }

  it('is failed, with the error itself, when nobody stopped it before the work began', () => {
    const error = new DelegateError('journal-unwritable', '', { category: 'unavailable' });
    const ended = outcomeOfUnstarted(error, undefined);
    expect(ended).to.deep.equal({ outcome: 'failed', error: error.toWire() });
  });

  it('asks nobody to repeat what may have been written', () => {
    const error = new DelegateError('some-code', '', { category: 'ambiguous', retryable: true });
    const ended = outcomeOf(error, undefined, 'writes');
    expect(ended.error.retryable).to.equal(false);
    expect(ended.error.hint).to.match(/look at the record/);
  });
});

describe('running a task', () => {
  const redactor = new Redactor();
  redactor.register('canary-secret');

  const runOf = (work: () => Promise<unknown>, reason?: StopReason): Promise<Outcome> =>
    outcomeOfWork(work, redactor, reason);

  it('succeeds with the output', async () => {
    expect(await runOf(() => Promise.resolve({ n: 1 }))).to.deep.equal({
      outcome: 'succeeded',
      output: { n: 1 },
    });
  });

  it('succeeds with work that was done before its signal could stop it', async () => {
    const ended = await runOf(() => Promise.resolve(1), 'cancelled');
    expect(ended.outcome).to.equal('succeeded');
  });

  it('scrubs secrets from output and from every text of an error', async () => {
    const output = await runOf(() => Promise.resolve({ 'canary-secret': ['x canary-secret y'] }));
    const error = await runOf(() =>
      Promise.reject(
        new DelegateError('some-code', 'canary-secret', {
          ...UNAVAILABLE,
          hint: 'canary-secret',
          details: { one: 'canary-secret', many: ['canary-secret'], none: null, n: 1 },
        }),
      ),
    );
    expect(JSON.stringify([output, error])).not.to.include('canary-secret');
    expect(error).to.have.nested.property('error.details.n', 1);
  });

  it('cuts the texts of an error to what a frame carries', async () => {
    const ended = await runOf(() =>
      Promise.reject(new DelegateError('some-code', 'x'.repeat(100_000), UNAVAILABLE)),
    );
    expect(ended).to.have.nested.property('error.message').with.lengthOf(4_000);
  });

  it('tells nothing of a foreign error but its kind', async () => {
    const ended = await runOf(() => Promise.reject(new RangeError('inner working')));
    expect(ended).to.have.nested.property('error.code', 'internal');
    expect(JSON.stringify(ended)).to.include('RangeError').and.not.to.include('inner working');
  });

  it('fails a task that returns nothing that JSON can say', async () => {
    const ended = await runOf(() => Promise.resolve(undefined));
    expect(ended).to.have.nested.property('error.code', 'internal');
  });
});
