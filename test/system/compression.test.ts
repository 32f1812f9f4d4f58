import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import { expect } from 'chai';
import { WebSocket } from 'ws';
import { dial } from '../../src/delegate/connection/transport.ts';
import { startManager } from '../../src/manager/manager.ts';
import { CONNECT_PATH, SUBPROTOCOL } from '../../src/protocol/limits.ts';
import { connectToken, enrol } from '../manager/support/scripted-delegate.ts';
import { dialerWith } from '../support/dialer.ts';
import { listenOnLoopback } from '../support/listen.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { leavesNothingOpen } from '../support/open-handles.ts';
import { rejectionOf } from '../support/failure.ts';

/** permessage-deflate costs memory for each connection, and compressing secrets beside a stranger's text tells them. */
describe('compression of the wire', () => {
  leavesNothingOpen();

  it('is not offered by the delegate', async () => {
    const server = createServer();
    const offered = new Promise<IncomingMessage>((resolve) => {
      server.once('upgrade', (request, socket) => {
        resolve(request);
        socket.end('HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n');
      });
    });
    const managerUrl = `http://127.0.0.1:${await listenOnLoopback(server)}`;
    const { signal } = new AbortController();
    await rejectionOf(
      dial({
        tokenAheadMs: 0,
        dialer: dialerWith(),
        managerUrl,
        token: 't',
        userAgent: 'u',
        signal,
        clock: new ManualClock(),
      }),
    );
    expect((await offered).headers).to.not.have.property('sec-websocket-extensions');
    const closed = once(server, 'close');
    server.close();
    await closed;
  });

  it('is not accepted by the manager', async () => {
    await using manager = await startManager();
    const token = await connectToken(manager, await enrol(manager));
    const socket = new WebSocket(manager.url.replace('http', 'ws') + CONNECT_PATH, SUBPROTOCOL, {
      perMessageDeflate: true,
      headers: { authorization: `Bearer ${token}` },
    });
    await once(socket, 'open');
    expect(socket.extensions).to.equal('');
    const closed = once(socket, 'close');
    socket.terminate();
    await closed;
  });
});
