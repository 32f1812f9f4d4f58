import { systemClock, type Clock } from '../../kit/time.ts';
import type { AccountSeed } from './access/accounts.ts';
import type { OAuthClient } from './access/oauth.ts';
import type { TrustedIssuer } from './access/trusted-issuers.ts';
import { answerAdmin } from './admin.ts';
import { controlsOf, type Controls } from './controls.ts';
import { receive } from './http/request.ts';
import { Instance } from './instance.ts';
import { Journal, type JournalEntry, type Traffic } from './journal.ts';
import { deliver, Listener, readBody } from './listener.ts';
import { DEFAULT_PROFILE, type Profile } from './profile.ts';
import { Records } from './records/store.ts';
import { ACCOUNTS, OAUTH_CLIENTS, REFRESH_TOKENS } from './seed/credentials.ts';
import { seed } from './seed/seed.ts';

const LOOPBACK = '127.0.0.1';

export interface FakeServiceNowOptions {
  /** 0, the default: any free port. */
  readonly port?: number;
  readonly host?: typeof LOOPBACK;
  readonly adminPort?: number;
  readonly clock?: Clock;
  readonly profile?: Partial<Profile>;
  readonly trustedIssuers?: readonly TrustedIssuer[];
  /** PEM; with it the instance speaks https. The admin plane never does. */
  readonly tls?: { readonly key: string; readonly cert: string };
  /** Passwords by user name, in place of the development defaults. */
  readonly passwords?: Readonly<Record<string, string>>;
  /** Besides the client of `OAUTH`. */
  readonly oauthClients?: readonly OAuthClient[];
}

/** A running ServiceNow that isn't one. */
export interface FakeServiceNow extends Controls, AsyncDisposable {
  /** Origin of the instance, without a trailing slash. */
  readonly url: string;
  /** Origin of the admin plane. */
  readonly adminUrl: string;
  /** Requests to the instance, oldest first. */
  journal(): readonly JournalEntry[];
  /** The journal in numbers. */
  traffic(): Traffic;
  clearJournal(): void;
  /** Resolves when no socket, timer or request is left. */
  close(): Promise<void>;
}

export async function startFakeServiceNow(options: FakeServiceNowOptions = {}): Promise<FakeServiceNow> {
  const clock = options.clock ?? systemClock;
  const instance = createInstance(options, clock);
  const journal = new Journal();
  const controls = controlsOf(instance);
  const host = options.host ?? LOOPBACK;

  const front = await Listener.open({
    host,
    port: options.port ?? 0,
    tls: options.tls,
    async handle(message, response, signal) {
      const request = receive(message, await readBody(message));
      const startedAt = clock.monotonic();
      const entry = journal.open(request, clock.now());
      let release = (): void => {};
      try {
        const answer = await instance.answer(request, front.url, signal);
        release = answer.release;
        const { delivery, user, faults } = answer;
        Object.assign(entry, { user: user?.userName ?? null, faults });
        if (delivery.reset !== 'before-headers') entry.status = delivery.status;
        await deliver(delivery, response, { isHead: request.verb === 'HEAD', clock, signal });
      } finally {
        release();
        journal.close(entry, clock.monotonic() - startedAt);
      }
    },
  });
  const admin = await openAdmin(options, host, { controls, journal }, front);

  const close = async (): Promise<void> => {
    await Promise.all([front.close(), admin.close()]);
  };
  return {
    ...controls,
    url: front.url,
    adminUrl: admin.url,
    journal: () => journal.read(),
    traffic: () => journal.traffic(),
    clearJournal: () => journal.clear(),
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** A port that is taken must not leave the instance running behind the caller's back. */
async function openAdmin(
  options: FakeServiceNowOptions,
  host: string,
  plane: { controls: Controls; journal: Journal },
  front: Listener,
): Promise<Listener> {
  try {
    return await Listener.open({
      host,
      port: options.adminPort ?? 0,
      handle: (message, response) => answerAdmin(message, response, plane),
    });
  } catch (error) {
    await front.close();
    throw error;
  }
}

function createInstance(options: FakeServiceNowOptions, clock: Clock): Instance {
  const records = new Records(clock);
  seed(records, clock);
  const accounts = ACCOUNTS.map((account): AccountSeed => {
    const password = options.passwords?.[account.userName];
    return password === undefined ? account : { ...account, password };
  });
  const instance = new Instance({
    clock,
    profile: { ...DEFAULT_PROFILE, ...options.profile },
    records,
    accounts,
    oauthClients: [...OAUTH_CLIENTS, ...(options.oauthClients ?? [])],
    trustedIssuers: options.trustedIssuers ?? [],
  });
  for (const { userName, clientId, value } of REFRESH_TOKENS) {
    instance.oauth.issueRefreshToken(userName, clientId, value);
  }
  return instance;
}
