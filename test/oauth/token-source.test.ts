import { expect } from 'chai';
import * as fc from 'fast-check';
import { DelegateError, type ErrorCategory } from '../../src/kit/errors.ts';
import { deferred, type Deferred } from '../../src/kit/flow.ts';
import { Secret } from '../../src/kit/secret.ts';
import type { TokenAnswer } from '../../src/oauth/token-response.ts';
import { tokenKey, TokenSource, type ObtainToken } from '../../src/oauth/token-source.ts';
import { ManualClock } from '../support/manual-clock.ts';

const answer = (token: string, expiresInS = 3_600): TokenAnswer => ({
  accessToken: new Secret(token),
  idToken: undefined,
  refreshToken: undefined,
  tokenType: 'bearer',
  expiresInS,
});

/** A token server in hand: each request waits until the test answers it. */
class Server {
  readonly requests: { signal: AbortSignal; reply: Deferred<TokenAnswer> }[] = [];
  readonly obtain: ObtainToken = (signal) => {
    const reply = deferred<TokenAnswer>();
    this.requests.push({ signal, reply });
    return reply.promise;
  };
  reply(index: number, token: TokenAnswer): void {
    this.requests[index]?.reply.resolve(token);
  }
  fail(index: number, error: Error): void {
    this.requests[index]?.reply.reject(error);
  }
}

const refusal = (): DelegateError =>
  new DelegateError('token.denied', 'The token server refused.', { category: 'credentials' });

const passing = (category: ErrorCategory, retryAfterMs?: number): DelegateError =>
  new DelegateError(`token.${category}`, 'Not now.', {
    category,
    retryable: true,
    ...(retryAfterMs === undefined ? {} : { details: { retryAfterMs } }),
  });

const patience = (): AbortSignal => new AbortController().signal;
const KEY = tokenKey(['a']);

describe('token source', () => {
  let clock: ManualClock;
  let source: TokenSource;
  let server: Server;

  beforeEach(() => {
    clock = new ManualClock();
    source = new TokenSource({ clock, random: () => 0, capacity: 3, timeLimitMs: 30_000 });
    server = new Server();
  });
  afterEach(async () => {
    for (const { reply } of server.requests) reply.reject(new Error('the test is over'));
    await source.close();
    expect(clock.pending, 'timers left').to.equal(0);
  });

  const get = async (key = KEY, signal = patience()): Promise<string> =>
    (await source.get(key, server.obtain, signal)).accessToken.reveal();

  const put = async (key: string, token: TokenAnswer): Promise<void> => {
    await source.get(key, () => Promise.resolve(token), patience());
  };

  const rejection = async (promise: Promise<unknown>): Promise<unknown> =>
    promise.then(
      () => expect.fail('it was fulfilled'),
      (error: unknown) => error,
    );

  it('that forgets all keeps none of the tokens that are on their way either', async () => {
    const asked = get();
    source.forgetAll();
    server.reply(0, answer('old'));
    expect(await asked).to.equal('old');
    const next = get();
    server.reply(1, answer('new'));
    expect(await next).to.equal('new');
    source.forgetAll();
    const last = get();
    server.reply(2, answer('newest'));
    expect(await last).to.equal('newest');
  });

  it('200 tasks that meet an ended token cost one request', async () => {
    const waiting = Array.from({ length: 200 }, () => get());
    expect(server.requests).to.have.length(1);
    server.reply(0, answer('one'));
    expect(new Set(await Promise.all(waiting))).to.deep.equal(new Set(['one']));
    expect(await get()).to.equal('one');
    expect(server.requests).to.have.length(1);
  });

  it('another key is another token', async () => {
    const [first, second] = [get(tokenKey(['a'])), get(tokenKey(['b']))];
    server.reply(0, answer('a'));
    server.reply(1, answer('b'));
    expect([await first, await second]).to.deep.equal(['a', 'b']);
  });

  for (const [expiresInS, usableMs] of [
    [100, 90_000],
    [50, 45_000],
    [1, 900],
  ] as const) {
    it(`a token of ${expiresInS} s is used for ${usableMs} ms`, async () => {
      await put(KEY, answer('old', expiresInS));
      await clock.advance(usableMs - 1);
      expect(await get()).to.equal('old');
      await clock.advance(1);
      const renewed = get();
      server.reply(0, answer('new'));
      expect(await renewed).to.equal('new');
    });
  }

  it('its life is counted from before the request', async () => {
    const slow = get();
    await clock.advance(20_000);
    server.reply(0, answer('slow', 100));
    await slow;
    await clock.advance(70_000);
    const next = get();
    expect(server.requests).to.have.length(2);
    server.reply(1, answer('next'));
    expect(await next).to.equal('next');
  });

  for (const expiresInS of [1e9, Number.MAX_VALUE]) {
    it(`a token for ${expiresInS} s is asked for once in a day, not with each use`, async () => {
      await put(KEY, answer('endless', expiresInS));
      for (let hour = 0; hour < 19; hour += 1) {
        expect(await get()).to.equal('endless');
        await clock.advance(3_600_000);
      }
      expect(server.requests).to.have.length(0);
      await clock.advance(5 * 3_600_000);
      const renewed = get();
      server.reply(0, answer('renewed'));
      expect(await renewed).to.equal('renewed');
    });
  }

  it('a token that has ended already is handed out once and not kept', async () => {
    await put(KEY, answer('spent', 0));
    const next = get();
    expect(server.requests).to.have.length(1);
    server.reply(0, answer('next'));
    expect(await next).to.equal('next');
  });

  it('a failure reaches all who wait; one that is a bug is not remembered', async () => {
    const [first, second] = [rejection(get()), rejection(get())];
    const bug = new Error('not ours');
    server.fail(0, bug);
    expect([await first, await second]).to.deep.equal([bug, bug]);
    const again = get();
    server.reply(1, answer('ok'));
    expect(await again).to.equal('ok');
  });

  it('a failure at once leaves nothing behind', async () => {
    const thrown = new Error('at once');
    const obtain: ObtainToken = () => {
      throw thrown;
    };
    expect(await rejection(source.get(KEY, obtain, patience()))).to.equal(thrown);
    expect(clock.pending).to.equal(0);
  });

  it('of many complaints about one token, only the first drops it', async () => {
    await put(KEY, answer('first'));
    source.invalidate(KEY, new Secret('first'));
    await put(KEY, answer('second'));
    source.invalidate(KEY, new Secret('first'));
    source.invalidate(tokenKey(['other']), new Secret('second'));
    expect(await get()).to.equal('second');
    expect(server.requests).to.have.length(0);
  });

  it('who stops waiting does not end the request of the others', async () => {
    const abort = new AbortController();
    const reason = new Error('cancelled');
    const [leaving, staying] = [rejection(get(KEY, abort.signal)), get()];
    abort.abort(reason);
    expect(await leaving).to.equal(reason);
    expect(server.requests[0]?.signal.aborted).to.equal(false);
    server.reply(0, answer('kept'));
    expect(await staying).to.equal('kept');
  });

  it('the last one to stop waiting ends the request', async () => {
    const abort = new AbortController();
    const both = [rejection(get(KEY, abort.signal)), rejection(get(KEY, abort.signal))];
    abort.abort(new Error('cancelled'));
    await Promise.all(both);
    expect(server.requests[0]?.signal.aborted).to.equal(true);
  });

  it('who comes after an abandoned request starts a new one, and the late answer changes nothing', async () => {
    const abort = new AbortController();
    const left = rejection(get(KEY, abort.signal));
    abort.abort(new Error('cancelled'));
    await left;
    const next = get();
    expect(server.requests).to.have.length(2);
    server.reply(1, answer('new'));
    expect(await next).to.equal('new');
    server.reply(0, answer('late'));
    await clock.settle();
    expect(await get()).to.equal('new');
  });

  it('who has given up already starts nothing', async () => {
    const reason = new Error('gone');
    expect(await rejection(get(KEY, AbortSignal.abort(reason)))).to.equal(reason);
    expect(server.requests).to.have.length(0);
  });

  it('a server that never answers ends in token.timeout, and its request is aborted', async () => {
    const waiting = rejection(get());
    await clock.advance(30_000);
    expect(await waiting).to.include({ code: 'token.timeout', category: 'timeout', retryable: true });
    expect(server.requests[0]?.signal.aborted).to.equal(true);
  });

  it('keeps as many tokens as it may, and drops the one not used for the longest time', async () => {
    for (const key of ['a', 'b', 'c']) await put(key, answer(key));
    expect(await get('a')).to.equal('a');
    await put('d', answer('d'));
    for (const key of ['a', 'c', 'd']) expect(await get(key)).to.equal(key);
    const gone = get('b');
    expect(server.requests).to.have.length(1);
    server.reply(0, answer('b again'));
    expect(await gone).to.equal('b again');
  });

  it('close ends what is under way, waits for it, and starts nothing more', async () => {
    const waiting = rejection(get());
    const events: string[] = [];
    const closing = source.close().then(() => events.push('closed'));
    expect(await waiting).to.include({ code: 'token.closed' });
    expect(server.requests[0]?.signal.aborted).to.equal(true);
    events.push('ended');
    server.fail(0, new Error('aborted'));
    await closing;
    expect(events).to.deep.equal(['ended', 'closed']);
    expect(await rejection(get())).to.include({ code: 'token.closed' });
  });

  describe('an early renewal', () => {
    const LIFE_S = 1_000;
    /** With random 0 the last tenth. */
    const DUE_MS = 900_000;

    const nearItsEnd = async (): Promise<void> => {
      await put(KEY, answer('old', LIFE_S));
      await clock.advance(DUE_MS);
    };

    it('hands out the old token at once, and the new one as soon as it is there', async () => {
      await put(KEY, answer('old', LIFE_S));
      await clock.advance(DUE_MS - 1);
      await get();
      expect(server.requests).to.have.length(0);
      await clock.advance(1);
      expect(await Promise.all([get(), get(), get()])).to.deep.equal(['old', 'old', 'old']);
      expect(server.requests).to.have.length(1);
      server.reply(0, answer('new', LIFE_S));
      await clock.settle();
      expect(await get()).to.equal('new');
      expect(server.requests).to.have.length(1);
    });

    it('comes at a random moment of the last fifth, so that many tokens do not end together', async () => {
      const share = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
      await fc.assert(
        fc.asyncProperty(share, async (random) => {
          await using one = new TokenSource({ clock, random: () => random });
          const began = clock.monotonic();
          await one.get(KEY, () => Promise.resolve(answer('old', LIFE_S)), patience());
          const due = LIFE_S * 1_000 * (0.9 - 0.1 * random);
          const asked: string[] = [];
          const look = async (atMs: number): Promise<number> => {
            await clock.advance(began + atMs - clock.monotonic());
            await one.get(KEY, () => (asked.push('again'), Promise.resolve(answer('new'))), patience());
            return asked.length;
          };
          expect(await look(due - 1)).to.equal(0);
          expect(await look(due + 1)).to.equal(1);
        }),
        { numRuns: 20 },
      );
    });

    it('is not asked for again where the server gives the same token until it has ended', async () => {
      await nearItsEnd();
      await get();
      server.reply(0, answer('old', 100));
      await clock.advance(80_000);
      expect(await get()).to.equal('old');
      expect(server.requests).to.have.length(1);
    });

    it('that fails disturbs nobody, and is not repeated at once', async () => {
      await nearItsEnd();
      await get();
      server.fail(0, refusal());
      await clock.settle();
      expect(await get()).to.equal('old');
      expect(server.requests).to.have.length(1);
      await clock.advance(30_000);
      expect(await get()).to.equal('old');
      expect(server.requests, 'tried again later').to.have.length(2);
    });

    it('goes on when a task that came to wait for it leaves', async () => {
      await nearItsEnd();
      await clock.advance(80_000);
      await get();
      await clock.advance(10_000);
      const abort = new AbortController();
      const leaving = rejection(get(KEY, abort.signal));
      abort.abort(new Error('cancelled'));
      await leaving;
      expect(server.requests[0]?.signal.aborted).to.equal(false);
      expect(server.requests).to.have.length(1);
    });

    it('is none of a life under a minute', async () => {
      await put(KEY, answer('short', 59));
      await clock.advance(52_000);
      await get();
      expect(server.requests).to.have.length(0);
    });
  });

  describe('a failure', () => {
    const failing = async (error: Error): Promise<unknown> => {
      const waiting = rejection(get());
      server.fail(server.requests.length - 1, error);
      return await waiting;
    };
    const asked = async (): Promise<boolean> => {
      const before = server.requests.length;
      const outcome = get().catch((error: unknown) => error);
      if (server.requests.length > before) return true;
      await outcome;
      return false;
    };

    it('that trying again can not mend is told from memory, for 30 s and then twice as long, up to 5 min', async () => {
      for (const pauseMs of [30_000, 60_000, 120_000, 240_000, 300_000, 300_000]) {
        expect(await failing(refusal())).to.include({ code: 'token.denied' });
        await clock.advance(pauseMs - 1);
        expect(await rejection(get())).to.include({ code: 'token.denied', retryable: false });
        await clock.advance(1);
      }
      expect(server.requests).to.have.length(6);
    });

    it('tells from when on another answer can come', async () => {
      await failing(refusal());
      await clock.advance(10_000);
      expect(await rejection(get())).to.have.nested.property('details.notAskedForMs', 20_000);
    });

    it('is of its key alone: what was corrected is tried at once', async () => {
      await failing(refusal());
      const other = get(tokenKey(['corrected']));
      server.reply(1, answer('ok'));
      expect(await other).to.equal('ok');
    });

    it('is forgotten with the next success, and counts from the beginning then', async () => {
      await failing(refusal());
      await clock.advance(30_000);
      await put(KEY, answer('ok', 100));
      await clock.advance(100_000);
      await failing(refusal());
      await clock.advance(30_000);
      expect(await asked()).to.equal(true);
    });

    for (const [category, ceilings] of [
      ['throttled', [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]],
      ['unavailable', [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]],
      ['timeout', [500, 1_000, 2_000, 4_000]],
    ] as const) {
      it(`that may pass (${category}) keeps everybody away for longer each time, and says how long`, async () => {
        const half = new TokenSource({ clock, random: () => 0.5 });
        await using _closes = half;
        const fail = (): Promise<never> => Promise.reject(passing(category));
        for (const ceiling of ceilings) {
          const told = await rejection(half.get(KEY, fail, patience()));
          expect(told).to.have.nested.property('details.retryAfterMs', ceiling / 2);
          await clock.advance(ceiling / 2 - 100);
          const left = await rejection(half.get(KEY, server.obtain, patience()));
          expect(left).to.have.nested.property('details.retryAfterMs', 100);
          await clock.advance(100);
        }
        expect(server.requests).to.have.length(0);
      });
    }

    it('with a Retry-After keeps everybody away for as long, within reason', async () => {
      expect(await failing(passing('throttled', 7_000))).to.have.nested.property(
        'details.retryAfterMs',
        7_000,
      );
      await clock.advance(6_999);
      expect(await asked()).to.equal(false);
      await clock.advance(1);
      await failing(passing('throttled', 86_400_000));
      await clock.advance(900_000);
      expect(await asked()).to.equal(true);
    });

    it('of an end of ours is not remembered', async () => {
      await failing(new DelegateError('token.closed', 'stopping', { category: 'cancelled' }));
      expect(await asked()).to.equal(true);
    });

    it('of a request that nobody waited for any more is not remembered', async () => {
      const abort = new AbortController();
      const left = rejection(get(KEY, abort.signal));
      abort.abort(new Error('cancelled'));
      await left;
      server.fail(0, refusal());
      await clock.settle();
      expect(await asked()).to.equal(true);
    });
  });

  describe('asked anew', () => {
    const anew = (): Promise<TokenAnswer> => source.get(KEY, server.obtain, patience(), { anew: true });

    it('it asks the server although a token is at hand, and the new one is for all', async () => {
      await put(KEY, answer('old'));
      const fresh = anew();
      expect(await get(), 'nobody else waits').to.equal('old');
      server.reply(0, answer('new'));
      expect((await fresh).accessToken.reveal()).to.equal('new');
      expect(await get()).to.equal('new');
    });

    it('it asks the server although that has just refused', async () => {
      const refused = rejection(get());
      server.fail(0, refusal());
      await refused;
      const fresh = anew();
      server.reply(1, answer('ok'));
      await fresh;
      expect(await get()).to.equal('ok');
    });

    it('it joins the request that is under way', async () => {
      const both = [get(), anew()];
      expect(server.requests).to.have.length(1);
      server.reply(0, answer('one'));
      await Promise.all(both);
    });
  });

  describe('an exchange that is seen through', () => {
    const exchange = (signal = patience()): Promise<TokenAnswer> =>
      source.get(KEY, server.obtain, signal, { seeThrough: true });

    it('goes on when nobody waits any more, and its token is used', async () => {
      const abort = new AbortController();
      const left = rejection(exchange(abort.signal));
      abort.abort(new Error('cancelled'));
      await left;
      expect(server.requests[0]?.signal.aborted).to.equal(false);
      const next = exchange();
      expect(server.requests, 'joined').to.have.length(1);
      server.reply(0, answer('kept'));
      expect((await next).accessToken.reveal()).to.equal('kept');
    });

    it('is not ended by the time limit of the source: it has its own', async () => {
      const waiting = exchange();
      await clock.advance(100_000);
      expect(server.requests[0]?.signal.aborted).to.equal(false);
      server.reply(0, answer('late'));
      expect((await waiting).accessToken.reveal()).to.equal('late');
    });

    it('is waited for by close, which tells it to begin nothing more', async () => {
      const waiting = exchange();
      const events: string[] = [];
      const closing = source.close().then(() => events.push('closed'));
      expect(server.requests[0]?.signal.aborted).to.equal(true);
      await clock.settle();
      events.push('answered');
      server.reply(0, answer('last'));
      expect((await waiting).accessToken.reveal()).to.equal('last');
      await closing;
      expect(events).to.deep.equal(['answered', 'closed']);
    });
  });

  it('whatever comes in whatever order: one request at a time, no ended token, nobody waits for ever', async () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant('get'), anew: fc.boolean() }),
      fc.record({ kind: fc.constant('pass'), ms: fc.integer({ min: 1, max: 200_000 }) }),
      fc.record({ kind: fc.constant('answer'), lifeS: fc.integer({ min: 0, max: 300 }) }),
      fc.record({ kind: fc.constant('refuse') }),
      fc.record({ kind: fc.constant('fail') }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), fc.boolean(), async (steps, seeThrough) => {
        const hands = new ManualClock();
        const mine = new TokenSource({ clock: hands, random: () => 0.5, timeLimitMs: 30_000 });
        const endOf = new Map<string, number>();
        const open: Deferred<TokenAnswer>[] = [];
        let issued = 0;
        const obtain: ObtainToken = (signal) => {
          const reply = deferred<TokenAnswer>();
          open.push(reply);
          expect(open, 'requests at one time').to.have.length(1);
          const ended = (): void => void open.splice(open.indexOf(reply), 1);
          reply.promise.then(ended, ended);
          if (!seeThrough) signal.addEventListener('abort', () => reply.reject(new Error('aborted')));
          return reply.promise;
        };
        const waiting: Promise<unknown>[] = [];
        for (const one of steps) {
          if (one.kind === 'get') {
            const askedAt = hands.monotonic();
            const handedOut = mine
              .get(KEY, obtain, patience(), { anew: 'anew' in one && one.anew, seeThrough })
              .then(({ accessToken, expiresInS }) => {
                const name = accessToken.reveal();
                const end = expiresInS === 0 ? Infinity : endOf.get(name);
                return expect(end, `${name} has ended`).to.be.greaterThan(askedAt);
              })
              .catch((error: unknown) => {
                if (!(error instanceof DelegateError) && !String(error).includes('aborted')) throw error;
              });
            waiting.push(handedOut);
          } else if ('ms' in one) {
            await hands.advance(one.ms);
          } else if ('lifeS' in one) {
            const name = `token-${(issued += 1)}`;
            endOf.set(name, hands.monotonic() + one.lifeS * 1_000);
            open[0]?.resolve(answer(name, one.lifeS));
          } else {
            open[0]?.reject(one.kind === 'refuse' ? refusal() : passing('unavailable'));
          }
          await hands.settle();
        }
        const closing = mine.close();
        open[0]?.reject(passing('unavailable'));
        await closing;
        await Promise.all(waiting);
        expect(hands.pending, 'timers left').to.equal(0);
      }),
      { numRuns: 60 },
    );
  });

  describe('key', () => {
    it('tells apart every two lists of inputs', () => {
      const part = fc.option(fc.oneof(fc.string(), fc.constantFrom('', '-;', '1:', '0:')), {
        nil: undefined,
      });
      fc.assert(
        fc.property(fc.array(part), fc.array(part), (a, b) => {
          const same = a.length === b.length && a.every((value, index) => value === b[index]);
          expect(tokenKey(a) === tokenKey(b)).to.equal(same);
        }),
      );
    });

    it('is the same for a secret and its value, and tells neither', () => {
      expect(tokenKey([new Secret('hunter2')]))
        .to.equal(tokenKey(['hunter2']))
        .and.match(/^[0-9a-f]{64}$/);
    });
  });
});
