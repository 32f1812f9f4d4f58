import { once } from 'node:events';
import { expect } from 'chai';
import { WebSocketServer, type WebSocket } from 'ws';
import { Outbox, type Channel } from '../../../src/delegate/tasks/outbox.ts';
import { dial } from '../../../src/delegate/connection/transport.ts';
import { systemClock } from '../../../src/kit/time.ts';
import { decodeToManager, encodeToManager } from '../../../src/protocol/codec.ts';
import { MAX_FRAME_BYTES, SUBPROTOCOL } from '../../../src/protocol/limits.ts';
import type { ToManager } from '../../../src/protocol/messages.ts';
import { dialerWith } from '../../support/dialer.ts';
import { portOf } from '../../support/listen.ts';
import { until, within } from '../../support/until.ts';
import { leavesNothingOpen } from '../../support/open-handles.ts';
import { resultOf } from '../frames.ts';
import { ROOMY } from '../../support/outbox-limits.ts';

describe('a transport whose peer reads slowly', () => {
  let server: WebSocketServer;

  beforeEach(async () => {
    server = new WebSocketServer({ host: '127.0.0.1', port: 0, handleProtocols: () => SUBPROTOCOL });
    await once(server, 'listening');
  });

  afterEach(async () => {
    for (const client of server.clients) client.terminate();
    await new Promise((resolve) => server.close(resolve));
  });

  async function connect() {
    const accepted = once(server, 'connection');
    const transport = await dial({
      tokenAheadMs: 0,
      dialer: dialerWith(),
      managerUrl: `http://127.0.0.1:${portOf(server)}`,
      token: 'token',
      userAgent: 'test',
      signal: new AbortController().signal,
      clock: systemClock,
    });
    const [peer]: WebSocket[] = await accepted;
    if (peer === undefined) throw new Error('it is connected');
    return { transport, peer };
  }

  leavesNothingOpen();

  it('stays open with more waiting results than it may hold unsent, and delivers them in order', async () => {
    const { transport, peer } = await connect();
    peer.pause();
    const received: number[] = [];
    peer.on('message', (bytes: Buffer, binary: boolean) => {
      const decoded = decodeToManager({ bytes, binary });
      if (decoded.known && decoded.message.type === 'task.result') received.push(decoded.message.attempt);
    });
    const channel: Channel = {
      maxFrameBytes: MAX_FRAME_BYTES,
      send: (message: ToManager, onSent) => transport.send(encodeToManager(message), onSent),
    };
    const outbox = new Outbox(ROOMY);
    const output = 'x'.repeat(MAX_FRAME_BYTES - 4_096);
    const attempts = Array.from({ length: 40 }, (_, index) => index + 1);
    for (const attempt of attempts) outbox.put(resultOf({ taskId: 't', attempt }, output));
    outbox.attach(channel);
    // More than what the unsent bytes may come to: any of these would cut the line if the results were handed over.
    for (let beat = 0; beat < 10; beat += 1) {
      expect(transport.send(encodeToManager({ type: 'credit', granted: beat }))).to.equal(true);
    }
    peer.resume();
    await within(
      'every result',
      until('every result', () => received.length === attempts.length),
    );
    expect(received).to.deep.equal(attempts);
    transport.terminate();
    await transport.closed;
  });
});
