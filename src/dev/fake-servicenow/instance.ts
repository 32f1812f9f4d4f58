import { randomBytes } from 'node:crypto';
import type { Clock } from '../../kit/time.ts';
import { Accounts, type AccountSeed, type UserView } from './access/accounts.ts';
import { authenticate, claimedUser, type Credentials, type Doors } from './access/authenticate.ts';
import { OAuthServer, type OAuthClient } from './access/oauth.ts';
import { Sessions } from './access/sessions.ts';
import { TrustedIssuers, type TrustedIssuer } from './access/trusted-issuers.ts';
import { gzipDelivery, plainDelivery, type Delivery } from './faults/delivery.ts';
import { Faults, type Strike } from './faults/faults.ts';
import type { Scene } from './faults/kinds.ts';
import { noSuchResource, overRateLimit, semaphoresFull } from './http/failures.ts';
import { headerTooLarge, pageAt } from './http/pages.ts';
import { addHeaders, headerOf, json, withHeader, type Reply } from './http/reply.ts';
import type { ReceivedRequest } from './http/request.ts';
import { RateLimits } from './limits/rate-limits.ts';
import { Semaphores, type Slot } from './limits/semaphores.ts';
import type { Profile } from './profile.ts';
import type { Records } from './records/store.ts';
import type { ApiContext, Reading } from './table-api/context.ts';
import { answerStats } from './table-api/stats.ts';
import { answerTable } from './table-api/table.ts';

export interface InstanceOptions {
  readonly clock: Clock;
  readonly profile: Profile;
  readonly records: Records;
  readonly accounts: readonly AccountSeed[];
  readonly oauthClients: readonly OAuthClient[];
  readonly trustedIssuers: readonly TrustedIssuer[];
}

/** What an exchange came to: the bytes to send and the facts for the journal. */
export interface Answer {
  readonly delivery: Delivery;
  readonly user: UserView | undefined;
  readonly faults: readonly string[];
  /** To be called when the last byte is sent: until then the request occupies a thread. Idempotent. */
  readonly release: () => void;
}

/** A reply before the last touches, and for whom it is. */
interface Outcome {
  readonly reply: Reply;
  readonly user: UserView | undefined;
}

/** One ServiceNow: data, users, tokens, faults. Knows no socket. */
export class Instance {
  readonly records: Records;
  readonly accounts: Accounts;
  readonly oauth: OAuthServer;
  readonly issuers: TrustedIssuers;
  readonly faults = new Faults();
  readonly rateLimits = new RateLimits();
  profile: Profile;
  readonly #clock: Clock;
  readonly #doors: Doors;
  readonly #semaphores = new Semaphores();
  #sequence = 0;

  constructor(options: InstanceOptions) {
    const profile = (): Profile => this.profile;
    this.profile = options.profile;
    this.#clock = options.clock;
    this.records = options.records;
    this.accounts = new Accounts(options.records, options.accounts);
    this.oauth = new OAuthServer({
      clock: options.clock,
      accounts: this.accounts,
      profile,
      clients: options.oauthClients,
    });
    this.issuers = new TrustedIssuers(this.accounts, options.clock, options.trustedIssuers);
    this.#doors = {
      accounts: this.accounts,
      sessions: new Sessions(options.clock),
      oauth: this.oauth,
      issuers: this.issuers,
      profile,
    };
  }

  /**
   * The pipeline: front door, a thread, authentication, rate limits, API, last touches. `origin` is the instance's
   * own. Rejects when the client leaves while it waits for a thread.
   */
  async answer(request: ReceivedRequest, origin: string, signal: AbortSignal): Promise<Answer> {
    this.#sequence += 1;
    const credentials = {
      authorization: request.headers.authorization,
      sessionId: request.cookies['JSESSIONID'],
    };
    const strikes = this.faults.take(request, claimedUser(credentials, this.#doors));
    const scene = { request, records: this.records, oauth: this.oauth, clock: this.#clock };

    const finished = ({ reply, user }: Outcome, release: () => void): Answer => ({
      delivery: deliveryOf(
        strikes.reduce((at, { kind, spec }) => kind.reply?.(at, spec, scene) ?? at, reply),
        request,
        strikes,
      ),
      user,
      faults: strikes.map(({ spec }) => spec.fault),
      release,
    });
    const turnedAway = this.#frontDoor(strikes, scene);
    if (turnedAway !== undefined) return finished(turnedAway, () => {});
    const { slot, waitedMs } = await this.#thread(request, signal);
    try {
      const outcome =
        slot === undefined
          ? { reply: semaphoresFull(), user: undefined }
          : await this.#inside(credentials, strikes, scene, origin);
      const dressed = this.#dressed(outcome, { sessionId: credentials.sessionId, origin, waitedMs });
      return finished(dressed, () => slot?.release());
    } catch (error) {
      slot?.release();
      throw error;
    }
  }

  /** A thread for as long as the request lasts. Only the API's are counted; pages and tokens have other pools. */
  async #thread(
    { route }: ReceivedRequest,
    signal: AbortSignal,
  ): Promise<{ slot: Slot | undefined; waitedMs: number }> {
    const counted = route.to === 'table' || route.to === 'stats' || route.to === 'unknown-api';
    if (!counted || this.profile.semaphores === 'off') return { slot: { release: () => {} }, waitedMs: 0 };
    const since = this.#clock.monotonic();
    const slot = await this.#semaphores.enter(signal);
    return { slot, waitedMs: Math.round(this.#clock.monotonic() - since) };
  }

  #frontDoor(strikes: readonly Strike[], scene: Scene): Outcome | undefined {
    for (const { kind, spec } of strikes) {
      if (kind.front !== undefined) return { reply: kind.front(spec, scene), user: undefined };
    }
    const tooLong = Buffer.byteLength(scene.request.target) > this.profile.maxTargetBytes;
    return tooLong ? { reply: headerTooLarge(), user: undefined } : undefined;
  }

  async #inside(
    credentials: Credentials,
    strikes: readonly Strike[],
    scene: Scene,
    origin: string,
  ): Promise<Outcome> {
    const { request } = scene;
    const { route } = request;
    if (route.to === 'page') return { reply: pageAt(request.path), user: undefined };
    if (route.to === 'token') return this.#grant(strikes, scene);
    if (route.to === 'revoke') return { reply: this.#revoke(request), user: undefined };
    const { user, refusal } = await authenticate(credentials, this.#doors);
    if (user === undefined) return { reply: refusal, user };
    if (route.to === 'unknown-api') return { reply: noSuchResource(), user };
    const context = {
      records: this.records,
      user,
      profile: this.profile,
      origin,
      sequence: this.#sequence,
      nowMs: this.#clock.now(),
      tamper: (reading: Reading) =>
        strikes.reduce((at, { kind, spec }) => kind.read?.(at, spec, scene) ?? at, reading),
    };
    if (route.to === 'stats') return { reply: answerStats(request, route.table, context), user };
    const answer = (): Reply =>
      strikes.reduce(
        (at, { kind, spec }) => kind.api?.(at, spec, scene) ?? at,
        answerTable(request, route, context),
      );
    return { reply: this.#rationed(context, answer), user };
  }

  /** Under a rate-limit rule every answer says so, and those beyond the limit say nothing else. */
  #rationed({ user, nowMs }: ApiContext, answer: () => Reply): Reply {
    const verdict = this.rateLimits.count(user, nowMs);
    if (verdict === undefined) return answer();
    return addHeaders(verdict.exceeded ? overRateLimit(verdict) : answer(), verdict.headers);
  }

  #revoke({ search, body }: ReceivedRequest): Reply {
    this.oauth.revoke(search.get('token') ?? new URLSearchParams(body).get('token') ?? '');
    return json(200, {});
  }

  #grant(strikes: readonly Strike[], scene: Scene): Outcome {
    const { request } = scene;
    const { user, body, refusal } = this.oauth.answer({
      method: request.method,
      authorization: request.headers.authorization,
      contentType: request.headers['content-type'],
      body: request.body,
    });
    if (body === undefined) return { reply: refusal, user };
    const told = strikes.reduce((at, { kind, spec }) => kind.token?.(at, spec, scene) ?? at, body);
    return { reply: json(200, told), user };
  }

  /** The headers and cookies that every answer of the instance itself carries. */
  #dressed(
    { reply, user }: Outcome,
    facts: { readonly sessionId: string | undefined; readonly origin: string; readonly waitedMs: number },
  ): Outcome {
    const { sessionId, origin, waitedMs } = facts;
    const transaction = randomBytes(6).toString('hex');
    const known = user !== undefined && this.#doors.sessions.userOf(sessionId) === user.userName;
    const cookies = known ? [] : this.#cookiesFor(user, origin.startsWith('https:'));
    const loggedIn = headerOf(reply, 'X-Is-Logged-In') ?? String(user !== undefined);
    const headers: Reply['headers'] = [
      ['Server', 'ServiceNow'],
      ['X-Transaction-ID', transaction],
      ['Server-Timing', `t;desc="${transaction}", sem_wait;dur=${waitedMs}, sesh_wait;dur=0`],
      ['X-Content-Type-Options', 'nosniff'],
      ['Strict-Transport-Security', 'max-age=63072000; includeSubDomains'],
      ...cookies.map((cookie) => ['Set-Cookie', cookie] as const),
      ...withHeader(reply, 'X-Is-Logged-In', loggedIn).headers,
    ];
    return { reply: { ...reply, headers }, user };
  }

  /** A client that brings no session gets a new one with every request; a stranger's is worth nothing. */
  #cookiesFor(user: UserView | undefined, secure: boolean): string[] {
    const { sessions } = this.#doors;
    const session = user === undefined ? sessions.openForNobody() : sessions.open(user.userName);
    const attributes = `; Path=/; HttpOnly${secure ? '; Secure' : ''}`;
    return [
      `JSESSIONID=${session}`,
      'glide_user_route=glide.fake01',
      'BIGipServerpool_fake=1292571402.36670.0000',
    ].map((cookie) => cookie + attributes);
  }
}

/** Compressed only where no fault works on the bytes: those are aimed at the plain ones. */
function deliveryOf(reply: Reply, request: ReceivedRequest, strikes: readonly Strike[]): Delivery {
  const meddled = strikes.some(({ kind }) => kind.deliver !== undefined);
  const compress =
    !meddled && reply.body !== '' && /\bgzip\b/.test(request.headers['accept-encoding']?.toString() ?? '');
  const delivery = compress ? gzipDelivery(reply) : plainDelivery(reply);
  return strikes.reduce((at, { kind, spec }) => kind.deliver?.(at, spec) ?? at, delivery);
}
