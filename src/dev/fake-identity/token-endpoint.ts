import type { Clock } from '../../kit/time.ts';
import { USERINFO_AUDIENCE, type RefusalName } from './adfs-dialect.ts';
import { AssertionVerifier, type AssertionRules } from './assertion-verifier.ts';
import type { TokenBody } from './faults.ts';
import type { RegisteredClient, Registry } from './registry.ts';
import type { TokenSigner } from './token-signer.ts';

const CLIENT_ASSERTION_TYPE = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';

export interface AdfsProfile extends AssertionRules {
  accessTokenLifetimeS: number;
}

export interface TokenEndpointOptions {
  profile: AdfsProfile;
  clock: Clock;
  registry: Registry;
  signer: TokenSigner;
  /** The addresses that an assertion may name as its audience. */
  audiences: readonly string[];
  /** The `iss` of access tokens. */
  issuer: string;
}

export type TokenVerdict =
  | { granted: TokenBody }
  | {
      refused: RefusalName;
      /** Why a client was not authenticated, which AD FS tells its log alone. */
      reason?: string;
    };

/** Decides about one token request, in AD FS' order: grant, client, its proof, resource, permission. */
export class TokenEndpoint {
  readonly #options: TokenEndpointOptions;
  readonly #verifier: AssertionVerifier;

  constructor(options: TokenEndpointOptions) {
    this.#options = options;
    this.#verifier = new AssertionVerifier(options.profile, options.clock, options.audiences);
  }

  async judge(form: URLSearchParams): Promise<TokenVerdict> {
    const grantType = form.get('grant_type');
    const clientId = form.get('client_id');
    if (grantType === null || clientId === null) return { refused: 'missingParameter' };
    if (grantType === 'password') return { refused: 'userPassword' };
    if (grantType !== 'client_credentials') return { refused: 'unsupportedGrant' };
    const client = this.#options.registry.client(clientId);
    if (client === undefined) return { refused: 'unknownClient' };
    const reason = await this.#whyNotAuthentic(client, form);
    if (reason !== undefined) return { refused: 'clientNotAuthenticated', reason };
    const resource = form.get('resource');
    const refused = resource === null ? undefined : this.#whyNotPermitted(client, resource);
    return refused === undefined
      ? { granted: await this.#grant(client, resource ?? USERINFO_AUDIENCE) }
      : { refused };
  }

  async #whyNotAuthentic(client: RegisteredClient, form: URLSearchParams): Promise<string | undefined> {
    const assertion = form.get('client_assertion');
    if (assertion === null) return 'there is no client_assertion';
    if (form.get('client_assertion_type') !== CLIENT_ASSERTION_TYPE) return 'unknown client_assertion_type';
    return await this.#verifier.verify(client, assertion);
  }

  #whyNotPermitted(client: RegisteredClient, resource: string): RefusalName | undefined {
    if (!this.#options.registry.knowsResource(resource)) return 'unknownResource';
    if (client.permissions.size === 0) return 'clientNotPermitted';
    return client.permissions.has(resource) ? undefined : 'resourceNotPermitted';
  }

  async #grant(client: RegisteredClient, audience: string): Promise<TokenBody> {
    const { clock, issuer, profile, signer } = this.#options;
    return {
      access_token: await signer.sign({
        issuer,
        audience,
        clientId: client.clientId,
        issuedAtS: Math.floor(clock.now() / 1_000),
        lifetimeS: profile.accessTokenLifetimeS,
        added: client.tokenClaims,
      }),
      token_type: 'bearer',
      expires_in: profile.accessTokenLifetimeS,
    };
  }
}
