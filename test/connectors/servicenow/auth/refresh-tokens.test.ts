import { expect } from 'chai';
import * as fc from 'fast-check';
import {
  createRefreshTokens,
  type RefreshTokenHolding,
  type RefreshTokens,
} from '../../../../src/connectors/servicenow/auth/refresh-tokens.ts';
import type { KeptSecretsPort, SecretsPort } from '../../../../src/connectors/connector.ts';
import { deferred } from '../../../../src/kit/flow.ts';
import { Secret } from '../../../../src/kit/secret.ts';
import { OAuthFailure } from '../../../../src/oauth/token-failure.ts';
import type { TokenAnswer } from '../../../../src/oauth/token-response.ts';
import { failureOf } from '../../../support/servicenow.ts';
import { rejectionOf } from '../../../support/failure.ts';
import { ManualClock } from '../../../support/manual-clock.ts';

const ENDPOINT = new URL('https://idp.example.com/token');
const OUTDATED = 'token.stored-refresh-token-outdated';
const NOT_KEPT = 'token.refresh-token-not-kept';

/** A server that rotates, and takes a second use of a token for theft. */
class RotatingServer {
  readonly sent: string[] = [];
  current: string;
  revoked = false;
  #issued = 0;

  constructor(first: string) {
    this.current = first;
  }

  readonly redeem = (token: Secret): Promise<TokenAnswer> => {
    const value = token.reveal();
    this.sent.push(value);
    if (value !== this.current || this.revoked) {
      this.revoked = true;
      return Promise.reject(refused('invalid_grant', 400));
    }
    this.current = this.next();
    return Promise.resolve(answerWith(this.current));
  };

  next(): string {
    return `rotated-${(this.#issued += 1)}`;
  }
}

function refused(error: string | undefined, status: number, refreshToken?: Secret): OAuthFailure {
  const refusal = {
    endpoint: ENDPOINT.href,
    status,
    contentKind: 'json',
    error,
    errorCodes: [],
    serverText: undefined,
    retryAfterMs: undefined,
    asksForBasic: false,
    location: undefined,
    requestId: undefined,
  } as const;
  return new OAuthFailure(refusal, undefined, refreshToken);
}

function answerWith(refreshToken: string | undefined): TokenAnswer {
  return {
    accessToken: new Secret('access'),
    idToken: undefined,
    refreshToken: refreshToken === undefined ? undefined : new Secret(refreshToken),
    tokenType: 'bearer',
    expiresInS: 60,
  };
}

/** What outlives a process: the customer's store, and the state folder. */
class Disk {
  readonly store = new Map<string, string>([['file:rt', 'first']]);
  readonly kept = new Map<string, Secret>();
  readonly events: string[] = [];
  mayReplace = false;
  mayKeep = true;

  readonly secrets: SecretsPort = {
    resolve: (reference) => {
      const value = this.store.get(reference);
      return value === undefined ? Promise.reject(new Error('gone')) : Promise.resolve(new Secret(value));
    },
    replace: (reference, value) => {
      if (!this.mayReplace) return Promise.resolve(false);
      this.store.set(reference, value.reveal());
      this.events.push(`replaced by ${value.reveal()}`);
      return Promise.resolve(true);
    },
  };
  readonly keptPort: KeptSecretsPort = {
    read: (name) => Promise.resolve(this.kept.get(name)),
    keep: (name, secret) => {
      if (!this.mayKeep) return Promise.reject(new Error('disk full'));
      this.kept.set(name, secret);
      this.events.push(`kept ${secret.reveal()}`);
      return Promise.resolve();
    },
    forget: (name) => {
      if (this.kept.delete(name)) this.events.push('forgot');
      return Promise.resolve();
    },
  };
}

const patience = (): AbortSignal => new AbortController().signal;

describe('rotated refresh tokens', () => {
  let disk: Disk;
  let clock: ManualClock;
  let server: RotatingServer;
  let tokens: RefreshTokens;

  const start = (): RefreshTokens =>
    createRefreshTokens({ clock, secrets: disk.secrets, kept: disk.keptPort });
  /** As a task resolves it when it begins. */
  const holding = (reference = 'file:rt'): RefreshTokenHolding => ({
    endpoint: ENDPOINT,
    clientId: new Secret('client'),
    reference,
    stored: new Secret(disk.store.get(reference) ?? ''),
  });
  const renew = (as = holding()): Promise<TokenAnswer> => tokens.renew(as, server.redeem, patience());
  const warningNow = (): string | undefined => tokens.warningOf(holding())?.code;

  beforeEach(() => {
    disk = new Disk();
    clock = new ManualClock();
    server = new RotatingServer('first');
    tokens = start();
  });
  afterEach(() => expect(clock.pending, 'timers left').to.equal(0));

  describe('go', () => {
    it('into the customer’s store where that is allowed, and then there is nothing to warn of', async () => {
      disk.mayReplace = true;
      await renew();
      expect(disk.events).to.deep.equal(['replaced by rotated-1']);
      expect(warningNow()).to.equal(undefined);
    });

    it('else into the state folder, and every result warns', async () => {
      await renew();
      expect(disk.events).to.deep.equal(['kept rotated-1']);
      expect(warningNow()).to.equal(OUTDATED);
    });

    it('else into memory, and the warning is another', async () => {
      disk.mayKeep = false;
      await renew();
      expect(warningNow()).to.equal(NOT_KEPT);
      await renew();
      expect(server.sent).to.deep.equal(['first', 'rotated-1']);
    });

    it('also when the answer that brought it is of no use otherwise', async () => {
      const useless = (): Promise<never> => Promise.reject(refused(undefined, 200, new Secret('rotated-1')));
      const error = await failureOf(() => tokens.renew(holding(), useless, patience()));
      expect(error.code).to.match(/^token\./);
      expect(disk.events).to.deep.equal(['kept rotated-1']);
      server.current = 'rotated-1';
      tokens = start();
      await renew();
      expect(server.sent).to.deep.equal(['rotated-1']);
    });

    it('nowhere, if the server gave back the one that it was sent', async () => {
      await tokens.renew(holding(), () => Promise.resolve(answerWith('first')), patience());
      await tokens.renew(holding(), () => Promise.resolve(answerWith(undefined)), patience());
      expect(disk.events).to.deep.equal([]);
      expect(warningNow()).to.equal(undefined);
    });

    it('to where they are kept before the access token is anybody’s', async () => {
      disk.mayReplace = true;
      await renew().then(() => disk.events.push('used'));
      expect(disk.events).to.deep.equal(['replaced by rotated-1', 'used']);
    });

    it('not over a token that the customer has put into the store meanwhile', async () => {
      disk.mayReplace = true;
      const slow = deferred<void>();
      const renewing = tokens.renew(
        holding(),
        (token) => slow.promise.then(() => server.redeem(token)),
        patience(),
      );
      disk.store.set('file:rt', 'by-hand');
      slow.resolve();
      await renewing;
      expect(disk.store.get('file:rt')).to.equal('by-hand');
    });

    it('and what the state folder kept is forgotten once the store has a newer one', async () => {
      await renew();
      disk.mayReplace = true;
      await renew();
      expect(disk.events).to.deep.equal(['kept rotated-1', 'replaced by rotated-2', 'forgot']);
      expect(disk.kept.size).to.equal(0);
      expect(warningNow()).to.equal(undefined);
    });

    it('into the state folder by the token that stands in the store, if that stops taking new ones', async () => {
      disk.mayReplace = true;
      await renew();
      disk.mayReplace = false;
      await renew();
      tokens = start();
      await renew();
      expect(server.sent).to.deep.equal(['first', 'rotated-1', 'rotated-2']);
      expect(server.revoked).to.equal(false);
    });
  });

  describe('are found again', () => {
    for (const mayReplace of [true, false]) {
      it(`after any number of restarts, ${mayReplace ? 'in the store' : 'in the state folder'}`, async () => {
        disk.mayReplace = mayReplace;
        for (let run = 0; run < 5; run += 1) {
          tokens = start();
          await renew();
          await renew();
        }
        expect(server.revoked).to.equal(false);
        expect(new Set(server.sent).size).to.equal(10);
        expect(warningNow()).to.equal(mayReplace ? undefined : OUTDATED);
      });
    }

    it('and if the folder can not be read, the older one is not sent in their place', async () => {
      await renew();
      tokens = createRefreshTokens({
        clock,
        secrets: disk.secrets,
        kept: { ...disk.keptPort, read: () => Promise.reject(new Error('EIO')) },
      });
      await renew().then(
        () => expect.fail('it was sent'),
        (error: unknown) => expect(error).to.have.property('message', 'EIO'),
      );
      expect(server.sent).to.deep.equal(['first']);
    });

    it('by a task that has resolved the one before, and by one that resolves the new one', async () => {
      disk.mayReplace = true;
      const early = holding();
      await renew();
      const late = holding();
      expect(tokens.familyOf(late)).to.equal(tokens.familyOf(early));
      await Promise.all([renew(early), renew(late), renew(early), renew(holding())]);
      expect(server.revoked).to.equal(false);
      expect(server.sent).to.have.length(5);
    });
  });

  describe('by hand', () => {
    it('a token that the customer puts into the store is another family, and is sent at once', async () => {
      await renew();
      const before = tokens.familyOf(holding());
      disk.store.set('file:rt', 'by-hand');
      server.current = 'by-hand';
      expect(tokens.familyOf(holding())).not.to.equal(before);
      expect(warningNow()).to.equal(undefined);
      await renew();
      expect(server.sent.at(-1)).to.equal('by-hand');
    });

    it('two families do not wait for each other', async () => {
      disk.store.set('file:other', 'other');
      const never = deferred<TokenAnswer>();
      const stuck = tokens.renew(holding(), () => never.promise, patience());
      await tokens.renew(holding('file:other'), () => Promise.resolve(answerWith(undefined)), patience());
      never.resolve(answerWith(undefined));
      await stuck;
    });
  });

  describe('refused', () => {
    for (const [error, status] of [
      ['invalid_grant', 400],
      ['server_error', 401],
    ] as const) {
      it(`(${error}), one that another delegate has put into the store is tried, once`, async () => {
        const mine = holding();
        disk.store.set('file:rt', 'of-another-pod');
        const sent: string[] = [];
        await tokens.renew(
          mine,
          (token) => {
            sent.push(token.reveal());
            return token.reveal() === 'first'
              ? Promise.reject(refused(error, status))
              : Promise.resolve(answerWith(undefined));
          },
          patience(),
        );
        expect(sent).to.deep.equal(['first', 'of-another-pod']);
      });
    }

    it('one that another process has kept in the same folder is tried, once', async () => {
      await renew();
      const other = start();
      await other.renew(holding(), server.redeem, patience());
      server.revoked = false;
      const sent: string[] = [];
      await tokens.renew(
        holding(),
        (token) => {
          sent.push(token.reveal());
          return token.reveal() === server.current
            ? Promise.resolve(answerWith(undefined))
            : Promise.reject(refused('invalid_grant', 400));
        },
        patience(),
      );
      expect(sent).to.deep.equal(['rotated-1', 'rotated-2']);
    });

    it('one that could not be kept is not followed by the older one that was', async () => {
      await renew();
      disk.mayKeep = false;
      await renew();
      const sent: string[] = [];
      const refuse = (token: Secret): Promise<never> => {
        sent.push(token.reveal());
        return Promise.reject(refused('invalid_grant', 400));
      };
      await failureOf(() => tokens.renew(holding(), refuse, patience()));
      expect(sent).to.deep.equal(['rotated-2']);
    });

    it('no older one of the same family is sent: that could end the grant', async () => {
      await renew();
      const sent: string[] = [];
      const error = await failureOf(() =>
        tokens.renew(
          holding(),
          (token) => {
            sent.push(token.reveal());
            return Promise.reject(refused('invalid_grant', 400));
          },
          patience(),
        ),
      );
      expect(error.code).to.equal('token.invalid-grant');
      expect(sent).to.deep.equal(['rotated-1']);
    });

    for (const [error, status] of [
      ['invalid_client', 401],
      ['temporarily_unavailable', 503],
      ['invalid_scope', 400],
    ] as const) {
      it(`for another reason (${error}), no other token is tried`, async () => {
        const mine = holding();
        disk.store.set('file:rt', 'another');
        let sent = 0;
        await failureOf(() =>
          tokens.renew(mine, () => Promise.reject(((sent += 1), refused(error, status))), patience()),
        );
        expect(sent).to.equal(1);
      });
    }
  });

  it('an exchange has a minute from its turn on, however long that took to come', async () => {
    const signals: AbortSignal[] = [];
    const replies = [deferred<TokenAnswer>(), deferred<TokenAnswer>()];
    const slow = (_token: Secret, signal: AbortSignal): Promise<TokenAnswer> => {
      signals.push(signal);
      return replies[signals.length - 1]?.promise ?? Promise.reject(new Error('too many'));
    };
    const first = tokens.renew(holding(), slow, patience());
    const second = tokens.renew(holding(), slow, patience());
    await clock.advance(59_000);
    replies[0]?.resolve(answerWith(undefined));
    await first;
    await clock.advance(59_000);
    expect(signals[1]?.aborted).to.equal(false);
    const outcome = second.catch((error: unknown) => error);
    await clock.advance(1_000);
    expect(await outcome).to.include({ code: 'token.timeout', retryable: true });
    expect(signals[1]?.aborted).to.equal(true);
  });

  describe('that are in memory alone', () => {
    beforeEach(async () => {
      disk.mayKeep = false;
      await renew();
      disk.events.length = 0;
    });

    it('are kept by the next task, as soon as the disk has room again', async () => {
      await clock.advance(29_999);
      disk.mayKeep = true;
      await tokens.keepAgain(holding(), patience());
      expect(disk.events, 'not with each use').to.deep.equal([]);
      await clock.advance(1);
      await tokens.keepAgain(holding(), patience());
      expect(disk.events).to.deep.equal(['kept rotated-1']);
      expect(warningNow()).to.equal(OUTDATED);
      tokens = start();
      await renew();
      expect(server.sent).to.deep.equal(['first', 'rotated-1']);
    });

    it('are put into the store if that may be written by now', async () => {
      disk.mayReplace = true;
      await clock.advance(30_000);
      await tokens.keepAgain(holding(), patience());
      expect(disk.events).to.deep.equal(['replaced by rotated-1']);
      expect(warningNow()).to.equal(undefined);
    });

    it('stay there while the disk takes none, and are tried again after as long', async () => {
      let tries = 0;
      disk.keptPort.keep = () => Promise.reject(new Error(`full ${(tries += 1)}`));
      for (let second = 0; second < 61; second += 1) {
        await clock.advance(1_000);
        await tokens.keepAgain(holding(), patience());
      }
      expect(tries).to.equal(2);
      expect(warningNow()).to.equal(NOT_KEPT);
    });

    it('are tried a last time at the stop', async () => {
      disk.mayKeep = true;
      await tokens.close();
      expect(disk.events).to.deep.equal(['kept rotated-1']);
    });

    it('make no task wait for an exchange that is under way', async () => {
      await clock.advance(30_000);
      const reply = deferred<TokenAnswer>();
      const running = tokens.renew(holding(), () => reply.promise, patience());
      await tokens.keepAgain(holding(), patience());
      disk.mayKeep = true;
      reply.resolve(answerWith('rotated-2'));
      await running;
      expect(disk.events).to.deep.equal(['kept rotated-2']);
    });

    it('make no task wait longer than it may', async () => {
      await clock.advance(30_000);
      const full = deferred<void>();
      disk.keptPort.keep = () => full.promise;
      const reason = new Error('cancelled');
      expect(await rejectionOf(tokens.keepAgain(holding(), AbortSignal.abort(reason)))).to.equal(reason);
      full.resolve();
      await tokens.close();
      expect(warningNow()).to.equal(OUTDATED);
    });
  });

  it('what has not begun when the delegate stops is not begun', async () => {
    const stop = new AbortController();
    const reply = deferred<TokenAnswer>();
    const running = tokens.renew(holding(), () => reply.promise, stop.signal);
    const waiting = tokens.renew(holding(), server.redeem, stop.signal).catch((error: unknown) => error);
    await clock.settle();
    const reason = new Error('stopping');
    stop.abort(reason);
    reply.resolve(answerWith('rotated-1'));
    await running;
    expect(await waiting).to.equal(reason);
    expect(server.sent).to.deep.equal([]);
    expect(disk.events, 'what was under way is kept').to.deep.equal(['kept rotated-1']);
  });

  it('no token is sent twice and the grant lives, whatever tasks, restarts and permissions come in what order', async () => {
    const step = fc.constantFrom(
      'task',
      'task',
      'task',
      'begin',
      'finish',
      'restart',
      'allow',
      'forbid',
      'full',
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        disk = new Disk();
        server = new RotatingServer('first');
        tokens = start();
        let begun: RefreshTokenHolding[] = [];
        const running: Promise<unknown>[] = [];
        for (const one of steps) {
          if (one === 'task') running.push(renew());
          if (one === 'begin') begun.push(holding());
          if (one === 'finish') running.push(...begun.map((early) => renew(early)));
          if (one === 'allow') disk.mayReplace = true;
          if (one === 'forbid') disk.mayReplace = false;
          if (one === 'full') disk.mayKeep = false;
          if (one === 'restart') {
            await Promise.all(running);
            begun = [];
            disk.mayKeep = true;
            await tokens.close();
            tokens = start();
          }
        }
        await Promise.all(running);
        expect(server.revoked).to.equal(false);
        expect(new Set(server.sent).size).to.equal(server.sent.length);
      }),
      { numRuns: 200 },
    );
  });
});
