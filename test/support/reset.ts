import type { Socket } from 'node:net';

/**
 * RST at once. Node's own `resetAndDestroy` first queues a FIN; a socket that is destroyed before that is out, by the
 * peer's RST for one, cannot be reset any more (EINVAL) and is neither closed nor says so, ever. The mark is Node's
 * own; where it is not known, this is an ordinary close.
 */
export function reset(socket: Socket): void {
  if (!socket.writableEnded) Object.assign(socket, { resetAndClosing: true });
  socket.destroy();
}
