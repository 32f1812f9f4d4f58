import { z } from 'zod';
import type { ConnectorDeps, TaskContext } from '../../src/connectors/connector.ts';
import { meteredSend } from '../../src/connectors/metering.ts';
import { isTransportFailure, mediaType, type HttpResponse } from '../../src/kit/http-exchange.ts';
import { deskError } from './errors.ts';
import type { DeskSettings } from './settings.ts';

/** The desk's API: every call is a POST of `{ method, params }` to one address, answered by `{ result }`. */
export interface Call {
  readonly method: 'ticket.get' | 'comment.add';
  readonly params: Readonly<Record<string, string>>;
}

/** What a task of the desk works with. */
export type Ground = Pick<ConnectorDeps, 'http' | 'secrets' | 'scrub' | 'meter' | 'clock'>;

/** Errors that come before the first byte of a request is sent. A reset may come after the desk has acted. */
const BEFORE_SENDING = /^(?:network\.(?:dns|refused|connect-timeout|proxy-.+)|tls\..+)$/;
const MAX_SHOWN_CHARS = 200;

const answerSchema = z.object({ result: z.unknown() });
const refusalSchema = z.object({ error: z.object({ message: z.string() }) });

/** One call, sent once: whether to ask again is for whoever asked. Rejects with a coded error. */
export async function ask(
  { spec: { url, tokenRef } }: DeskSettings,
  call: Call,
  { http, secrets, scrub, meter, clock }: Ground,
  context: TaskContext,
): Promise<unknown> {
  const origins = [url.origin];
  const token = await secrets.resolve(tokenRef, {
    signal: context.signal,
    origins,
    onUse: (name) => context.usedSecret(name, origins),
  });
  const writes = call.method === 'comment.add';
  const send = context.trace.sending('desk.request', meteredSend(http.send, { meter, clock }));
  // The last thing before what can't be taken back: everything that takes time or may fail has been done.
  if (writes) context.fence();
  try {
    const response = await send({
      method: 'POST',
      url,
      headers: { authorization: `Bearer ${token.reveal()}`, 'content-type': 'application/json' },
      body: JSON.stringify(call),
      signal: context.signal,
    });
    return resultOf(response, { writes, scrub });
  } catch (thrown) {
    if (writes && isTransportFailure(thrown) && !BEFORE_SENDING.test(thrown.code)) {
      throw deskError('desk.write-unknown', `The desk was sent a change: ${thrown.message}`, {
        cause: thrown,
      });
    }
    throw thrown;
  }
}

/** What an answer means, by its status and form alone: no I/O, so that a table can test it. */
export function resultOf(
  response: HttpResponse,
  { writes, scrub }: { writes: boolean; scrub: (text: string) => string },
): unknown {
  const { status } = response;
  const facts = { status };
  const said = saidIn(response, scrub);
  if (status === 401) throw deskError('desk.token-refused', `The desk refused the token${said}.`, facts);
  if (status === 404) throw deskError('desk.ticket-not-found', `The desk has no such ticket${said}.`, facts);
  if (status === 429) throw deskError('desk.busy', `The desk takes no more requests now${said}.`, facts);
  if (status >= 500) {
    const code = writes ? 'desk.write-unknown' : 'desk.unavailable';
    throw deskError(code, `The desk answered ${status}${said}.`, facts);
  }
  const answer = answerSchema.safeParse(jsonOf(response));
  if (status === 200 && answer.success) return answer.data.result;
  const code = writes && status === 200 ? 'desk.write-unknown' : 'desk.bad-response';
  throw deskError(code, `The answer ${status} is not one of the desk${said}.`, facts);
}

/** The desk's own words. They come from a stranger: scrubbed first, and cut after that. */
function saidIn(response: HttpResponse, scrub: (text: string) => string): string {
  const refusal = refusalSchema.safeParse(jsonOf(response));
  return refusal.success ? `: ${scrub(refusal.data.error.message).slice(0, MAX_SHOWN_CHARS)}` : '';
}

function jsonOf(response: HttpResponse): unknown {
  if (mediaType(response) !== 'application/json') return undefined;
  try {
    return JSON.parse(response.body);
  } catch {
    return undefined;
  }
}
