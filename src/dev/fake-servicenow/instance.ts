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
import { noSuchResource } from './http/failures.ts';
import { headerTooLarge, pageAt } from './http/pages.ts';
import { headerOf, json, withHeader, type Reply } from './http/reply.ts';
import type { ReceivedRequest } from './http/request.ts';
import type { Profile } from './profile.ts';
import type { Records } from './records/store.ts';
import { readTable } from './table-api/read.ts';

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
  profile: Profile;
  readonly #clock: Clock;
  readonly #doors: Doors;
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

  /** The pipeline: front door, authentication, API, last touches. `origin` is the instance's own. */
  async answer(request: ReceivedRequest, origin: string): Promise<Answer> {
    this.#sequence += 1;
    const credentials = {
      authorization: request.headers.authorization,
      sessionId: request.cookies['JSESSIONID'],
    };
    const strikes = this.faults.take(request, claimedUser(credentials, this.#doors));
    const scene = { request, records: this.records, oauth: this.oauth, clock: this.#clock };

    const { reply, user } =
      this.#frontDoor(strikes, scene) ??
      this.#dressed(await this.#inside(credentials, strikes, scene, origin), credentials.sessionId, origin);
    const finished = strikes.reduce((at, { kind, spec }) => kind.reply?.(at, spec, scene) ?? at, reply);
    return {
      delivery: deliveryOf(finished, request, strikes),
      user,
      faults: strikes.map(({ spec }) => spec.fault),
    };
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
    const { user, refusal } = await authenticate(credentials, this.#doors);
    if (user === undefined) return { reply: refusal, user };
    if (route.to === 'unknown-api') return { reply: noSuchResource(), user };
    const reply = readTable(request, route, {
      records: this.records,
      user,
      profile: this.profile,
      origin,
      sequence: this.#sequence,
      tamper: (reading) =>
        strikes.reduce((at, { kind, spec }) => kind.read?.(at, spec, scene) ?? at, reading),
    });
    return { reply: strikes.reduce((at, { kind, spec }) => kind.api?.(at, spec, scene) ?? at, reply), user };
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
  #dressed({ reply, user }: Outcome, sessionId: string | undefined, origin: string): Outcome {
    const transaction = randomBytes(6).toString('hex');
    const known = user !== undefined && this.#doors.sessions.userOf(sessionId) === user.userName;
    const cookies = known ? [] : this.#cookiesFor(user, origin.startsWith('https:'));
    const loggedIn = headerOf(reply, 'X-Is-Logged-In') ?? String(user !== undefined);
    const headers: Reply['headers'] = [
      ['Server', 'ServiceNow'],
      ['X-Transaction-ID', transaction],
      ['Server-Timing', `t;desc="${transaction}", sem_wait;dur=0, sesh_wait;dur=0`],
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
