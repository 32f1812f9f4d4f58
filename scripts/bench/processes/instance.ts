import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { z } from 'zod';
import type { InstanceCounts } from '../messages.ts';
import { handed, serve } from './serve.ts';

/**
 * A ServiceNow that answers at once: a row for each ticket that the query names. It reads requests without a body off the
 * socket by itself, since an HTTP server's work would count for nobody and take the time of a core from everybody.
 */

const END_OF_HEAD = '\r\n\r\n';
const TICKET = /CHG\d{7}/g;

/** Listens on so many ports: an instance is told by its origin. */
const hand = z.object({ ports: z.int().positive(), state: z.string() });
const { ports, state } = hand.parse(handed());

const counts = { requests: 0, tickets: 0, connections: 0, lastHead: '' };

function take(socket: Socket): void {
  counts.connections += 1;
  socket.setNoDelay(true);
  socket.on('error', () => {});
  let unread = '';
  socket.setEncoding('latin1').on('data', (text: string) => {
    unread += text;
    for (;;) {
      const end = unread.indexOf(END_OF_HEAD);
      if (end < 0) return;
      const head = unread.slice(0, end);
      unread = unread.slice(end + END_OF_HEAD.length);
      counts.requests += 1;
      counts.lastHead = head;
      socket.write(answerTo(head.slice(0, head.indexOf('\r\n'))), 'latin1');
    }
  });
}

function answerTo(requestLine: string): string {
  const asked = requestLine.match(TICKET) ?? [];
  counts.tickets += asked.length;
  const body = `{"result":[${asked.map(rowOf).join(',')}]}`;
  return `HTTP/1.1 200 OK\r\ncontent-type: application/json;charset=UTF-8\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
}

/** The fields that the question asks for, and no other: ServiceNow sends no more either. */
function rowOf(number: string): string {
  const sysId = number.slice('CHG'.length).padStart(32, '0');
  return JSON.stringify({
    number: { display_value: number, value: number },
    sys_id: { display_value: sysId, value: sysId },
    sys_updated_on: { display_value: '2026-11-20 10:00:00', value: '2026-11-20 09:00:00' },
    state: { display_value: state, value: state },
    on_hold: { display_value: 'false', value: 'false' },
    active: { display_value: 'true', value: 'true' },
  });
}

function told(): InstanceCounts {
  const { requests, tickets, connections, lastHead } = counts;
  const lastRequest = lastHead.split('\r\n').filter((line) => !/^host:/i.test(line));
  return { requests, tickets, connections, lastRequest };
}

async function listen(): Promise<string> {
  const server = createServer(take).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new TypeError('a port was asked for');
  return `http://127.0.0.1:${address.port}`;
}

const urls = await Promise.all(Array.from({ length: ports }, listen));
serve(told, urls);
