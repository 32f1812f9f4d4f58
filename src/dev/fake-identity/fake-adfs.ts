import type { JSONWebKeySet } from 'jose';
import { systemClock, toTimestamp, type Clock } from '../../kit/time.ts';
import { answerAdmin } from './admin.ts';
import { createDevelopmentCertificate, type DevelopmentCertificate } from './development-certificates.ts';
import { Faults } from './faults.ts';
import { openPlane, type Exchange, type TlsPair } from './http-plane.ts';
import { Registry, type ClientRegistration } from './registry.ts';
import { answerAdfs, issuerOf, TOKEN_PATH, type Handled } from './routes.ts';
import { TokenEndpoint, type AdfsProfile } from './token-endpoint.ts';
import { createTokenSigner } from './token-signer.ts';

/** The oldest entries make room. */
const MAX_JOURNAL_ENTRIES = 10_000;

const DEFAULT_PROFILE: AdfsProfile = {
  profile: 'strict2019',
  clockSkewS: 5,
  maxLifetimeS: 600,
  accessTokenLifetimeS: 3_600,
};

export interface FakeAdfsOptions {
  /** 127.0.0.1 unless given. */
  host?: string;
  /** 0, the default, takes a free one. */
  port?: number;
  adminPort?: number;
  clock?: Clock;
  profile?: Partial<AdfsProfile>;
  /** Signs the access tokens; made at start unless given. */
  signing?: DevelopmentCertificate;
  /** For the token endpoint; the admin plane is always plain HTTP. */
  tls?: TlsPair;
}

/** One request as it came and what became of it. It holds secrets, being an oracle for tests. */
export interface JournalEntry extends Handled {
  /** RFC 3339. */
  readonly at: string;
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly form: Readonly<Record<string, string>>;
}

/** An AD FS for development: client credentials by signed assertion, and nothing else of it. */
export interface FakeAdfs extends AsyncDisposable {
  readonly url: string;
  readonly adminUrl: string;
  readonly tokenEndpoint: string;
  /** The `iss` of access tokens. */
  readonly issuer: string;
  /** The keys that verify access tokens. */
  readonly jwks: JSONWebKeySet;
  readonly faults: Faults;
  registerClient(registration: ClientRegistration): void;
  /** Makes a resource known without permitting it to anybody. */
  registerResource(identifier: string): void;
  journal(): readonly JournalEntry[];
  close(): Promise<void>;
}

export async function startFakeAdfs(options: FakeAdfsOptions = {}): Promise<FakeAdfs> {
  const { host = '127.0.0.1', clock = systemClock } = options;
  const signer = await createTokenSigner(
    options.signing ?? (await createDevelopmentCertificate({ commonName: 'ADFS Signing' })),
  );
  const registry = new Registry();
  const faults = new Faults();
  const journal: JournalEntry[] = [];
  const record = ({ method, path, request }: Exchange, form: URLSearchParams, handled: Handled): void => {
    journal.push({
      at: toTimestamp(clock.now()),
      method,
      path,
      headers: request.headers,
      form: Object.fromEntries(form),
      ...handled,
    });
    if (journal.length > MAX_JOURNAL_ENTRIES) journal.shift();
  };

  const publicPlane = await openPlane({ host, port: options.port ?? 0, tls: options.tls }, (origin) => {
    const endpoint = new TokenEndpoint({
      profile: { ...DEFAULT_PROFILE, ...options.profile },
      clock,
      registry,
      signer,
      audiences: [origin + TOKEN_PATH, `${origin + TOKEN_PATH}/`],
      issuer: issuerOf(origin),
    });
    const answer = answerAdfs({ origin, endpoint, faults, jwks: signer.jwks });
    return async (exchange) => {
      const form = new URLSearchParams(exchange.body);
      record(exchange, form, await answer(exchange, form));
    };
  });

  const adfs = {
    url: publicPlane.origin,
    tokenEndpoint: publicPlane.origin + TOKEN_PATH,
    issuer: issuerOf(publicPlane.origin),
    jwks: signer.jwks,
    faults,
    registerClient: (registration: ClientRegistration) => registry.registerClient(registration),
    registerResource: (identifier: string) => registry.registerResource(identifier),
    journal: () => journal,
  };
  const adminPlane = await openPlane({ host, port: options.adminPort ?? 0 }, () => answerAdmin(adfs)).catch(
    async (error: unknown) => {
      await publicPlane.close();
      throw error;
    },
  );
  const close = async (): Promise<void> => {
    await Promise.all([publicPlane.close(), adminPlane.close()]);
  };
  return { ...adfs, adminUrl: adminPlane.origin, close, [Symbol.asyncDispose]: close };
}
