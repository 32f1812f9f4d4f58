import { getEventListeners } from 'node:events';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect } from 'chai';
import * as fc from 'fast-check';
import { deferred, ended, Mailbox, untilAborted } from '../../src/kit/flow.ts';
import { rejectionOf } from '../support/failure.ts';

function listenersOf(signal: AbortSignal): number {
  return getEventListeners(signal, 'abort').length;
}

describe('waiting until aborted', () => {
  it('gives what the work gives, and leaves no listener', async () => {
    const { signal } = new AbortController();
    expect(await untilAborted(Promise.resolve(5), signal)).to.equal(5);
    expect(listenersOf(signal)).to.equal(0);
  });

  it('rejects as the work does, and leaves no listener', async () => {
    const { signal } = new AbortController();
    const failure = new Error('work');
    expect(await rejectionOf(untilAborted(Promise.reject(failure), signal))).to.equal(failure);
    expect(listenersOf(signal)).to.equal(0);
  });

  it("ends with the signal's reason while the work goes on, and leaves no listener", async () => {
    const controller = new AbortController();
    const work = deferred<void>();
    const waiting = rejectionOf(untilAborted(work.promise, controller.signal));
    expect(listenersOf(controller.signal)).to.equal(1);
    const reason = new Error('stop');
    controller.abort(reason);
    expect(await waiting).to.equal(reason);
    expect(listenersOf(controller.signal)).to.equal(0);
    work.resolve();
  });

  it('rejects with an error even for a reason that is none, before and after the abort alike', async () => {
    const controller = new AbortController();
    const waiting = rejectionOf(untilAborted(deferred<void>().promise, controller.signal));
    controller.abort('stop');
    const late = rejectionOf(untilAborted(deferred<void>().promise, controller.signal));
    for (const reason of [await waiting, await late]) {
      expect(reason).to.be.instanceOf(Error).with.property('cause', 'stop');
    }
  });

  it('under a signal that has ended leaves no rejection that nobody hears', async () => {
    const unheard: unknown[] = [];
    const hear = (reason: unknown): void => void unheard.push(reason);
    // Mocha has its own listener, which would fail the run before this test could say why.
    const others = process.listeners('unhandledRejection');
    process.removeAllListeners('unhandledRejection').on('unhandledRejection', hear);
    try {
      const reason = new Error('stop');
      const waiting = untilAborted(Promise.reject(new Error('work')), AbortSignal.abort(reason));
      expect(await rejectionOf(waiting)).to.equal(reason);
      await nextTurn();
    } finally {
      process.removeListener('unhandledRejection', hear);
      for (const other of others) process.on('unhandledRejection', other);
    }
    expect(unheard).to.deep.equal([]);
  });
});

describe('the end of work', () => {
  it('is the same whether it succeeds or fails', async () => {
    expect(await ended(Promise.resolve('a value'))).to.equal(undefined);
    expect(await ended(Promise.reject(new Error('a failure')))).to.equal(undefined);
  });
});

describe('a mailbox', () => {
  async function readAll<T>(box: Mailbox<T>): Promise<T[]> {
    const items: T[] = [];
    for await (const item of box) items.push(item);
    return items;
  }

  it('hands out in order what was put in, before and while it is read', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(fc.anything(), fc.boolean())), async (puts) => {
        const box = new Mailbox<unknown>(puts.length);
        const reading = readAll(box);
        for (const [item, pause] of puts) {
          expect(box.put(item)).to.equal(true);
          if (pause) await Promise.resolve();
        }
        box.end();
        expect(await reading).to.deep.equal(puts.map(([item]) => item));
      }),
    );
  });

  it('refuses what is over its bound, and takes again when there is room', async () => {
    const box = new Mailbox<number>(2);
    expect([box.put(1), box.put(2), box.put(3)]).to.deep.equal([true, true, false]);
    const reader = box[Symbol.asyncIterator]();
    expect((await reader.next()).value).to.equal(1);
    expect([box.put(4), box.put(5)]).to.deep.equal([true, false]);
    box.end();
    expect(await readAll(box)).to.deep.equal([2, 4]);
  });

  it('handles one item at a time, however slow its reader is', async () => {
    const box = new Mailbox<number>(10);
    const trace: string[] = [];
    const reading = (async () => {
      for await (const item of box) {
        trace.push(`start ${item}`);
        await nextTurn();
        trace.push(`end ${item}`);
      }
    })();
    for (const item of [1, 2, 3]) box.put(item);
    box.end();
    await reading;
    expect(trace).to.deep.equal(['start 1', 'end 1', 'start 2', 'end 2', 'start 3', 'end 3']);
  });

  it('after its end hands out what it has, takes nothing, and ends its reader', async () => {
    const box = new Mailbox<string>(5);
    box.put('last');
    box.end();
    expect(box.put('too late')).to.equal(false);
    expect(await readAll(box)).to.deep.equal(['last']);
  });

  it('wakes a reader that waits when it ends', async () => {
    const box = new Mailbox<string>(5);
    const reading = readAll(box);
    await nextTurn();
    box.end();
    expect(await reading).to.deep.equal([]);
  });

  it('carries undefined like any other item', async () => {
    const box = new Mailbox<undefined>(2);
    box.put(undefined);
    box.end();
    expect(await readAll(box)).to.deep.equal([undefined]);
  });
});
