import { get as getByHttp, type IncomingMessage } from 'node:http';
import type { RequestOptions } from 'node:https';

/** Many times what a delegate answers on any of its pages; something else may listen there. */
const MAX_PAGE_BYTES = 1_048_576;

export interface Page {
  readonly status: number | undefined;
  readonly text: string;
}

/** It is longer than any page of a delegate's. */
export class PageTooLong extends Error {
  override readonly name = 'PageTooLong';

  constructor() {
    super(`more than ${MAX_PAGE_BYTES} bytes`);
  }
}

/**
 * One of the pages that a delegate answers on its own port: `/readyz`, `/status.json`. Straight there, past any
 * proxy: what is asked is on this machine, or at the end of a tunnel to it. By a connection of its own, closed with the
 * answer, so that nothing keeps the process.
 *
 * @throws PageTooLong, or what `node:http` throws
 */
export async function readOwnPage(url: URL, signal: AbortSignal): Promise<Page> {
  const response = await responseOf(url, { agent: false, signal });
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  response.on('data', (chunk: Uint8Array) => {
    bytes += chunk.length;
    chunks.push(chunk);
    if (bytes > MAX_PAGE_BYTES) response.destroy(new PageTooLong());
  });
  await new Promise<void>((resolve, reject) => {
    response.once('end', resolve);
    response.once('error', reject);
  });
  return { status: response.statusCode, text: Buffer.concat(chunks).toString('utf8') };
}

async function responseOf(url: URL, options: RequestOptions): Promise<IncomingMessage> {
  // For the end of a tunnel alone.
  const get = url.protocol === 'https:' ? (await import('node:https')).get : getByHttp;
  return await new Promise((resolve, reject) => {
    get(url, options, resolve).on('error', reject);
  });
}
