import type { X509Certificate } from 'node:crypto';
import type { Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { codedError, opened, serverNameOf, type TlsTarget } from './sockets.ts';

/** Above any chain; a server may send what it likes. */
const MAX_CERTIFICATES = 10;

export interface ShownCertificates {
  /** `TLSv1.3` */
  readonly protocol: string;
  /** The server's own first, then those that lead to its authority, as far as they were sent or are known here. */
  readonly chain: readonly X509Certificate[];
}

/**
 * Begins TLS, looks at the certificates and ends the connection. The one place where a certificate is not judged: it is
 * the very thing that is looked for, not a byte is sent behind the handshake, and nobody gets the connection.
 */
export async function shownCertificates(
  socket: Socket,
  { hostname, secureContext }: TlsTarget,
  signal: AbortSignal,
): Promise<ShownCertificates> {
  const looking = connectTls({
    socket,
    host: hostname,
    ...serverNameOf(hostname),
    secureContext,
    ALPNProtocols: ['http/1.1'],
    rejectUnauthorized: false,
  });
  try {
    await opened(looking, 'secureConnect', signal);
    const chain: X509Certificate[] = [];
    for (
      let next = looking.getPeerX509Certificate();
      next !== undefined && chain.length < MAX_CERTIFICATES;
      next = next.issuerCertificate
    ) {
      const { fingerprint256 } = next;
      if (chain.some((one) => one.fingerprint256 === fingerprint256)) break;
      chain.push(next);
    }
    if (chain.length === 0) throw codedError('EPROTO', 'no certificate was shown');
    return { protocol: looking.getProtocol() ?? 'unknown', chain };
  } finally {
    looking.destroy();
    socket.destroy();
  }
}
