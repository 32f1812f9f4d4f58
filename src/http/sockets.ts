import { lookup as dnsLookup, type LookupAddress, type LookupOptions } from 'node:dns';
import { connect as connectNet, isIP, type LookupFunction, type Socket } from 'node:net';
import { connect as connectTls, type SecureContext, type TLSSocket } from 'node:tls';
import { systemCode } from '../kit/errors.ts';
import { abortReason } from '../kit/flow.ts';

/** The interval of TCP's own probes on a connection that nobody uses. */
const TCP_KEEP_ALIVE_MS = 60_000;

/** As `dns.lookup` with `all`. */
export type Lookup = (
  hostname: string,
  options: LookupOptions & { all: true },
  callback: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void;

export const systemLookup: Lookup = (hostname, options, callback) => dnsLookup(hostname, options, callback);

/** An error by Node's own code for it, for what ends by a decision of ours. */
export function codedError(code: string, message: string, cause?: unknown): Error {
  return Object.assign(new Error(message, cause === undefined ? undefined : { cause }), { code });
}

export interface TcpTarget {
  /** Without the brackets of IPv6. */
  readonly hostname: string;
  readonly port: number;
  readonly lookup: Lookup;
  /** Throws for an address that must not be connected to. */
  readonly guardAddress: (address: string) => void;
}

/** A TCP connection. Rejects with a system error, or with the reason of the signal. */
export async function connectTcp(target: TcpTarget, signal: AbortSignal): Promise<Socket> {
  signal.throwIfAborted();
  const socket = connectNet({
    host: target.hostname,
    port: target.port,
    lookup: guardedLookup(target),
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: TCP_KEEP_ALIVE_MS,
  });
  return await opened(socket, 'connect', signal);
}

export interface TlsTarget {
  /** The name, or address, that the certificate must be for; without the brackets of IPv6. */
  readonly hostname: string;
  readonly secureContext: SecureContext;
}

/**
 * TLS over a connection that stands. Without the resumption of sessions: every connection shows its certificate and
 * has it checked. Rejects like `connectTcp`; the connection below is then closed.
 */
export async function startTls(
  socket: Socket,
  { hostname, secureContext }: TlsTarget,
  signal: AbortSignal,
): Promise<TLSSocket> {
  signal.throwIfAborted();
  const secured = connectTls({
    socket,
    host: hostname,
    ...serverNameOf(hostname),
    secureContext,
    ALPNProtocols: ['http/1.1'],
    // Said outright, so that no variable of Node's (NODE_TLS_REJECT_UNAUTHORIZED) can take it back.
    rejectUnauthorized: true,
  });
  try {
    return await opened(secured, 'secureConnect', signal);
  } catch (thrown) {
    socket.destroy();
    // Who does not answer at all, and who does not speak TLS, need different people.
    if (systemCode(thrown) !== 'ETIMEDOUT') throw thrown;
    throw codedError('ERR_TLS_HANDSHAKE_TIMEOUT', 'the TLS handshake took too long', thrown);
  }
}

/** A server name is a DNS name (RFC 6066, section 3). */
export function serverNameOf(hostname: string): { servername?: string } {
  return isIP(hostname) === 0 ? { servername: hostname } : {};
}

/** The socket once the event has come; else it is destroyed. */
export async function opened<S extends Socket>(
  socket: S,
  event: 'connect' | 'secureConnect',
  signal: AbortSignal,
): Promise<S> {
  // For good: between two owners an error would find nobody, and end the process. And it ends the socket, because TLS
  // tells an alert of the peer without doing so: the bare end behind it would then be taken for the cause.
  socket.on('error', (failure) => socket.destroy(failure));
  await new Promise<void>((resolve, reject) => {
    const onAbort = (): void => settle(abortReason(signal));
    const onClose = (): void => settle(codedError('ECONNRESET', 'closed before it was open'));
    const onOpen = (): void => settle(undefined);
    const settle = (failure: Error | undefined): void => {
      signal.removeEventListener('abort', onAbort);
      socket.off('error', settle).off('close', onClose).off(event, onOpen);
      if (failure === undefined) resolve();
      else {
        socket.destroy();
        reject(failure);
      }
    };
    signal.addEventListener('abort', onAbort, { once: true });
    socket.on('error', settle).on('close', onClose).on(event, onOpen);
  });
  // What came right behind the opening, such as an alert of the peer, was heard by nobody else.
  if (socket.errored !== null) throw socket.errored;
  return socket;
}

/** DNS as `net.connect` wants it, with each address judged: a public name may point at a private place. */
function guardedLookup({ lookup, guardAddress }: TcpTarget): LookupFunction {
  return (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (error, addresses) => {
      if (error !== null) {
        callback(error, []);
        return;
      }
      try {
        for (const { address } of addresses) guardAddress(address);
      } catch (refused) {
        callback(refused instanceof Error ? refused : new Error('refused'), []);
        return;
      }
      const [first] = addresses;
      if (options.all === true) callback(null, addresses);
      else callback(null, first?.address ?? '', first?.family);
    });
  };
}
