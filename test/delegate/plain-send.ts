import { once } from 'node:events';
import { IncomingMessage, request } from 'node:http';
import type { HttpSend } from '../../src/kit/http-exchange.ts';

/** `HttpSend` for loopback: one connection for one exchange, and no timer that outlives it, as `fetch` has. */
export const plainSend: HttpSend = async ({ method, url, headers, body, signal }) => {
  const call = request(url, { method, headers, signal, agent: false });
  call.end(body);
  const [response]: unknown[] = await once(call, 'response');
  if (!(response instanceof IncomingMessage)) throw new TypeError('node:http answers with a message');
  let text = '';
  for await (const chunk of response.setEncoding('utf8')) text += String(chunk);
  const answered = Object.entries(response.headers).map(([name, value]) => [name, String(value)] as const);
  return { status: response.statusCode ?? 0, headers: Object.fromEntries(answered), body: text };
};
