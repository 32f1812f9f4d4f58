import { expect } from 'chai';
import { SpokenWords } from '../../../src/delegate/tasks/spoken-words.ts';
import { TaskEntry } from '../../../src/delegate/tasks/task-state.ts';
import { MASK, Redactor } from '../../../src/kit/secret.ts';
import type { TaskAssign } from '../../../src/protocol/messages.ts';

const SECRET = 'canary-that-was-guessed';
const REF = { taskId: 't-1', attempt: 1 } as const;

describe('what the manager has said of a task', () => {
  let redactor: Redactor;
  let entry: TaskEntry;
  let words: SpokenWords;

  beforeEach(() => {
    redactor = new Redactor();
    redactor.register(SECRET);
    entry = new TaskEntry({ ref: REF, name: 'test.echo', effect: 'reads', receivedAt: 0 });
    words = new SpokenWords(redactor, () => entry);
  });

  const say = (input: TaskAssign['input']): void => {
    words.keep(entry, { type: 'task.assign', ...REF, name: 'test.echo', version: 1, input, timeoutMs: 1 });
  };
  const echoed = (message: string): unknown =>
    words.clean({ type: 'task.progress', ...REF, seq: 0, message });

  for (const [when, then] of [
    ['while it runs', () => {}],
    ['when it has ended', () => words.settle(entry)],
  ] as const) {
    it(`is not masked in the answer ${when}: a mask would confirm a guess`, () => {
      say({ guess: SECRET, other: 'x' });
      then();
      expect(echoed(SECRET)).to.include({ message: SECRET });
    });

    it(`leaves masked what others have said ${when}`, () => {
      say({ guess: 'canary-that-was' });
      then();
      expect(echoed(SECRET)).to.include({ message: MASK });
    });
  }

  it('is not kept for a result that waits, but for the words that need it', () => {
    const pad = 'x'.repeat(100_000);
    say({ guess: SECRET, pad, long: `${pad}${SECRET}` });
    expect(words.of(REF)?.().length).to.be.greaterThan(200_000);
    words.settle(entry);
    expect(words.of(REF)?.()).to.equal(SECRET);
  });
});
