import { X509Certificate } from 'node:crypto';
import { z } from 'zod';
import { thumbprintOf } from './development-certificates.ts';

export const clientRegistrationSchema = z.object({
  clientId: z.string().min(1),
  /**
   * One or more certificates. A thumbprint would not do: an assertion carries no certificate, so its signature
   * could not be verified.
   */
  certificatePem: z.string().includes('-----BEGIN CERTIFICATE-----'),
  /** Identifiers of the resources that the application group lets this client have; they become known by it. */
  permissions: z.array(z.string().min(1)).default([]),
  /** What the issuance rules add to this client's tokens, e.g. `{ upn: 'svc_deploy' }`. */
  tokenClaims: z.record(z.string(), z.string()).default({}),
});

export type ClientRegistration = z.input<typeof clientRegistrationSchema>;

export interface RegisteredClient {
  readonly clientId: string;
  readonly certificates: readonly X509Certificate[];
  readonly permissions: ReadonlySet<string>;
  readonly tokenClaims: Readonly<Record<string, string>>;
}

/** The clients and resources (relying parties) that this AD FS knows. */
export class Registry {
  readonly #clients = new Map<string, RegisteredClient>();
  readonly #resources = new Set<string>();

  /** Takes the place of an earlier registration under the same id. */
  registerClient(registration: ClientRegistration): void {
    const { clientId, certificatePem, permissions, tokenClaims } =
      clientRegistrationSchema.parse(registration);
    const blocks = certificatePem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
    this.#clients.set(clientId, {
      clientId,
      certificates: blocks.map((block) => new X509Certificate(block)),
      permissions: new Set(permissions),
      tokenClaims,
    });
    for (const resource of permissions) this.registerResource(resource);
  }

  registerResource(identifier: string): void {
    this.#resources.add(identifier);
  }

  client(clientId: string): RegisteredClient | undefined {
    return this.#clients.get(clientId);
  }

  knowsResource(identifier: string): boolean {
    return this.#resources.has(identifier);
  }
}

/** The certificate that an assertion's header names, by `x5t` or, where that is let pass, by `kid` alone. */
export function certificateNamed(
  client: RegisteredClient,
  header: { x5t?: string | undefined; kid?: string | undefined },
): X509Certificate | undefined {
  return client.certificates.find((certificate) => {
    const thumbprint = thumbprintOf(certificate);
    const x5t = Buffer.from(thumbprint, 'hex').toString('base64url');
    return header.x5t === undefined ? header.kid === thumbprint || header.kid === x5t : header.x5t === x5t;
  });
}
