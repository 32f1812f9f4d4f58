import { request, type IncomingHttpHeaders } from 'node:http';
import { z } from 'zod';
import { PASSWORDS } from '../../../src/dev/fake-servicenow/index.ts';

export interface Exchange {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly bytes: Buffer;
  readonly text: string;
  /** Chunks as the parser handed them over. */
  readonly chunks: readonly Buffer[];
}

interface Sending {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** The request target as it goes on the wire, where a URL would tidy it up. */
  readonly target?: string;
}

/** One exchange on a connection of its own. Rejects when the connection breaks before the answer is complete. */
export function exchange(
  url: string,
  { method = 'GET', headers = {}, body, target }: Sending = {},
): Promise<Exchange> {
  return new Promise((resolve, reject) => {
    const at = new URL(url);
    const options = { method, headers, agent: false, host: at.hostname, port: at.port };
    const outgoing = request({ ...options, path: target ?? `${at.pathname}${at.search}` }, (incoming) => {
      const chunks: Buffer[] = [];
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
      incoming.on('error', reject);
      incoming.on('end', () => {
        const bytes = Buffer.concat(chunks);
        const status = incoming.statusCode ?? 0;
        resolve({ status, headers: incoming.headers, bytes, text: bytes.toString('utf8'), chunks });
      });
    });
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}

export function basic(user: string, password: string): Record<string, string> {
  return { authorization: `Basic ${Buffer.from(`${user}:${password}`, 'utf8').toString('base64')}` };
}

export function as(user: keyof typeof PASSWORDS): Record<string, string> {
  return basic(user, PASSWORDS[user]);
}

export function bearer(token: string): Record<string, string> {
  return { authorization: `Bearer ${token}` };
}

export function form(fields: Readonly<Record<string, string>>): Sending {
  return {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams(fields).toString(),
  };
}

const value = z.union([z.string(), z.record(z.string(), z.string())]);
const rowSchema = z.record(z.string(), value);
const listSchema = z.object({ result: z.array(rowSchema) });
const recordSchema = z.object({ result: rowSchema });

type ShapedRow = z.infer<typeof rowSchema>;

export function rowsOf(answer: Exchange): ShapedRow[] {
  return listSchema.parse(JSON.parse(answer.text)).result;
}

export function recordOf(answer: Exchange): ShapedRow {
  return recordSchema.parse(JSON.parse(answer.text)).result;
}

/** A field that is a plain text. Throws if it is not. */
export function textIn(row: ShapedRow, field: string): string {
  return z.string().parse(row[field]);
}

/** A path below `/api/now` with its parameters encoded. */
export function table(path: string, parameters: Readonly<Record<string, string>> = {}): string {
  const search = new URLSearchParams(parameters).toString();
  return `/api/now/table/${path}${search === '' ? '' : `?${search}`}`;
}
