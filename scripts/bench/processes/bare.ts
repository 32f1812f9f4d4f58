import { Agent, request } from 'undici';
import { z } from 'zod';
import { userAgentOf } from '../../../src/compose/network.ts';
import { packageVersion } from '../../../src/config/version.ts';
import { tableUrl } from '../../../src/connectors/servicenow/client.ts';
import { queryFor } from '../../../src/connectors/servicenow/tickets/batch.ts';
import { exchange } from '../../../src/http/exchange.ts';
import { measureLoad } from '../load.ts';
import { orders } from '../messages.ts';
import { PASSWORD, ticketOf, USER } from '../question.ts';
import { handed, serve } from './serve.ts';

/**
 * The calls that the work comes down to, and nothing else: no task, no journal, no policy, no secret, no judgement. By
 * `undici.request`, as somebody would write them, or by `dispatch`, as the delegate makes them, which spares a stream.
 */

/** As the delegate's HTTP client and its queue for one instance have it. */
const CONNECTIONS = 16;
const AT_ONCE = 4;

const hand = z.object({ instanceUrl: z.string(), by: z.enum(['request', 'dispatch']) });
const { instanceUrl, by } = hand.parse(handed());

const agent = new Agent({ connections: CONNECTIONS });
const headers = {
  'user-agent': userAgentOf(packageVersion()),
  'accept-encoding': 'identity',
  accept: 'application/json',
  authorization: `Basic ${Buffer.from(`${USER}:${PASSWORD}`).toString('base64')}`,
};

/** The URL of the delegate for any ticket; made once, as a loop that somebody writes for one call would. */
const [beforeTicket = '', afterTicket = ''] = urlFor('TICKET').split('TICKET');

function urlFor(ticket: string): string {
  const fields = new Set(['number', 'sys_id', 'sys_updated_on', 'state', 'on_hold', 'active']);
  const query = queryFor([{ ticket: { type: 'change_request', field: 'number', asked: ticket }, fields }]);
  const url = tableUrl(instanceUrl, query);
  url.searchParams.set('sysparm_limit', String(query.maxRows));
  return url.href;
}

const never = new AbortController().signal;
const get = {
  request: async (url: string) => {
    const { statusCode, body } = await request(url, { dispatcher: agent, method: 'GET', headers });
    return { status: statusCode, text: await body.text() };
  },
  dispatch: async (url: string) => {
    const path = url.slice(instanceUrl.length);
    const { status, body } = await exchange(
      agent,
      { origin: instanceUrl, path, method: 'GET', headers },
      never,
    );
    return { status, text: body.toString() };
  },
}[by];

const waiting: (() => void)[] = [];
let free = AT_ONCE;

async function call(n: number): Promise<void> {
  if (free > 0) free -= 1;
  else await new Promise<void>((resolve) => waiting.push(resolve));
  try {
    const ticket = ticketOf(n);
    const { status, text } = await get(`${beforeTicket}${ticket}${afterTicket}`);
    const answer: unknown = JSON.parse(text);
    if (status !== 200 || answer === null || !text.includes(ticket)) throw new Error(`${status}: ${text}`);
  } finally {
    const next = waiting.shift();
    if (next === undefined) free += 1;
    else next();
  }
}

serve((order) => measureLoad(call, orders.load.parse(order)));
