import { expect } from 'chai';
import * as fc from 'fast-check';
import { Outbox, SEND_WINDOW_BYTES, type Channel } from '../../../src/delegate/tasks/outbox.ts';
import { fitResult } from '../../../src/delegate/tasks/task-result.ts';
import { encodeToManager } from '../../../src/protocol/codec.ts';
import { MAX_FRAME_BYTES, MIN_FRAME_BYTES } from '../../../src/protocol/limits.ts';
import { keyOf, type TaskRef, type TaskResult, type ToManager } from '../../../src/protocol/messages.ts';
import { REF, resultOf } from '../frames.ts';
import { ROOMY } from '../../support/outbox-limits.ts';

class RecordingChannel implements Channel {
  readonly maxFrameBytes: number;
  readonly sent: ToManager[] = [];

  constructor(maxFrameBytes = MAX_FRAME_BYTES) {
    this.maxFrameBytes = maxFrameBytes;
  }

  send(message: ToManager, onSent?: () => void): boolean {
    this.sent.push(message);
    onSent?.();
    return true;
  }

  get keys(): string[] {
    return this.sent.map((frame) => (frame.type === 'task.result' ? keyOf(frame) : frame.type));
  }
}

/** A line that takes what it was given only when the test says so. */
class SlowChannel extends RecordingChannel {
  readonly #waiting: (() => void)[] = [];

  override send(message: ToManager, onSent: () => void = () => {}): boolean {
    this.#waiting.push(onSent);
    return super.send(message);
  }

  take(): void {
    this.#waiting.shift()?.();
  }
}

const refOf = (n: number): TaskRef => ({ taskId: `t-${n}`, attempt: 1 });

describe('the outbox', () => {
  it('keeps a result across five cuts, and forgets it at its acknowledgement', () => {
    const outbox = new Outbox(ROOMY);
    outbox.put(resultOf(REF));
    for (let cut = 0; cut < 5; cut += 1) {
      const channel = new RecordingChannel();
      outbox.attach(channel);
      expect(channel.keys).to.deep.equal(['t-1#1']);
      outbox.detach(channel);
    }
    expect(outbox.acknowledge(REF)).to.equal(true);
    expect(outbox.acknowledge(REF)).to.equal(false);
    expect(outbox.size).to.equal(0);
  });

  it('is not silenced by the late end of an older session', () => {
    const outbox = new Outbox(ROOMY);
    const [old, current] = [new RecordingChannel(), new RecordingChannel()];
    outbox.attach(old);
    outbox.attach(current);
    outbox.detach(old);
    outbox.put(resultOf(REF));
    expect(current.keys).to.deep.equal(['t-1#1']);
    expect(old.keys).to.deep.equal([]);
  });

  it('tells everybody who waits that it is empty, each time it becomes so', async () => {
    const outbox = new Outbox(ROOMY);
    await outbox.emptied();
    for (let round = 0; round < 2; round += 1) {
      outbox.put(resultOf(REF));
      let heard = 0;
      const waiting = [outbox.emptied(), outbox.emptied()].map((wait) => wait.then(() => (heard += 1)));
      await Promise.resolve();
      expect(heard).to.equal(0);
      outbox.acknowledge(REF);
      await Promise.all(waiting);
      expect(heard).to.equal(2);
    }
  });

  it('has room for so many results, and takes even those beyond', () => {
    const outbox = new Outbox({ ...ROOMY, maxResults: 3 });
    const room = [1, 2, 3, 4].map((n) => {
      outbox.put(resultOf(refOf(n)));
      return outbox.room;
    });
    expect(room).to.deep.equal([2, 1, 0, 0]);
    expect(outbox.size).to.equal(4);
  });

  it('has no room at its bound of bytes, until some of them are acknowledged', () => {
    const outbox = new Outbox({ maxResults: 10, maxBytes: 10_000 });
    outbox.put(resultOf(refOf(1), 'x'.repeat(6_000)));
    expect(outbox.room).to.equal(9);
    outbox.put(resultOf(refOf(2), 'x'.repeat(6_000)));
    expect(outbox.room).to.equal(0);
    outbox.acknowledge(refOf(1));
    expect(outbox.room).to.equal(9);
  });

  it('counts, and hands over for the journal, what replaced a result that was too large', () => {
    const outbox = new Outbox({ maxResults: 10, maxBytes: 2 * MIN_FRAME_BYTES });
    const replaced: TaskResult[] = [];
    outbox.onReplaced = (result) => void replaced.push(result);
    outbox.put(resultOf(REF, 'x'.repeat(3 * MIN_FRAME_BYTES)));
    expect(outbox.room).to.equal(0);
    const channel = new RecordingChannel(MIN_FRAME_BYTES);
    outbox.attach(channel);
    expect(outbox.room).to.equal(9);
    expect(replaced).to.deep.equal(channel.sent);
    expect(replaced[0]).to.have.nested.property('error.code', 'result-too-large');
  });

  it('tells the same story in a later session that has more room', () => {
    const outbox = new Outbox(ROOMY);
    const [narrow, wide] = [new RecordingChannel(MIN_FRAME_BYTES), new RecordingChannel()];
    outbox.put(resultOf(REF, 'x'.repeat(2 * MIN_FRAME_BYTES)));
    outbox.attach(narrow);
    outbox.attach(wide);
    expect(wide.sent).to.deep.equal(narrow.sent);
    expect(wide.sent[0]).to.have.nested.property('error.code', 'result-too-large');
  });

  it('gives a line that takes nothing one window, and the rest in order as it takes it', () => {
    const outbox = new Outbox(ROOMY);
    const line = new SlowChannel();
    for (let n = 0; n < 10; n += 1) outbox.put(resultOf(refOf(n), 'x'.repeat(SEND_WINDOW_BYTES / 4)));
    outbox.attach(line);
    outbox.put(resultOf(refOf(10)));
    expect(line.keys).to.deep.equal(['t-0#1', 't-1#1', 't-2#1', 't-3#1']);
    outbox.sendAgain(refOf(9));
    outbox.acknowledge(refOf(4));
    for (let taken = 0; taken < 10; taken += 1) line.take();
    expect(line.keys.slice(4)).to.deep.equal(['t-5#1', 't-6#1', 't-7#1', 't-8#1', 't-9#1', 't-10#1']);
  });

  it('does not count for a new line what an older one still holds', () => {
    const outbox = new Outbox(ROOMY);
    const [old, current] = [new SlowChannel(), new SlowChannel()];
    const half = 'x'.repeat(SEND_WINDOW_BYTES / 2);
    for (const n of [0, 1, 2]) outbox.put(resultOf(refOf(n), half));
    outbox.attach(old);
    outbox.attach(current);
    expect(current.keys).to.deep.equal(['t-0#1', 't-1#1']);
    old.take();
    expect(current.keys).to.deep.equal(['t-0#1', 't-1#1']);
    current.take();
    expect(current.keys).to.deep.equal(['t-0#1', 't-1#1', 't-2#1']);
  });

  it('loses nothing, invents nothing and keeps the order, however puts, cuts and acknowledgements mix', () => {
    const step = fc.oneof(
      { weight: 4, arbitrary: fc.constant({ do: 'put' } as const) },
      { weight: 3, arbitrary: fc.record({ do: fc.constant('ack' as const), nth: fc.nat({ max: 20 }) }) },
      { weight: 1, arbitrary: fc.record({ do: fc.constant('again' as const), nth: fc.nat({ max: 20 }) }) },
      { weight: 1, arbitrary: fc.constant({ do: 'attach' } as const) },
      { weight: 1, arbitrary: fc.constant({ do: 'detach' } as const) },
      { weight: 1, arbitrary: fc.constant({ do: 'detach-old' } as const) },
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const outbox = new Outbox(ROOMY);
        const waiting: string[] = [];
        const channels: RecordingChannel[] = [];
        let attached: RecordingChannel | undefined;
        let made = 0;
        for (const one of steps) {
          const heardBefore = attached?.keys.length ?? 0;
          let heard: string[] = [];
          switch (one.do) {
            case 'put': {
              const ref = refOf((made += 1));
              waiting.push(keyOf(ref));
              outbox.put(resultOf(ref));
              heard = [keyOf(ref)];
              break;
            }
            case 'ack': {
              const known = waiting.splice(waiting.indexOf(keyOf(refOf(one.nth))) >>> 0, 1);
              expect(outbox.acknowledge(refOf(one.nth))).to.equal(known.length === 1);
              break;
            }
            case 'again':
              outbox.sendAgain(refOf(one.nth));
              heard = waiting.filter((key) => key === keyOf(refOf(one.nth)));
              break;
            case 'attach':
              attached = new RecordingChannel();
              channels.push(attached);
              outbox.attach(attached);
              expect(attached.keys).to.deep.equal(waiting);
              break;
            case 'detach':
              if (attached !== undefined) outbox.detach(attached);
              attached = undefined;
              break;
            case 'detach-old':
              for (const channel of channels) if (channel !== attached) outbox.detach(channel);
          }
          expect(outbox.refs().map(keyOf)).to.deep.equal(waiting);
          if (one.do !== 'attach' && attached !== undefined) {
            expect(attached.keys.slice(heardBefore)).to.deep.equal(heard);
          }
        }
      }),
    );
  });
});

describe('fitting a result into a frame', () => {
  it('leaves a result that fits as it is', () => {
    const result = resultOf(REF, 'small');
    expect(fitResult(result)).to.equal(result);
  });

  it('replaces one byte too many by failed/result-too-large, and that fits', () => {
    const result = resultOf(REF, 'é'.repeat(3_000));
    const bytes = Buffer.byteLength(encodeToManager(result));
    expect(fitResult(result, bytes)).to.equal(result);
    const replaced = fitResult(result, bytes - 1);
    expect(replaced).to.include({ ...REF, outcome: 'failed' });
    expect(replaced).to.have.nested.property('error.code', 'result-too-large');
    expect(replaced.timing).to.equal(result.timing);
    expect(Buffer.byteLength(encodeToManager(replaced))).to.be.at.most(MIN_FRAME_BYTES);
  });

  it('leaves an unknown one unknown, in fewer words', () => {
    const { type, taskId, attempt, delegate, timing } = resultOf(REF);
    const error = {
      code: 'interrupted',
      message: 'x'.repeat(4_000),
      hint: '\u{1F600}'.repeat(2_000),
      category: 'ambiguous' as const,
      retryable: false,
    };
    const fitted = fitResult(
      { type, taskId, attempt, delegate, timing, outcome: 'unknown', error },
      MIN_FRAME_BYTES,
    );
    expect(fitted).to.include({ outcome: 'unknown' }).and.have.nested.property('error.code', 'interrupted');
    expect(Buffer.byteLength(encodeToManager(fitted))).to.be.at.most(MIN_FRAME_BYTES);
  });

  it('replaces what has no frame at all by failed/internal', () => {
    let deep: { in: typeof deep | null } = { in: null };
    for (let depth = 0; depth < 100; depth += 1) deep = { in: deep };
    expect(fitResult(resultOf(REF, deep))).to.have.nested.property('error.code', 'internal');
  });
});
