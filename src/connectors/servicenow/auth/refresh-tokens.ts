import { forgetOldest } from '../../../kit/bounds.ts';
import type { DelegateError } from '../../../kit/errors.ts';
import { untilAborted } from '../../../kit/flow.ts';
import type { Secret } from '../../../kit/secret.ts';
import type { Clock } from '../../../kit/time.ts';
import { EXCHANGE_LIMIT_MS, withinTime } from '../../../oauth/time-limit.ts';
import { tokenError } from '../../../oauth/token-errors.ts';
import { OAuthFailure } from '../../../oauth/token-failure.ts';
import type { TokenAnswer } from '../../../oauth/token-response.ts';
import { tokenKey } from '../../../oauth/token-source.ts';
import type { KeptSecretsPort, SecretsPort } from '../../connector.ts';

/** Families whose newest token is in memory; a connector has one. */
const MAX_FAMILIES = 500;

/** Tokens by which a family is known. A task may hold one that was replaced while the task waited. */
const MAX_KNOWN_TOKENS = 10_000;

/** A disk that took no token is asked again after this, by the next task. */
const KEEP_AGAIN_AFTER_MS = 30_000;

/** What a connector knows of its refresh token. */
export interface RefreshTokenHolding {
  readonly endpoint: URL;
  readonly clientId: Secret;
  /** Where the customer keeps it. */
  readonly reference: string;
  /** What stood there when the task began. */
  readonly stored: Secret;
}

/** Exchanges one refresh token. Ends soon after the signal aborts. */
export type Redeem = (refreshToken: Secret, signal: AbortSignal) => Promise<TokenAnswer>;

/**
 * The newest refresh token of each grant. A server that rotates takes a token out of use when it answers with the next,
 * and takes a second use of it for theft, which ends the grant. So each is sent once, and its successor is kept before
 * anybody uses the access token that came with it.
 *
 * A family is what grew out of one token by rotation. All who hold any of its tokens take turns, whichever connector
 * they work for. A token that the customer puts into the store by hand is the first of another family.
 */
export interface RefreshTokens {
  /** A hash, the same for every token of a family. */
  familyOf(holding: RefreshTokenHolding): string;
  /**
   * An exchange of the family's newest token, when its turn comes. Not cut short by anybody, because the answer may be
   * the last that the grant gives; it has a time limit of its own.
   *
   * @param signal only stops what has not begun
   */
  renew(holding: RefreshTokenHolding, redeem: Redeem, signal: AbortSignal): Promise<TokenAnswer>;
  /**
   * For whoever uses an access token from memory. Tries again to keep the refresh token that came with it, if that was
   * not possible then: the disk may have room again, and the next exchange is an hour away. Rejects with the signal's
   * reason alone.
   */
  keepAgain(holding: RefreshTokenHolding, signal: AbortSignal): Promise<void>;
  /** What the customer should know of the token in the store. */
  warningOf(holding: RefreshTokenHolding): DelegateError | undefined;
  /** Waits for what is under way, and tries a last time to keep what is in memory alone. */
  close(): Promise<void>;
}

/** Where the newest token of a family is. */
type Newest = { readonly token: Secret } & (
  | { readonly place: 'stored' | 'kept' }
  /** @property keepAgainAt on the monotonic clock */
  | { readonly place: 'memory'; readonly holding: RefreshTokenHolding; readonly keepAgainAt: number }
);

export function createRefreshTokens(deps: {
  clock: Clock;
  secrets: SecretsPort;
  kept: KeptSecretsPort;
}): RefreshTokens {
  const { clock, secrets, kept } = deps;
  const newest = new Map<string, Newest>();
  /** Hash of a token → its family, where that is not its own hash. */
  const families = new Map<string, string>();
  const inTurn = createTurns();

  const familyOf = (holding: RefreshTokenHolding): string => {
    const hash = hashOf(holding);
    return families.get(hash) ?? hash;
  };

  async function exchange(
    holding: RefreshTokenHolding,
    redeem: Redeem,
    signal: AbortSignal,
  ): Promise<TokenAnswer> {
    signal.throwIfAborted();
    const family = familyOf(holding);
    const first = newest.get(family)?.token ?? (await keptFor(holding)) ?? holding.stored;
    signal.throwIfAborted();
    try {
      return await send(holding, family, first, redeem);
    } catch (thrown) {
      // Another process on this state folder may have kept a newer one since.
      const next = refusesToken(thrown) ? await kept.read(hashOf(holding)) : undefined;
      // One that is known here is the very one that was sent, or older: kept before the folder took no more.
      if (next === undefined || isKnown(holding, next) || signal.aborted) throw thrown;
      learn(holding, family, { token: next, place: 'kept' });
      return await send(holding, family, next, redeem);
    }
  }

  /** Stores the token that comes in the place of this one, whatever else comes with it. */
  async function send(
    holding: RefreshTokenHolding,
    family: string,
    token: Secret,
    redeem: Redeem,
  ): Promise<TokenAnswer> {
    const storeNew = async (renewed: Secret | undefined): Promise<void> => {
      if (renewed !== undefined && !isSame(renewed, token)) await store(holding, family, renewed);
    };
    try {
      const answer = await withinTime(clock, EXCHANGE_LIMIT_MS, new AbortController(), (limit) =>
        redeem(token, limit),
      );
      await storeNew(answer.refreshToken);
      return answer;
    } catch (thrown) {
      if (thrown instanceof OAuthFailure) await storeNew(thrown.refreshToken);
      throw thrown;
    }
  }

  async function keptFor(holding: RefreshTokenHolding): Promise<Secret | undefined> {
    const token = await kept.read(hashOf(holding));
    if (token !== undefined) learn(holding, familyOf(holding), { token, place: 'kept' });
    return token;
  }

  /** A new member of the family. */
  function learn(holding: RefreshTokenHolding, family: string, now: Newest): void {
    families.set(hashOf({ ...holding, stored: now.token }), family);
    forgetOldest(families, MAX_KNOWN_TOKENS);
    remember(family, now);
  }

  function isKnown(holding: RefreshTokenHolding, token: Secret): boolean {
    return families.has(hashOf({ ...holding, stored: token }));
  }

  function remember(family: string, now: Newest): void {
    newest.delete(family);
    newest.set(family, now);
    forgetOldest(newest, MAX_FAMILIES);
  }

  /** In memory at once: who finds the new token in the store must find its family too. Never rejects. */
  async function store(holding: RefreshTokenHolding, family: string, token: Secret): Promise<void> {
    const keepAgainAt = clock.monotonic() + KEEP_AGAIN_AFTER_MS;
    learn(holding, family, { token, place: 'memory', holding, keepAgainAt });

    const standing = await resolveNow(holding);
    // Not over a token that the customer has put there meanwhile.
    const isOurs = standing !== undefined && familyOf(standing) === family;
    if (isOurs && (await secrets.replace(holding.reference, token))) {
      remember(family, { token, place: 'stored' });
      await kept.forget(hashOf(standing));
      return;
    }
    try {
      // By the token that stands in the store: that is what the next start knows.
      await kept.keep(hashOf(isOurs ? standing : holding), token);
      remember(family, { token, place: 'kept' });
    } catch {
      // It stays in memory. The store has logged why, and the warning in every result says what it means.
    }
  }

  /** With what stands in the customer's store now; undefined if it can't be read. */
  async function resolveNow(holding: RefreshTokenHolding): Promise<RefreshTokenHolding | undefined> {
    const use = { signal: new AbortController().signal, origins: [holding.endpoint.origin] };
    try {
      return { ...holding, stored: await secrets.resolve(holding.reference, use) };
    } catch {
      // Whoever needs the secret next resolves it, and tells of the failure then.
      return undefined;
    }
  }

  async function storeAgain(family: string): Promise<void> {
    const now = newest.get(family);
    if (now?.place === 'memory') await store(now.holding, family, now.token);
  }

  return {
    familyOf,

    async renew(holding, redeem, signal) {
      try {
        return await inTurn.take(familyOf(holding), () => exchange(holding, redeem, signal));
      } catch (thrown) {
        // Another delegate with the same store, or the customer, may have replaced the token since the task began. One
        // of the same family is older than the one that was sent.
        const now = refusesToken(thrown) ? await resolveNow(holding) : undefined;
        if (now === undefined || familyOf(now) === familyOf(holding)) throw thrown;
        return await inTurn.take(familyOf(now), () => exchange(now, redeem, signal));
      }
    },

    async keepAgain(holding, signal) {
      const family = familyOf(holding);
      const now = newest.get(family);
      if (now?.place !== 'memory' || clock.monotonic() < now.keepAgainAt) return;
      // An exchange that is under way brings a newer one, and takes longer than a task should wait.
      if (!inTurn.isBusy(family))
        await untilAborted(
          inTurn.take(family, () => storeAgain(family)),
          signal,
        );
    },

    warningOf(holding) {
      const place = newest.get(familyOf(holding))?.place ?? 'stored';
      return place === 'stored' ? undefined : warnings[place]();
    },

    async close() {
      await Promise.all([...newest.keys()].map((family) => inTurn.take(family, () => storeAgain(family))));
      await inTurn.ended();
    },
  };
}

interface Turns {
  /** Runs work under one key in the order in which it came, one piece after another. */
  take<T>(key: string, work: () => Promise<T>): Promise<T>;
  isBusy(key: string): boolean;
  /** Resolves when everything begun so far has ended. */
  ended(): Promise<void>;
}

function createTurns(): Turns {
  /** The end of the last piece begun, by key; it never rejects. */
  const ends = new Map<string, Promise<void>>();
  return {
    take(key, work) {
      const turn = (ends.get(key) ?? Promise.resolve()).then(work);
      const end = (): void => {
        if (ends.get(key) === ended) ends.delete(key);
      };
      const ended: Promise<void> = turn.then(end, end);
      ends.set(key, ended);
      return turn;
    },
    isBusy: (key) => ends.has(key),
    async ended() {
      await Promise.all(ends.values());
    },
  };
}

/** The token is one and the same wherever it stands, so no connector and no reference is a part of it. */
function hashOf({ endpoint, clientId, stored }: RefreshTokenHolding): string {
  return tokenKey(['refresh-token', endpoint.href, clientId, stored]);
}

function isSame(one: Secret, other: Secret): boolean {
  return one.reveal() === other.reveal();
}

/** Whether the server judged the refresh token; ServiceNow says no more than that something was denied. */
function refusesToken(thrown: unknown): boolean {
  return (
    thrown instanceof OAuthFailure &&
    (thrown.code === 'token.invalid-grant' || thrown.code === 'token.denied')
  );
}

const warnings = {
  kept: () =>
    tokenError(
      'token.stored-refresh-token-outdated',
      'The token server has replaced the refresh token; the one in the secret store is about to stop working.',
    ),
  memory: () =>
    tokenError(
      'token.refresh-token-not-kept',
      'The token server has replaced the refresh token, and the new one is in memory only; the one in the secret store is about to stop working.',
    ),
};
