import { once } from 'node:events';
import type { AddressInfo, Server } from 'node:net';

/** Resolves to the free port on loopback that was found. */
export async function listenOnLoopback(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return portOf(server);
}

/** The port of whatever listens; throws if it does not, or on no TCP port. */
export function portOf(server: { address(): AddressInfo | string | null }): number {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new TypeError('it listens on no TCP port');
  return address.port;
}
