import { createSecureContext, rootCertificates, type SecureContext } from 'node:tls';
import type { Secret } from '../kit/secret.ts';
import type { Clock } from '../kit/time.ts';
import { assertClientIdentity, certificatesIn, type ClientIdentity } from '../kit/tls-material.ts';
import { Fresh, type FreshLog } from './fresh.ts';

/** What the delegate shows to the servers of one origin. */
export interface ClientCertificate {
  /** `https://host[:port]` */
  readonly origin: string;
  readonly certificateFile: string;
  readonly privateKeyFile: string;
  readonly passphraseFile: string | undefined;
}

export interface TrustOptions {
  /** PEM bundles that are trusted beside the authorities that come with Node. None: what Node trusts by itself. */
  authorityFiles: readonly string[];
  clientCertificates: readonly ClientCertificate[];
  /** Told of each value that must not be printed nor sent. */
  protect: (value: string, origins: readonly string[]) => Secret;
  clock: Clock;
  log: FreshLog;
}

interface Kept {
  readonly authorities: readonly string[] | undefined;
  readonly identity: ClientIdentity | undefined;
  readonly context: SecureContext;
}

/** Whom the delegate believes, and how it shows who it is. Files are read anew when they have changed. */
export class Trust {
  readonly #authorities: Fresh<readonly string[]> | undefined;
  readonly #identities: ReadonlyMap<string, Fresh<ClientIdentity>>;
  /** By origin; those without a certificate of their own share the one at ''. */
  readonly #kept = new Map<string, Kept>();

  constructor(options: TrustOptions) {
    const { authorityFiles, clientCertificates } = options;
    if (authorityFiles.length > 0) this.#authorities = freshAuthorities(options);
    this.#identities = new Map(clientCertificates.map((one) => [one.origin, freshIdentity(one, options)]));
  }

  /** For one connection to this origin; a later one may have another. Rejects with `network.file-unusable`. */
  async contextFor(origin: string): Promise<SecureContext> {
    const files = this.#identities.get(origin);
    const [authorities, identity] = await Promise.all([this.#authorities?.current(), files?.current()]);
    const key = files === undefined ? '' : origin;
    const kept = this.#kept.get(key);
    if (kept !== undefined && kept.authorities === authorities && kept.identity === identity) {
      return kept.context;
    }
    const context = contextOf(authorities, identity);
    this.#kept.set(key, { authorities, identity, context });
    return context;
  }
}

function contextOf(
  authorities: readonly string[] | undefined,
  identity: ClientIdentity | undefined,
): SecureContext {
  return createSecureContext({
    // Said outright: Node's own default can be lowered from outside (NODE_OPTIONS=--tls-min-v1.0).
    minVersion: 'TLSv1.2',
    // Node takes a list in the place of its own authorities, not beside them.
    ...(authorities === undefined ? {} : { ca: [...rootCertificates, ...authorities] }),
    ...(identity === undefined ? {} : { cert: identity.certificate, key: identity.privateKey }),
    ...(identity?.passphrase === undefined ? {} : { passphrase: identity.passphrase }),
  });
}

function freshAuthorities({ authorityFiles, clock, log }: TrustOptions): Fresh<readonly string[]> {
  return new Fresh({
    what: 'The CA bundle (DELEGATE_CA_FILE)',
    paths: authorityFiles,
    make: (bundles) => bundles.flatMap(certificatesIn),
    clock,
    log,
  });
}

function freshIdentity(
  files: ClientCertificate,
  { protect, clock, log }: TrustOptions,
): Fresh<ClientIdentity> {
  const { origin, certificateFile, privateKeyFile, passphraseFile } = files;
  return new Fresh({
    what: `The client certificate for ${origin}`,
    paths: [certificateFile, privateKeyFile, ...(passphraseFile === undefined ? [] : [passphraseFile])],
    make: ([certificate = '', privateKey = '', passphraseText]) => {
      // To nobody: a signature is sent, never the key.
      protect(privateKey, []);
      const passphrase = passphraseText?.replace(/\r?\n$/, '');
      if (passphrase !== undefined) protect(passphrase, []);
      const identity: ClientIdentity = { certificate, privateKey, passphrase };
      assertClientIdentity(identity);
      return identity;
    },
    clock,
    log,
  });
}
