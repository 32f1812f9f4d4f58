import { expect } from 'chai';
import { z } from 'zod';
import { defineTask } from '../../src/connectors/connector.ts';
import { ownWordsOf } from '../../src/connectors/own-words.ts';
import { Redactor } from '../../src/kit/secret.ts';
import type { Json, TaskResult, ToManager } from '../../src/protocol/messages.ts';
import { assignOf } from '../delegate/frames.ts';
import { Room } from '../delegate/room.ts';
import { leavesNothingOpen } from '../support/open-handles.ts';
import { until } from '../support/until.ts';

const SECRET = 'correct-horse-42';
const GUESSES = ['battery-staple-17', SECRET, `${SECRET} and more`, `x${SECRET}y`, SECRET.slice(0, 10)];

/** Answers with what it was asked, as an approval does, and with what a server says. */
const echo = defineTask({
  name: 'test.echo',
  version: 1,
  effect: 'reads',
  input: z.object({ expected: z.string(), fail: z.boolean() }),
  output: z.object({
    decision: z.enum(['approved', 'pending']),
    expected: z.string(),
    reason: z.string(),
    value: z.string(),
  }),
  run({ expected }) {
    return Promise.resolve({
      decision: 'pending' as const,
      expected,
      reason: `waiting: value is Foo, not ${expected}`,
      value: 'a stranger’s text, scrubbed where it came in: [secret]',
    });
  },
});

describe('a manager that guesses secrets', () => {
  leavesNothingOpen();

  async function answerTo(input: Json, secrets: readonly string[]): Promise<readonly ToManager[]> {
    const redactor = new Redactor();
    for (const secret of secrets) redactor.register(secret);
    const room = new Room({ redactor, taskTypes: [echo] });
    await room.recovered;
    const { session, transport } = await room.open();
    transport.arrive(assignOf({ taskId: 't-1', name: 'test.echo', input }));
    await until('an answer', () => transport.sent.some(({ type }) => /^task\.(result|reject)$/.test(type)));
    await session.leave('done');
    return transport.sent.filter(({ type }) => type === 'task.result' || type === 'task.reject');
  }

  const isResult = (frame: ToManager | undefined): frame is TaskResult => frame?.type === 'task.result';

  for (const guess of GUESSES) {
    it(`learns nothing of an answer that repeats its guess (${GUESSES.indexOf(guess) + 1})`, async () => {
      const [right] = await answerTo({ expected: guess, fail: false }, [SECRET]);
      const [wrong] = await answerTo({ expected: guess, fail: false }, []);
      if (!isResult(right) || !isResult(wrong)) return expect.fail('no result');
      const { timing: _, ...seenIfRight } = right;
      const { timing: __, ...seenIfWrong } = wrong;
      expect(seenIfRight).to.deep.equal(seenIfWrong);
    });

    it(`learns nothing of a reject that repeats its guess (${GUESSES.indexOf(guess) + 1})`, async () => {
      const input = { expected: 1, fail: guess, [guess]: guess };
      expect(await answerTo(input, [SECRET])).to.deep.equal(await answerTo(input, []));
    });
  }

  it('reads the words of an answer, though one of them is a secret', async () => {
    const [result] = await answerTo({ expected: 'x', fail: false }, ['pending']);
    expect(isResult(result) && result.outcome === 'succeeded' && result.output).to.include({
      decision: 'pending',
    });
  });

  it('still gets no secret that it did not say', async () => {
    const [result] = await answerTo({ expected: 'x', fail: false }, ['Foo, not x']);
    expect(JSON.stringify(result)).to.contain('[secret]');
  });
});

describe('the words of an answer', () => {
  it('are those of its fixed vocabulary, however deep', () => {
    const schema = z.object({
      a: z.array(z.union([z.literal('one'), z.object({ b: z.enum(['two', 'three']).nullable() })])),
      n: z.literal(4),
      s: z.string(),
    });
    expect([...ownWordsOf(schema)].toSorted()).to.deep.equal(['one', 'three', 'two']);
  });
});
