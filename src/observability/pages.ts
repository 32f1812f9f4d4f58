import type { Redactor } from '../kit/secret.ts';
import { jsonPage, type Page, type Routes } from './http.ts';
import { asOpenMetrics } from './prometheus.ts';
import type { Status } from './status.ts';

const PROMETHEUS_TEXT = 'text/plain; version=0.0.4; charset=utf-8';
const OPEN_METRICS = 'application/openmetrics-text';
const OPEN_METRICS_TEXT = `${OPEN_METRICS}; version=1.0.0; charset=utf-8`;

export interface WatchingPages {
  /** In the text format of Prometheus. */
  readonly metrics: () => Promise<string>;
  readonly status: () => Promise<Status>;
  readonly redactor: Pick<Redactor, 'scrubJson'>;
}

/** `/metrics` for machines, `/status.json` for people and the commands that help them. */
export function watchingRoutes({ metrics, status, redactor }: WatchingPages): Routes {
  return {
    '/metrics': async ({ accept }): Promise<Page> => {
      const text = await metrics();
      return accept.includes(OPEN_METRICS)
        ? { status: 200, contentType: OPEN_METRICS_TEXT, body: asOpenMetrics(text) }
        : { status: 200, contentType: PROMETHEUS_TEXT, body: text };
    },
    '/status.json': async (): Promise<Page> => {
      const page = jsonPage(200, await status());
      // The words of a manager or of a server may repeat what they were sent.
      const body = redactor.scrubJson(page.body);
      return body === undefined
        ? jsonPage(500, { error: 'the status holds a secret in a way that cannot be masked' })
        : { ...page, body };
    },
  };
}
