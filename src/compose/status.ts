import type { Configuration } from '../config/load.ts';
import { toTimestamp } from '../kit/time.ts';
import type { Observed } from '../observability/observed-gauges.ts';
import { STATUS_VERSION, type Counts, type DelegateState, type Status } from '../observability/status.ts';
import type { Policy } from '../policy/policy.ts';

export interface StatusView {
  readonly configuration: Configuration;
  readonly policy: Pick<Policy, 'hash' | 'requireSignedTasks'>;
  readonly version: string;
  readonly state: DelegateState;
  readonly observed: Omit<Observed, 'state'>;
  readonly counts: Counts;
  /** Of the process, milliseconds since the epoch. */
  readonly startedAt: number;
}

/** The body of `/status.json`, not yet scrubbed. */
export function statusOf({
  configuration,
  policy,
  version,
  state,
  observed,
  counts,
  startedAt,
}: StatusView): Status {
  const { network } = configuration;
  const { rss, heapUsed } = process.memoryUsage();
  return {
    statusVersion: STATUS_VERSION,
    at: toTimestamp(observed.now),
    delegate: {
      name: configuration.name,
      version,
      node: process.versions.node,
      pid: process.pid,
      tags: [...configuration.tags],
      startedAt: toTimestamp(startedAt),
      uptimeMs: Math.max(0, observed.now - startedAt),
    },
    ...state,
    audit: { enabled: configuration.auditMaxBytes > 0, ...state.audit },
    secrets: { stores: storesOf(configuration) },
    policy: {
      source: configuration.policyFile === undefined ? 'default' : 'file',
      hash: policy.hash,
      requireSignedTasks: configuration.requireSignedTasks || policy.requireSignedTasks,
    },
    network: {
      httpsProxy: network.httpsProxy?.url.origin ?? null,
      httpProxy: network.httpProxy?.url.origin ?? null,
      ownAuthorities: network.authorityFiles.length > 0,
      clientCertificates: network.clientCertificates.map(({ origin }) => origin),
    },
    instances: { paused: observed.instancesPaused },
    process: {
      rssBytes: rss,
      heapUsedBytes: heapUsed,
      eventLoopDelay: observed.loopDelay,
      stateDiskFreeBytes: observed.stateDiskFreeBytes ?? null,
    },
    counts: { ...counts, logLinesLost: observed.logLinesLost },
  };
}

function storesOf({ secretsDir, secretStores }: Configuration): string[] {
  const settings = {
    env: true,
    file: secretsDir,
    kubernetes: secretStores.kubernetesDirectory,
    exec: secretStores.execFile,
    vault: secretStores.vault,
    aws: secretStores.aws,
    azure: secretStores.azure,
    gcp: secretStores.gcp,
  };
  return Object.entries(settings).flatMap(([name, setting]) => (setting === undefined ? [] : [name]));
}
