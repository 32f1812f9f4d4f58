import { Agent, fetch } from 'undici';
import type { HttpSend } from '../../src/kit/http-exchange.ts';

/**
 * `HttpSend` over fetch: a second implementation of the port, so that the adapter isn't needed here. Its connection ends
 * with the exchange; that of Node's own fetch, once given up, stays for seconds.
 */
export const fetchSend: HttpSend = async ({ method, url, headers, body, signal }) => {
  const dispatcher = new Agent();
  try {
    const response = await fetch(url, {
      dispatcher,
      method,
      headers,
      signal,
      redirect: 'manual',
      ...(body === undefined ? {} : { body }),
    });
    return {
      status: response.status,
      headers: Object.fromEntries(response.headers),
      body: await response.text(),
    };
  } finally {
    await dispatcher.destroy();
  }
};
