import { request } from 'node:http';
import { askedAt } from '../../config/http-address.ts';
import type { Configuration } from '../../config/load.ts';

/** Above what any of the health endpoints answers. */
const MAX_BYTES = 1_048_576;
/** They are on this machine: without an answer by then the event loop of that process stands still. */
const ANSWER_WITHIN_MS = 2_000;

export type HealthAnswer =
  | { readonly is: 'answered'; readonly status: number; readonly json: unknown; readonly text: string }
  | { readonly is: 'silent'; readonly why: string };

/**
 * Asks the health endpoints of the delegate that runs here. Straight to this machine, and not by the dialer: no proxy
 * and no certificate has a part in it. Never rejects.
 */
export async function askHealth(
  { httpHost, httpPort }: Pick<Configuration, 'httpHost' | 'httpPort'>,
  path: string,
  signal: AbortSignal,
): Promise<HealthAnswer> {
  if (httpPort === 0) return { is: 'silent', why: 'its port is any free one (DELEGATE_HTTP_PORT=0)' };
  const ending = AbortSignal.any([signal, AbortSignal.timeout(ANSWER_WITHIN_MS)]);
  return await new Promise((resolve) => {
    const fail = (error: Error): void => {
      const code = 'code' in error && typeof error.code === 'string' ? error.code : error.name;
      resolve({ is: 'silent', why: code });
    };
    const asked = request(
      { host: askedAt(httpHost), port: httpPort, path, agent: false, signal: ending },
      (response) => {
        const chunks: Buffer[] = [];
        let bytes = 0;
        response.on('data', (chunk: Buffer) => {
          bytes += chunk.length;
          chunks.push(chunk);
          if (bytes > MAX_BYTES) response.destroy(new Error('too large'));
        });
        response.once('error', fail);
        response.once('end', () => {
          const text = Buffer.concat(chunks).toString('utf8');
          resolve({ is: 'answered', status: response.statusCode ?? 0, json: parsed(text), text });
        });
      },
    );
    asked.once('error', fail);
    asked.end();
  });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
