import type { HttpSend } from '../../src/kit/http-exchange.ts';

/** `HttpSend` over Node's own fetch: a second implementation of the port, so that the adapter isn't needed here. */
export const fetchSend: HttpSend = async ({ method, url, headers, body, signal }) => {
  const response = await fetch(url, {
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
};
