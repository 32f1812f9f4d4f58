import { join } from 'node:path';
import type { TaskConfiguration } from '../config/load.ts';
import type { DefineConnector, SecretsPort, TaskType } from '../connectors/connector.ts';
import { HttpClient } from '../http/client.ts';
import type { Dialer } from '../http/dialer.ts';
import type { Lookup } from '../http/sockets.ts';
import type { Redactor } from '../kit/secret.ts';
import { endsWithin, type Clock } from '../kit/time.ts';
import { deniedRecord } from '../observability/audit/denied.ts';
import { noAuditLog, type AuditTrail } from '../observability/audit/trail.ts';
import type { Logger } from '../observability/logger.ts';
import { noMetrics, type Metrics } from '../observability/metrics.ts';
import type { Policy } from '../policy/policy.ts';
import { withSecretBounds } from '../policy/secret-bounds.ts';
import { tellingDenials } from '../policy/told-denials.ts';
import { createKeptSecrets } from '../secrets/kept-secrets.ts';
import { dialerOf, userAgentOf } from './network.ts';
import { composeSecrets } from './secrets.ts';

/** For an exchange that has just begun, which has a minute, and the disk behind it, which has no limit of its own. */
const CONNECTORS_END_WITHIN_MS = 70_000;

export interface ConnectorsOptions {
  configuration: TaskConfiguration;
  policy: Policy;
  /** What this delegate can do. */
  connectors: readonly DefineConnector[];
  /** Whence `env:` secrets come. */
  environment: Readonly<Record<string, string | undefined>>;
  version: string;
  redactor: Redactor;
  clock: Clock;
  log: Logger;
  /** The one way out; made from the configuration if nobody has made it yet. */
  dialer?: Dialer;
  /** DNS of the system, unless given. */
  lookup?: Lookup;
  /** Left out for what this machine's own user asks for. */
  audit?: AuditTrail;
  /** Likewise. */
  metrics?: Metrics;
  /** What kept secrets are encrypted with, from `keptSecretsKeyFrom`; asked for when the first is needed. */
  keptSecretsKey: () => Promise<Buffer>;
  /** As the manager knows it; only there once it is enrolled. */
  delegateId: () => string;
}

/** The connectors on the adapters below them; `[Symbol.asyncDispose]` ends their connections, however often it is called. */
export interface WiredConnectors extends AsyncDisposable {
  readonly taskTypes: readonly TaskType[];
  readonly capabilities: readonly string[];
  /** Systems that connectors leave alone at present. */
  pausedSystems(): number;
  /** Drops what connectors keep from one task for the next: the manager has revoked this delegate. */
  forget(): void;
}

/** What tasks need, with or without a manager. */
export function composeConnectors(options: ConnectorsOptions): WiredConnectors {
  const { configuration, redactor, version, clock, log, audit = noAuditLog(), metrics = noMetrics } = options;
  const policy = tellingDenials(withSecretBounds(options.policy, redactor), (denial) => {
    log.warn({ ...denial.details, code: denial.code, why: denial.message }, 'denied by the policy');
    metrics.policyDenied(denial.code);
    void audit.record(deniedRecord(denial));
  });
  const dialer = options.dialer ?? dialerOf(options);
  const secrets = composeSecrets({ ...options, policy, dialer });
  const kept = createKeptSecrets({
    folder: join(configuration.stateDir, 'kept'),
    key: options.keptSecretsKey,
    protect: (value) => redactor.register(value, { issued: true }),
    log,
  });
  const http = new HttpClient({
    dialer,
    guardUrl: (url) => policy.assertUrl(url),
    guardRequest: (exchange) => policy.assertRequest(exchange),
    guardAddress: (address) => policy.assertAddress(address),
    userAgent: userAgentOf(version),
    maxBodyBytes: policy.maxAnswerBytes,
    ...(options.lookup === undefined ? {} : { lookup: options.lookup }),
  });
  const wired = options.connectors.map((define) =>
    define({
      http,
      secrets: auditedSecrets(secrets, audit),
      kept,
      clock,
      policy,
      random: Math.random,
      meter: metrics,
      protect: (value, origins) => redactor.register(value, { origins, issued: true }),
      scrub: (text) => redactor.scrub(text),
      delegate: { id: options.delegateId, name: configuration.name, version },
    }),
  );
  const endConnectors = async (): Promise<void> => {
    await Promise.all(wired.map(async (connector) => await connector[Symbol.asyncDispose]?.()));
  };
  const end = async (): Promise<void> => {
    // First who sends: a token exchange that is under way is seen through.
    if (!(await endsWithin(clock, CONNECTORS_END_WITHIN_MS, endConnectors()))) {
      log.error('connectors do not end; ending without them');
    }
    await Promise.all([http[Symbol.asyncDispose](), secrets[Symbol.asyncDispose]()]);
  };
  let ending: Promise<void> | undefined;
  return {
    taskTypes: wired.flatMap((connector) => connector.tasks),
    capabilities: wired.flatMap((connector) => connector.capabilities),
    pausedSystems: () => wired.reduce((sum, connector) => sum + (connector.pausedSystems?.() ?? 0), 0),
    forget() {
      for (const connector of wired) connector.forget?.();
    },
    [Symbol.asyncDispose]: () => (ending ??= end()),
  };
}

/** The same secrets, of whose replacement the audit log is told. */
function auditedSecrets(secrets: SecretsPort, audit: AuditTrail): SecretsPort {
  return {
    ...secrets,
    async replace(reference, value) {
      const isReplaced = await secrets.replace(reference, value);
      // Only what the operator has listed can be, so the reference is no stranger's word.
      if (isReplaced) await audit.record({ event: 'secret-replaced', name: reference });
      return isReplaced;
    },
  };
}
