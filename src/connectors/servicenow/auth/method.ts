import type { KeyMaterial } from '../../../oauth/key-material.ts';
import type { ProtectToken, TokenReceiver } from '../../../oauth/token-response.ts';
import type { TokenSource } from '../../../oauth/token-source.ts';
import type { DelegateError } from '../../../kit/errors.ts';
import type { HttpSend } from '../../../kit/http-exchange.ts';
import type { Secret } from '../../../kit/secret.ts';
import type { Clock } from '../../../kit/time.ts';
import type { ConnectorMeter } from '../../connector.ts';
import type { AuthOf, AuthType } from '../schema.ts';
import type { RefreshTokens } from './refresh-tokens.ts';

/** What an authentication is built on. */
export interface AuthDeps {
  send: HttpSend;
  meter: ConnectorMeter;
  clock: Clock;
  tokens: TokenSource;
  refreshTokens: RefreshTokens;
  protect: ProtectToken;
  scrub: (text: string) => string;
  /** Whose tokens they are; a part of every token's key, so that no two connectors share one. */
  connector: string;
}

/** A setting that holds a secret reference, by its name in `auth.spec`. */
export interface SecretField {
  field: string;
  reference: string;
  goesTo: readonly TokenReceiver[];
}

/**
 * Who may be sent the secret of each field. A client id and a resource go to both, because tokens name them. What
 * signs goes to nobody.
 */
export type SecretReceivers<T extends AuthType> = Readonly<
  Record<Extract<keyof AuthOf<T>['spec'], `${string}Ref`>, readonly TokenReceiver[]>
>;

export type ResolvedSecrets = ReadonlyMap<string, Secret>;

/** What one request carries. */
export interface Authorization {
  /** The value of the `Authorization` header. */
  header: Secret;
  /** The bearer token in it; undefined for Basic. */
  bearer: Secret | undefined;
  /** The access token it came with, by which the token source knows the answer; undefined for Basic. */
  accessToken: Secret | undefined;
}

/**
 * One way to authenticate, for one connector, with its secrets resolved. The three differ in how they come to a
 * header and in what can be checked before; nothing downstream asks which of them it is.
 */
export interface Authentication {
  /** The user as far as it may be named in texts; undefined if it is itself a secret. */
  readonly user: string | undefined;
  /** A hash of all that decides who asks: what one connector's credentials learn or share stays with them. */
  readonly identity: string;
  /** Checks key and certificate; undefined where there are none. Throws `key-material.…`. */
  readonly keyMaterial: (() => KeyMaterial) | undefined;
  /** @param options.anew asks the token server now, whatever is remembered of its last answers; for a test */
  authorize(signal: AbortSignal, options?: { anew?: boolean }): Promise<Authorization>;
  /** ServiceNow refused it. True if another one may do better: the refused token is then forgotten. */
  refused(authorization: Authorization): boolean;
  /** What whoever reads the result should know, although the call worked. */
  warnings(): DelegateError[];
}

export interface AuthMethod<T extends AuthType> {
  secretFields(auth: AuthOf<T>): readonly SecretField[];
  /** Where its tokens come from; undefined if it needs none. */
  tokenEndpoint(auth: AuthOf<T>): URL | undefined;
  /** Whether there are a key and a certificate to check. */
  readonly signsWithKey: boolean;
  open(auth: AuthOf<T>, secrets: ResolvedSecrets, deps: AuthDeps): Authentication;
}

/** The secret of a field that the schema requires. */
export function required(secrets: ResolvedSecrets, field: string): Secret {
  const secret = secrets.get(field);
  if (secret === undefined) throw new Error(`${field} was not resolved`);
  return secret;
}

/** Leaves out fields that are not given. */
export function fieldsOf(
  spec: Readonly<Record<string, unknown>>,
  receivers: Readonly<Record<string, readonly TokenReceiver[]>>,
): SecretField[] {
  return Object.entries(receivers).flatMap(([field, goesTo]) => {
    const reference = spec[field];
    return typeof reference === 'string' ? [{ field, reference, goesTo }] : [];
  });
}
