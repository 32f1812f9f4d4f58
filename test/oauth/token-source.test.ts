import { expect } from 'chai';
import * as fc from 'fast-check';
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

const patience = (): AbortSignal => new AbortController().signal;
const KEY = tokenKey(['a']);

describe('token source', () => {
  let clock: ManualClock;
  let source: TokenSource;
  let server: Server;

  beforeEach(() => {
    clock = new ManualClock();
    source = new TokenSource({ clock, capacity: 3, timeLimitMs: 30_000 });
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
    [3_600, 3_590_000],
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

  it('a token that has ended already is handed out once and not kept', async () => {
    await put(KEY, answer('spent', 0));
    const next = get();
    expect(server.requests).to.have.length(1);
    server.reply(0, answer('next'));
    expect(await next).to.equal('next');
  });

  it('a failure reaches all who wait, and is not remembered', async () => {
    const [first, second] = [rejection(get()), rejection(get())];
    const refused = new Error('refused');
    server.fail(0, refused);
    expect([await first, await second]).to.deep.equal([refused, refused]);
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
