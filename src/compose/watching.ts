import type { Configuration } from '../config/load.ts';
import { NOT_WELCOMED } from '../delegate/connection/connection-loop.ts';
import type { Delegate } from '../delegate/delegate.ts';
import type { Redactor } from '../kit/secret.ts';
import type { Clock } from '../kit/time.ts';
import { DiskSpace } from '../observability/disk-space.ts';
import { healthRoutes } from '../observability/health.ts';
import { servePages, type PageServer } from '../observability/http.ts';
import type { Logger } from '../observability/logger.ts';
import { LoopDelay } from '../observability/loop-delay.ts';
import type { Metrics } from '../observability/metrics.ts';
import type { Observed } from '../observability/observed-gauges.ts';
import { watchingRoutes } from '../observability/pages.ts';
import { PrometheusMetrics } from '../observability/prometheus.ts';
import type { Policy } from '../policy/policy.ts';
import { REJECT_CODES } from '../protocol/messages.ts';
import type { WiredConnectors } from './connectors.ts';
import { statusOf } from './status.ts';

export interface WatchingOptions {
  readonly configuration: Configuration;
  readonly policy: Pick<Policy, 'hash' | 'requireSignedTasks'>;
  readonly version: string;
  readonly redactor: Redactor;
  readonly clock: Clock;
  readonly log: Logger;
  /** Every code that an error of this program can have. */
  readonly errorCodes: ReadonlySet<string>;
  /** Since the start. */
  readonly logLinesLost: () => number;
  /** Asked when somebody looks, by when they are wired. */
  readonly delegate: () => Delegate;
  readonly connectors: () => WiredConnectors;
}

/** All by which a delegate is watched: what is counted, and the pages that show it. */
export interface Watching {
  readonly metrics: Metrics;
  /** The mean of the last few seconds. */
  readonly eventLoopDelayMs: () => number;
  /** Rejects with `health-port-unavailable`. Whoever ends the server ends all of it. */
  serve(): Promise<PageServer>;
}

export function composeWatching(options: WatchingOptions): Watching {
  const { configuration, version, redactor, clock, log, delegate, connectors } = options;
  const startedAt = clock.now();
  const loopDelay = new LoopDelay();
  const disk = new DiskSpace(configuration.stateDir);
  const look = (): Omit<Observed, 'state'> => ({
    now: clock.now(),
    loopDelay: loopDelay.times,
    instancesPaused: connectors().pausedSystems(),
    stateDiskFreeBytes: disk.freeBytes,
    logLinesLost: options.logLinesLost(),
  });
  let taskNames: ReadonlySet<string> | undefined;
  const metrics = new PrometheusMetrics({
    version,
    observe: () => ({ ...look(), state: delegate().snapshot() }),
    codes: new Set([...options.errorCodes, ...REJECT_CODES, NOT_WELCOMED]),
    taskNames: () => (taskNames ??= new Set(connectors().taskTypes.map(({ name }) => name))),
  });
  const routes = {
    ...healthRoutes({
      loopDelay,
      readiness: () => delegate().readiness(),
    }),
    ...watchingRoutes({
      metrics: () => metrics.text(),
      status: async () =>
        statusOf({
          ...options,
          startedAt,
          state: delegate().snapshot(),
          observed: look(),
          counts: await metrics.counts(),
        }),
      redactor,
    }),
  };
  return {
    metrics,
    eventLoopDelayMs: () => loopDelay.times.meanMs,
    async serve() {
      const { httpHost: host, httpPort: port } = configuration;
      const onFailure = (error: unknown): void => log.error({ err: error }, 'a page could not be made');
      const server = await servePages({ host, port, routes, onFailure });
      loopDelay.begin();
      void disk.refresh();
      return {
        url: server.url,
        async [Symbol.asyncDispose]() {
          loopDelay[Symbol.dispose]();
          await server[Symbol.asyncDispose]();
        },
      };
    },
  };
}
