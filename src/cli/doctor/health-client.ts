import { httpAddress } from '../../config/http-address.ts';
import type { Configuration } from '../../config/load.ts';
import { systemCode } from '../../kit/errors.ts';
import { readOwnPage } from '../own-page.ts';

/** They are on this machine: without an answer by then the event loop of that process stands still. */
const ANSWER_WITHIN_MS = 2_000;

export type HealthAnswer =
  | { readonly is: 'answered'; readonly status: number; readonly json: unknown; readonly text: string }
  | { readonly is: 'silent'; readonly why: string };

/** Asks the health endpoints of the delegate that runs here. Never rejects. */
export async function askHealth(
  { httpHost, httpPort }: Pick<Configuration, 'httpHost' | 'httpPort'>,
  path: string,
  signal: AbortSignal,
): Promise<HealthAnswer> {
  if (httpPort === 0) return { is: 'silent', why: 'its port is any free one (DELEGATE_HTTP_PORT=0)' };
  const ending = AbortSignal.any([signal, AbortSignal.timeout(ANSWER_WITHIN_MS)]);
  try {
    const { status = 0, text } = await readOwnPage(new URL(path, httpAddress(httpHost, httpPort)), ending);
    return { is: 'answered', status, json: parsed(text), text };
  } catch (thrown) {
    return { is: 'silent', why: systemCode(thrown) ?? (thrown instanceof Error ? thrown.name : 'unknown') };
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
