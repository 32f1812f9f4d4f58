import type { DelegateError } from '../../../kit/errors.ts';
import type { HttpResponse } from '../../../kit/http-exchange.ts';
import type { ServiceNowClient, TableAnswer } from '../client.ts';
import type { CheckList } from './check-list.ts';
import { validationError } from './errors.ts';

const TITLE = 'Table API answers';

/** A longer wait inside ServiceNow is worth a warning. */
const LONG_WAIT_MS = 1_000;

/** What ServiceNow made a request wait for, by the names that it gives these times. */
const WAITS = { sem_wait: 'a free API thread', sesh_wait: 'its session' } as const;

/** The call by which the established product tests a connection: one task, whichever. */
export async function checkApi(
  client: ServiceNowClient | undefined,
  list: CheckList,
): Promise<TableAnswer | undefined> {
  if (client === undefined) {
    list.skip('api', TITLE);
    return undefined;
  }
  return await list.run('api', TITLE, async (context) => {
    const answer = await client.readTable({ table: 'task', maxRows: 1, params: {} }, context, { anew: true });
    const { status, headers } = answer.response;
    const waits = waitsOf(headers);
    return {
      value: answer,
      detail: [`HTTP ${status}`, ...waits.map(describe)].join(', '),
      warnings: waits.filter(({ ms }) => ms > LONG_WAIT_MS).map((wait) => queued(client.baseUrl, wait)),
    };
  });
}

interface Wait {
  metric: keyof typeof WAITS;
  ms: number;
}

/** From `Server-Timing: t;desc="28be46b92f0b", sem_wait;dur=1200, sesh_wait;dur=0`, in milliseconds. */
function waitsOf(headers: HttpResponse['headers']): Wait[] {
  const metrics = (headers['server-timing'] ?? '').split(',').map((metric) => metric.trim());
  return (['sem_wait', 'sesh_wait'] as const).flatMap((metric) => {
    const written = metrics.find((one) => one.startsWith(`${metric};`)) ?? '';
    const ms = Number(/;\s*dur=(\d{1,9}(?:\.\d{1,9})?)/.exec(written)?.[1] ?? 0);
    return ms > 0 ? [{ metric, ms }] : [];
  });
}

function describe({ metric, ms }: Wait): string {
  return `waited ${(ms / 1_000).toFixed(1)} s for ${WAITS[metric]}`;
}

function queued(baseUrl: string, wait: Wait): DelegateError {
  const message = `At ${new URL(baseUrl).host} the request ${describe(wait)}.`;
  return validationError('servicenow.request-queued', message, {
    details: { metric: wait.metric, waitMs: Math.round(wait.ms) },
  });
}
