import { expect } from 'chai';
import { Instance, Instances, type Caller } from '../../../src/connectors/servicenow/instance.ts';
import { DelegateError, wrap } from '../../../src/kit/errors.ts';
import { deferred, type Deferred } from '../../../src/kit/flow.ts';
import type { HttpResponse } from '../../../src/kit/http-exchange.ts';
import { ManualClock } from '../../support/manual-clock.ts';

const HOUR_MS = 3_600_000;

const answer = (status: number, headers: Readonly<Record<string, string>> = {}): HttpResponse => ({
  status,
  headers,
  body: '',
});

/** Enough of the judgement for an instance: the real one is tested elsewhere. */
function judge({ status, headers }: HttpResponse): DelegateError | undefined {
  if (status === 200) return undefined;
  const after = headers['retry-after'];
  return new DelegateError(
    after === undefined ? `test.${status}` : `test.${status}-until`,
    `HTTP ${status}.`,
    {
      category: status === 429 ? 'throttled' : status >= 502 ? 'unavailable' : 'refused',
      retryable: true,
      hint: 'Wait.',
      status,
      details: { status, ...(after === undefined ? {} : { retryAfterMs: Number(after) * 1_000 }) },
    },
  );
}

describe('an instance', () => {
  let clock: ManualClock;
  let random: number;
  let instance: Instance;
  let sent: { at: number; reply: Deferred<HttpResponse> }[];
  let prepared: number;
  let waits: { code: string; waitMs: number }[];
  beforeEach(() => {
    clock = new ManualClock();
    random = 0;
    instance = new Instance({ clock, random: () => random });
    sent = [];
    prepared = 0;
    waits = [];
  });

  const once = {
    prepare: () => Promise.resolve((prepared += 1)),
    send: () => {
      const reply = deferred<HttpResponse>();
      sent.push({ at: clock.monotonic(), reply });
      return reply.promise;
    },
    judge,
  };
  /** As a client does: again whenever the instance has closed meanwhile. */
  const ask = async (options: Partial<Caller> = {}): Promise<HttpResponse> => {
    const caller: Caller = {
      signal: new AbortController().signal,
      deadline: clock.monotonic() + HOUR_MS,
      onWait: ({ code }, waitMs) => waits.push({ code, waitMs }),
      ...options,
    };
    for (;;) {
      await instance.opened(caller);
      const exchanged = await instance.exchange(once, caller.signal);
      if (exchanged !== undefined) return exchanged.response;
    }
  };
  const failure = async (work: Promise<unknown>): Promise<DelegateError> =>
    wrap(await work.then(String, (thrown: unknown) => thrown));
  /** Asks, and answers what is sent next. */
  const met = async (response: HttpResponse): Promise<void> => {
    const asked = ask();
    await clock.settle();
    sent.at(-1)?.reply.resolve(response);
    await asked;
  };
  const cut = async (category: 'unavailable' | 'timeout' | 'policy' = 'unavailable'): Promise<void> => {
    const asked = failure(ask());
    await clock.settle();
    sent.at(-1)?.reply.reject(new DelegateError('test.cut', 'Cut off.', { category, retryable: true }));
    await asked;
  };
  const times = async (count: number, step: () => Promise<void>): Promise<void> => {
    for (let time = 0; time < count; time += 1) await step();
  };

  it('is counted among those that are left alone for as long as it is', async () => {
    const instances = new Instances({ clock, random: () => random });
    instance = instances.of('https://acme.service-now.com');
    instances.of('https://other.service-now.com');
    expect(instances.paused).to.equal(0);
    await met(answer(429, { 'retry-after': '2' }));
    expect(instances.paused).to.equal(1);
    await clock.advance(2_000);
    expect(instances.paused).to.equal(0);
  });

  it('takes four requests at a time', async () => {
    const all = Promise.all(Array.from({ length: 9 }, () => ask()));
    await clock.settle();
    expect(sent).to.have.length(4);
    sent[0]?.reply.resolve(answer(200));
    await clock.settle();
    expect(sent).to.have.length(5);
    while (sent.length < 9) {
      for (const { reply } of sent) reply.resolve(answer(200));
      await clock.settle();
    }
    for (const { reply } of sent) reply.resolve(answer(200));
    expect(await all).to.have.length(9);
    expect(instance.isIdle).to.equal(true);
  });

  describe('that says when to come back', () => {
    it('is left alone by everybody until then', async () => {
      await met(answer(429, { 'retry-after': '2' }));
      const all = Promise.all([ask(), ask(), ask()]);
      await clock.advance(1_999);
      expect(sent).to.have.length(1);
      expect(instance.isPaused).to.equal(true);
      expect(waits).to.deep.equal(
        Array.from({ length: 3 }, () => ({ code: 'test.429-until', waitMs: 2_000 })),
      );
      await clock.advance(1);
      expect(instance.isPaused).to.equal(false);
      expect(sent.map(({ at }) => at)).to.deep.equal([0, 2_000, 2_000, 2_000]);
      for (const { reply } of sent) reply.resolve(answer(200));
      await all;
      expect(instance.isIdle).to.equal(true);
    });

    it('is not asked by who stands in the queue already, and what that one prepared is made anew', async () => {
      const all = Array.from({ length: 5 }, () => ask());
      await clock.settle();
      expect([sent.length, prepared]).to.deep.equal([4, 5]);
      for (const { reply } of sent) reply.resolve(answer(429, { 'retry-after': '30' }));
      await Promise.all(all.slice(0, 4));
      await clock.advance(29_999);
      expect(sent).to.have.length(4);
      await clock.advance(1);
      expect([sent.length, prepared]).to.deep.equal([5, 6]);
      sent[4]?.reply.resolve(answer(200));
      await all[4];
    });

    it('a caller whose deadline comes first is told at once, with what is left of the pause', async () => {
      await met(answer(429, { 'retry-after': '60' }));
      await clock.advance(20_000);
      const error = await failure(ask({ deadline: clock.monotonic() + 40_999 }));
      expect(error.toWire()).to.deep.equal({
        code: 'test.429-until',
        message: 'HTTP 429.',
        hint: 'Wait.',
        category: 'throttled',
        retryable: true,
        status: 429,
        details: { status: 429, retryAfterMs: 40_000 },
      });
      expect(waits).to.deep.equal([]);
      const patient = ask({ deadline: clock.monotonic() + 41_000 });
      await clock.advance(40_000);
      sent.at(-1)?.reply.resolve(answer(200));
      await patient;
    });

    it('a shorter wish does not shorten a longer one, and a longer one lengthens it', async () => {
      const first = [ask(), ask(), ask()];
      await clock.settle();
      for (const [index, seconds] of ['10', '5', '20'].entries()) {
        sent[index]?.reply.resolve(answer(429, { 'retry-after': seconds }));
      }
      await Promise.all(first);
      const next = ask();
      await clock.advance(19_999);
      expect(sent).to.have.length(3);
      await clock.advance(1);
      expect(sent).to.have.length(4);
      sent[3]?.reply.resolve(answer(200));
      await next;
    });

    it('is asked again after an hour, however long it wants to be left alone', async () => {
      await met(answer(429, { 'retry-after': '999999999' }));
      const error = await failure(ask({ deadline: clock.monotonic() + HOUR_MS }));
      expect(error.details?.['retryAfterMs']).to.equal(HOUR_MS);
      await clock.advance(HOUR_MS);
      await met(answer(200));
      expect(sent).to.have.length(2);
    });

    it('is obeyed with 503 as well', async () => {
      await met(answer(503, { 'retry-after': '5' }));
      const next = ask();
      await clock.advance(4_999);
      expect(sent).to.have.length(1);
      await clock.advance(1);
      sent.at(-1)?.reply.resolve(answer(200));
      await next;
    });

    it('is not asked, and nobody is held up, by who would send one request while it is paused', async () => {
      await met(answer(429, { 'retry-after': '30' }));
      expect(await instance.exchange(once, new AbortController().signal)).to.equal(undefined);
      expect([sent.length, waits.length, clock.pending]).to.deep.equal([1, 0, 0]);
    });

    it('"at once" is no time: it is as busy as one that says none', async () => {
      await met(answer(429, { 'retry-after': '0' }));
      expect(instance.concurrency).to.equal(2);
      const error = await failure(ask({ deadline: clock.monotonic() }));
      expect(error.details?.['retryAfterMs']).to.equal(1_000);
    });

    it('is not obeyed with an answer that refuses nothing for want of room', async () => {
      await met(answer(404, { 'retry-after': '60' }));
      await met(answer(200));
      expect(sent.map(({ at }) => at)).to.deep.equal([0, 0]);
    });

    it('an abort ends the wait with its reason', async () => {
      await met(answer(429, { 'retry-after': '60' }));
      const stop = new AbortController();
      const waiting = ask({ signal: stop.signal }).catch((thrown: unknown) => thrown);
      await clock.settle();
      const reason = new Error('cancelled');
      stop.abort(reason);
      expect(await waiting).to.equal(reason);
      expect(clock.pending).to.equal(0);
    });
  });

  describe('whose rate limit is used up', () => {
    const under = (limit: number, resetS: number): HttpResponse =>
      answer(200, {
        'x-ratelimit-limit': String(limit),
        'x-ratelimit-reset': String(Math.floor(clock.now() / 1_000) + resetS),
        'x-ratelimit-rule': 'a',
        date: new Date(clock.now()).toUTCString(),
      });

    it('is left alone before it has to refuse', async () => {
      const answered = under(2, 600);
      await met(answered);
      await met(answered);
      const error = await failure(ask({ deadline: clock.monotonic() + 60_000 }));
      expect(error.code).to.equal('test.429-until');
      expect(error.details?.['retryAfterMs']).to.equal(600_000);
      expect(sent).to.have.length(2);
      const patient = ask();
      await clock.advance(600_000);
      expect(sent).to.have.length(3);
      sent[2]?.reply.resolve(answer(200));
      await patient;
    });
  });

  describe('that is busy and does not say for how long', () => {
    it('is asked by half as many, after a second', async () => {
      const first = [ask(), ask(), ask(), ask()];
      await clock.settle();
      // They met the same full queue, so they count once.
      for (const { reply } of sent) reply.resolve(answer(429));
      await Promise.all(first);
      expect(instance.concurrency).to.equal(2);
      const next = Array.from({ length: 4 }, () => ask());
      await clock.advance(999);
      expect(sent).to.have.length(4);
      await clock.advance(1);
      expect(sent).to.have.length(6);
      for (const { reply } of sent) reply.resolve(answer(200));
      await clock.settle();
      for (const { reply } of sent) reply.resolve(answer(200));
      await Promise.all(next);
    });

    it('the pauses grow to a minute, each at random', async () => {
      random = 0.999_999;
      const pauses: number[] = [];
      for (let time = 0; time < 9; time += 1) {
        await met(answer(429));
        const error = await failure(ask({ deadline: clock.monotonic() }));
        const leftMs = error.details?.['retryAfterMs'];
        pauses.push(typeof leftMs === 'number' ? leftMs : 0);
        await clock.advance(60_000);
      }
      expect(pauses).to.deep.equal([2_000, 3_000, 5_000, 9_000, 17_000, 33_000, 60_000, 60_000, 60_000]);
      expect(instance.concurrency).to.equal(1);
    });

    it('twenty calm answers let one more at a time through, up to four', async () => {
      await met(answer(429));
      await clock.advance(1_000);
      await met(answer(429));
      await clock.advance(1_000);
      expect(instance.concurrency).to.equal(1);
      await times(19, () => met(answer(200)));
      expect(instance.concurrency).to.equal(1);
      await met(answer(200));
      expect(instance.concurrency).to.equal(2);
      await times(40, () => met(answer(200)));
      expect(instance.concurrency).to.equal(4);
      await times(40, () => met(answer(200)));
      expect(instance.concurrency).to.equal(4);
    });

    it('an answer of calm ends the row: the next pause is short again', async () => {
      random = 0.999_999;
      await met(answer(429));
      await clock.advance(60_000);
      await met(answer(200));
      await met(answer(429));
      const error = await failure(ask({ deadline: clock.monotonic() }));
      expect(error.details?.['retryAfterMs']).to.equal(2_000);
    });
  });

  describe('that seems dead', () => {
    /** For so many milliseconds; 0 if it is not. */
    const isLeftAlone = async (): Promise<number> => {
      const { signal } = new AbortController();
      const opened = instance.opened({ signal, deadline: clock.monotonic(), onWait: () => {} });
      const leftMs: unknown = await opened.then(
        () => 0,
        (thrown: unknown) => wrap(thrown).details?.['retryAfterMs'],
      );
      return typeof leftMs === 'number' ? leftMs : Number.NaN;
    };

    it('is left alone after five failures in a row', async () => {
      await times(4, () => cut());
      await met(answer(503));
      expect(await isLeftAlone()).to.equal(5_000);
      expect(sent).to.have.length(5);
    });

    it('counts timeouts and the three statuses of a load balancer, and nothing else', async () => {
      for (const step of [
        () => cut('timeout'),
        () => met(answer(502)),
        () => met(answer(503)),
        () => met(answer(504)),
        () => cut('policy'),
      ]) {
        await step();
      }
      await cut();
      expect(await isLeftAlone()).to.equal(5_000);
    });

    it('five that come back at once with 503 and "retry at once" are failures like any other', async () => {
      await times(5, () => met(answer(503, { 'retry-after': '0' })));
      expect(await isLeftAlone()).to.equal(5_000);
    });

    it('is alive if it says when its rate limit ends', async () => {
      await times(4, () => cut());
      await met(answer(429, { 'retry-after': '2' }));
      await clock.advance(2_000);
      await cut();
      expect(await isLeftAlone()).to.equal(0);
    });

    for (const status of [200, 400, 401, 404, 500]) {
      it(`is alive if it answers ${status}`, async () => {
        await times(4, () => cut());
        await met(answer(status));
        await times(4, () => cut());
        const alive = ask();
        await clock.settle();
        sent.at(-1)?.reply.resolve(answer(200));
        await alive;
      });
    }

    it('then one request tries, and all others wait for what it meets', async () => {
      await times(5, () => cut());
      const all = [ask(), ask(), ask()];
      await clock.advance(5_000);
      expect(sent).to.have.length(6);
      sent[5]?.reply.resolve(answer(200));
      await clock.settle();
      expect(sent).to.have.length(8);
      for (const { reply } of sent) reply.resolve(answer(200));
      await Promise.all(all);
      expect(instance.isIdle).to.equal(true);
    });

    it('a trial that fails makes the next pause longer, up to a minute', async () => {
      random = 0.999_999;
      await times(5, () => cut());
      const pauses: number[] = [];
      for (let time = 0; time < 6; time += 1) {
        pauses.push(await isLeftAlone());
        await clock.advance(60_000);
        await cut();
      }
      expect(pauses).to.deep.equal([10_000, 15_000, 25_000, 45_000, 60_000, 60_000]);
    });

    it('a trial that is given up leaves the next one to try', async () => {
      await times(5, () => cut());
      await clock.advance(5_000);
      const given = failure(ask());
      const next = ask();
      await clock.settle();
      expect(sent).to.have.length(6);
      sent[5]?.reply.reject(new Error('cancelled'));
      await given;
      await clock.settle();
      expect(sent).to.have.length(7);
      sent[6]?.reply.resolve(answer(200));
      await next;
    });

    it('those that were on their way when it was given up do not lengthen the pause', async () => {
      random = 0.999_999;
      await times(4, () => cut());
      const four = Array.from({ length: 4 }, () => failure(ask()));
      await clock.settle();
      const dead = new DelegateError('test.cut', 'Cut off.', { category: 'unavailable', retryable: true });
      for (const { reply } of sent) reply.reject(dead);
      await Promise.all(four);
      expect(await isLeftAlone()).to.equal(10_000);
    });

    it('who waits for a trial leaves at once when aborted', async () => {
      await times(5, () => cut());
      await clock.advance(5_000);
      const trial = ask();
      const stop = new AbortController();
      const waiting = ask({ signal: stop.signal }).catch((thrown: unknown) => thrown);
      await clock.settle();
      const reason = new Error('cancelled');
      stop.abort(reason);
      expect(await waiting).to.equal(reason);
      sent[5]?.reply.resolve(answer(200));
      await trial;
    });
  });

  it('a failure to prepare sends nothing and takes no turn', async () => {
    const broken = new Error('no token');
    const work = instance.exchange(
      { prepare: () => Promise.reject(broken), send: () => Promise.resolve(answer(200)), judge },
      new AbortController().signal,
    );
    expect(await work.catch((thrown: unknown) => thrown)).to.equal(broken);
    expect(instance.isIdle).to.equal(true);
  });

  it('is not forgotten while it is paused', async () => {
    await met(answer(429, { 'retry-after': '60' }));
    expect(instance.isIdle).to.equal(false);
    await clock.advance(60_000);
    expect(instance.isIdle).to.equal(true);
  });
});
